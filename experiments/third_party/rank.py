"""All networks ranked on small parts of nine targets: python -m experiments.third_party rank.

Interrupted, it goes on where it was.
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from experiments.study.targets import unpack
from experiments.third_party import sources
from featalign import api
from featalign.sources.source import Source
from featalign.study.records import append_record, read_records
from featalign.targets.target import Target

RESULTS = Path(__file__).parent / "rank.jsonl"
KEY = ("source", "target", "rows", "seed")
TARGETS = (
    "sklearn:digits",
    "mnist",
    "fashion_mnist",
    "omniglot_alphabets",
    "tiny_imagenet25",
    "aid30",
    "dtd10",
    "flowers5",
    "magnetic_tile_defects",
)
SCORERS = ("linear_probe", "knn", "logme", "label_overlap")
ROWS = 200
SEED = 0
LARGEST = 96  # pixels: larger images cost more than they tell (see README.md)


def candidates() -> Iterator[Source]:
    """Every network, at its own size or at the largest that is affordable."""
    for name in sources.names():
        own = sources.load(name)
        yield own if own.preprocessing["size"] <= LARGEST else sources.load(name, LARGEST)


def load_part(name: str) -> Target:
    """So many rows of a target."""
    if name.startswith("sklearn:"):
        return api.load_target(name, subset=ROWS, seed=SEED)
    arrays = unpack(name)
    return Target.from_arrays(
        name, arrays["x_train"], arrays["y_train"], [str(word) for word in arrays["classes"]]
    ).subset(ROWS, SEED)


def ranked(source: Source, target: Target) -> dict[str, Any]:
    """The scores of a source on a target, as a record."""
    start = time.process_time()
    row = api.rank([source], target, scorers=SCORERS, seed=SEED, progress=False).best
    scores = {name: row.scores[name].value if row.scores[name].ok else None for name in SCORERS}
    key = {"source": source.name, "target": target.name, "rows": ROWS, "seed": SEED}
    return {
        **key,
        "revision": source.revision,
        "scores": scores,
        "seconds": round(time.process_time() - start, 2),
    }


def main() -> None:
    known = {
        (each["source"], each["target"]): each["revision"]
        for each in read_records(RESULTS, key=KEY)
    }
    targets: dict[str, Target] = {}
    for source in candidates():
        for name in TARGETS:
            if known.get((source.name, name)) == source.revision:
                continue
            targets[name] = targets.get(name) or load_part(name)
            record = ranked(source, targets[name])
            append_record(RESULTS, record)
            print(
                record["source"],
                record["target"],
                record["scores"],
                record["seconds"],
                file=sys.stderr,
            )
