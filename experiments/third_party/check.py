"""Whether the networks do what their files say, and what smaller images cost.

`python -m experiments.third_party check` finds out. Interrupted, it goes on where it was.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from experiments.study.targets import unpack
from experiments.third_party import sources
from featalign.sources.source import Source
from featalign.study.records import append_record, read_records

RESULTS = Path(__file__).parent / "check.jsonl"
KEY = ("name", "dataset")
TOLERANCE = 0.02
ROWS = {"cifar10": 2000, "mnist": 2000, "fashion_mnist": 2000, "tiny_imagenet25": 500}
BATCH = 50
# the places of tiny_imagenet25's classes, in its order, among the 1000 of ImageNet
IMAGENET_PLACES = (
    1,
    32,
    71,
    107,
    285,
    341,
    365,
    367,
    458,
    496,
    511,
    567,
    576,
    614,
    621,
    655,
    675,
    733,
    758,
    806,
    808,
    849,
    888,
    935,
    945,
)
SIZES = (None, 128, 96, 64)


@dataclass(frozen=True)
class Checked:
    """One network on one set at one image size.

    It has what its file states, if anything, and what is seen. `classes` is how many of the
    network's classes it chose among, `seconds` is processor time, with what compiling takes.
    """

    name: str
    dataset: str
    size: int
    classes: int
    stated: float | None
    seen: float
    rows: int
    seconds: float

    @property
    def agrees(self) -> bool:
        """Within two points of what is stated."""
        return self.stated is None or abs(self.seen - self.stated) <= TOLERANCE


def wanted() -> Iterator[tuple[Source, str, float | None, np.ndarray | None]]:
    """What is checked: a source, on which set, and how.

    Beside them are the accuracy its file states, and among which logits it chooses (None: all).

    Checked are every network whose file states an accuracy on a set at hand, and the ImageNet
    networks on 64-pixel images of 25 of their classes, at their own size and at smaller ones.
    """
    there = [sources.load(name) for name in sources.names()]
    for source in there:
        if source.pretraining.accuracy is not None and source.pretraining.dataset in ROWS:
            yield source, source.pretraining.dataset, source.pretraining.accuracy, None
    for name, source in zip(sources.names(), there, strict=True):
        if source.pretraining.dataset == "ImageNet-1k" and source.logits_layer is not None:
            for size in SIZES:
                if size is None or size < source.preprocessing["size"]:
                    sized = source if size is None else sources.load(name, size)
                    yield sized, "tiny_imagenet25", None, imagenet_columns(source)


def imagenet_columns(source: Source) -> np.ndarray:
    """Which logits are tiny_imagenet25's classes.

    Some networks have a class 0 for the background.
    """
    return np.array(IMAGENET_PLACES) + int(source.pretraining.num_classes == 1001)


def checked(
    source: Source,
    dataset: str,
    arrays: Mapping[str, Any],
    stated: float | None,
    columns: Sequence[int] | np.ndarray | None = None,
) -> Checked:
    """How often the largest logit, of all or of these columns, is the label."""
    count = min(ROWS[dataset], len(arrays["y_test"]))
    rows = np.linspace(0, len(arrays["y_test"]) - 1, count).astype(
        int
    )  # the sets are sorted by class
    images, labels = arrays["x_test"][rows], arrays["y_test"][rows]
    start = time.process_time()
    logits = np.concatenate(
        [
            source.embed(images[at : at + BATCH], ["logits"])["logits"]
            for at in range(0, count, BATCH)
        ]
    )
    logits = logits if columns is None else logits[:, columns]
    seen = float((logits.argmax(axis=1) == labels).mean())
    seconds = round(time.process_time() - start, 1)
    return Checked(
        source.name,
        dataset,
        source.preprocessing["size"],
        logits.shape[1],
        stated,
        round(seen, 4),
        count,
        seconds,
    )


def main() -> None:
    known = {
        (each["name"], each["dataset"]): each["revision"] for each in read_records(RESULTS, key=KEY)
    }
    datasets: dict[str, Mapping[str, Any]] = {}
    for source, dataset, stated, columns in wanted():
        if known.get((source.name, dataset)) == source.revision:
            continue
        datasets[dataset] = datasets.get(dataset) or unpack(dataset)
        found = checked(source, dataset, datasets[dataset], stated, columns)
        append_record(RESULTS, {**asdict(found), "revision": source.revision})
        print(
            source.name,
            dataset,
            found.size,
            found.stated,
            found.seen,
            "" if found.agrees else "DIFFERS",
            flush=True,
        )
