"""Whether a target is what a source was pretrained on, by rows and by names."""

import re
from dataclasses import dataclass

import numpy as np

from featalign.targets.target import Target

SKETCH_ROWS = 1024
# words that tell no data sets apart
_PLAIN = frozenset(
    "dataset datasets data set train training test validation images image small full csv".split()
)


@dataclass(frozen=True, eq=False)
class RowSketch:
    """The digests of some pretraining rows: of all rows, or of those with the lowest digests.

    `lowest` are the first 8 bytes of the rows' SHA-256 as whole numbers, in ascending order, the
    1,024 lowest of `num_rows` rows. A row of the same content has the same digest wherever it lies,
    so a target of rows that were seen has its share of them in the sketch (Broder, "On the
    resemblance and containment of documents", 1997).
    """

    lowest: np.ndarray
    num_rows: int

    @staticmethod
    def of(target: Target) -> "RowSketch":
        """The sketch of the rows of a target.

        >>> target = Target.from_arrays("numbers", np.eye(4), [0, 1, 0, 1])
        >>> RowSketch.of(target).num_rows
        4
        """
        digests = np.unique(short_digests(target))
        return RowSketch(digests[:SKETCH_ROWS], len(digests))

    def found_in(self, target: Target) -> tuple[int, int]:
        """How many rows of a target are in the sketch, and how many could be if all were seen."""
        digests = short_digests(target)
        whole = len(self.lowest) >= self.num_rows
        within = digests if whole else digests[digests <= self.lowest[-1]]
        return int(np.isin(within, self.lowest).sum()), len(within)


def short_digests(target: Target) -> np.ndarray:
    """The first 8 bytes of each row's digest as a whole number (N,)."""
    return np.ascontiguousarray(target.inputs.row_digests()[:, :8]).view(">u8").reshape(-1)


def pretraining_remarks(
    dataset: str | None, rows: RowSketch | None, target: Target
) -> tuple[str, ...]:
    """A remark where a target's rows, or a data set of its name, were seen in pretraining."""
    seen = 0
    if rows is not None:
        seen, looked = rows.found_in(target)
        if seen:
            named = f" ({dataset})" if dataset else ""
            if looked == len(target):
                counted = f"{seen} of {looked} rows are"
            else:
                counted = f"{seen} of the {looked} rows that its card can tell of are"
            return (
                f"pretrained on this target{named}: {counted} among its pretraining rows, so its "
                "scores and forecast are too high for new data",
            )
        if looked >= _ENOUGH:
            return ()  # a data set of the same name, but none of its rows
    if dataset is not None and same_name(dataset, target.name):
        return (
            f"its card says that it was pretrained on {dataset!r}: where that is this target, its "
            "scores and forecast are too high for new data",
        )
    return ()


_ENOUGH = 20  # rows without one that was seen say that other rows of the data set were not either


def same_name(dataset: str, target: str) -> bool:
    """Whether two names seem to be of one data set.

    All words of the one are among those of the other; a number at the end counts where both have
    one.

    >>> same_name("flowers5", "tf_flowers"), same_name("cifar10", "cifar100")
    (True, False)
    >>> same_name("mnist", "hf:ylecun/mnist@main"), same_name("mnist", "fashion_mnist")
    (True, False)
    """
    one, other = _words(dataset), _words(target)
    if not one or not other:
        return False
    few, many = sorted((one, other), key=len)
    rest = [word for word in many if not any(_alike(word, each) for each in few)]
    return all(any(_alike(word, each) for each in many) for word in few) and not (
        set(rest) - _MAKERS
    )


_MAKERS = frozenset("tf torch hf sklearn kaggle my the oxford uci openml".split())


def _words(name: str) -> list[str]:
    last = re.split(r"[:/\\]", name.split("@")[0].split("#")[0].rstrip("/\\"))[-1].lower()
    words = re.findall(r"[^\W_]+", last)
    joined = [word for word in words if word not in _PLAIN]
    # fashion mnist, fashion-mnist and fashion_mnist; a number stands with the word before it
    found: list[str] = []
    for word in joined:
        if word.isdigit() and found:
            found[-1] += word
        else:
            found.append(word)
    return found


def _alike(one: str, other: str) -> bool:
    bare, others = one.rstrip("0123456789"), other.rstrip("0123456789")
    return one == other or (bool(bare) and bare == others and (one == bare or other == others))
