"""The k nearest neighbours, leaving one row out at a time."""

from functools import partial

import numpy as np

from featalign.records.score import Status
from featalign.scorers.ridge_probe import explained
from featalign.scorers.scorer import ALL_TASKS, Influenced, RowMean, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.rows import Rows


def compute(statistics: Statistics, *, count: int = 5) -> RowMean | Influenced | Status:
    """Leave-one-out accuracy of k nearest neighbours.

    Distances are Euclidean on raw features. The majority of the neighbours decides, and ties go to
    the smallest label. With several labels a row, each label is decided by more than half of the
    neighbours, and the value is the mean share of a row's labels that are right. For float targets
    the value is R² of the mean of the neighbours' targets, averaged over columns. Larger is better.
    Equally near neighbours are taken in the order of the rows, and with groups those of the row's
    own group are left out with it. It costs N² D in float32. Cover and
    Hart, "Nearest neighbor pattern classification", 1967.
    """
    rows, labels = statistics[Rows], statistics[Rows].labels
    if rows.held.most_neighbours < count:
        return Status.TOO_FEW_ROWS
    around = labels[rows.held.neighbours(count)]  # (M, k) or (M, k, K)
    if statistics.task == "classification":
        votes = np.zeros((len(labels), statistics.num_classes), np.uint8)
        np.add.at(votes, (np.arange(len(labels))[:, None], around), 1)
        return RowMean((votes.argmax(axis=1) == labels).astype(np.float64), hits=True)
    if statistics.task == "multilabel":
        return RowMean(((around.mean(axis=1) > 0.5) == (labels > 0)).mean(axis=1))
    return explained(labels, around.mean(axis=1))


_INVARIANCES = frozenset({"rotation", "scale", "shift"})
_SUMMARY = "leave-one-out accuracy (or R²) of {} nearest neighbour{}"


def _scorer(name: str, count: int, *, variant: bool) -> Scorer:
    summary = _SUMMARY.format(count, "" if count == 1 else "s")
    compute_with = partial(compute, count=count)
    return Scorer(
        name,
        compute_with,
        frozenset({Rows}),
        summary,
        True,
        ALL_TASKS,
        invariances=_INVARIANCES,
        variant=variant,
        unit="percent",
    )


KNN = _scorer("knn", 5, variant=False)
KNN_1 = _scorer("knn_1", 1, variant=True)
KNN_5 = _scorer("knn_5", 5, variant=True)
