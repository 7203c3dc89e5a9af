"""PARC: whether rows with like features have like labels."""

import math

import numpy as np

from featalign.records.score import Status
from featalign.scorers.scorer import Influenced, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.principal_rows import PrincipalRows, distance_ranks
from featalign.statistics.rows import Rows

NUM_COMPONENTS = 32
MAX_ROWS = 2000


def compute(statistics: Statistics) -> Influenced | Status:
    """Pairwise annotation representation comparison.

    It is 100 times the Spearman correlation of 1 - corr(f_i, f_j) and 1 - corr(y_i, y_j) over pairs
    of rows i < j. f (M, 32) are the first 32 principal components (all, where there are fewer),
    each divided by its deviation. y (M, C) are the one-hot labels. The value lies in [-100, 100];
    larger is better. It costs M² log M, on a seeded sample beyond 2000 rows (the paper takes 500).
    Bolya, Mittapalli and Hoffman, "Scalable Diverse Model Selection for Accessible Transfer
    Learning", NeurIPS 2021. Its code uses a randomised decomposition that leaves the signs of the
    components to chance, and the correlations depend on them. Here the decomposition is exact and
    each component's third moment is not negative, so that rotating the features changes nothing. A
    row that is the same in all components correlates 0 with the others.
    """
    rows, principal = statistics[Rows], statistics[PrincipalRows]
    if principal.num_live == 0:
        return Status.CONSTANT
    if len(rows.labels) < 3:
        return Status.TOO_FEW_ROWS
    if principal.num_live == 1:
        return Status.UNDEFINED  # rows of one number have no correlation
    return _correlation(
        principal.distance_ranks(min(principal.num_live, NUM_COMPONENTS)),
        _labels_apart(rows.labels, statistics.num_classes),
    )


def _labels_apart(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Ranks of 1 - corr(y_i, y_j) of the label rows, less their mean (pairs,).

    For classes they are 0 and 1, by whether the two labels differ, less their mean.
    """
    if not num_classes:
        return distance_ranks(labels)
    first, second = np.triu_indices(len(labels), 1)
    differs = (labels[first] != labels[second]).astype(np.float64)
    return differs - differs.mean()


def _correlation(ranks: np.ndarray, labels: np.ndarray) -> Influenced | Status:
    """100 times the correlation of two rankings of pairs, both about their means."""
    sizes = float(ranks @ ranks), float(labels @ labels)
    if not sizes[0] * sizes[1] > 0:
        return Status.UNDEFINED
    value = float(ranks @ labels) / math.sqrt(sizes[0] * sizes[1])
    return Influenced(100 * value, lambda: 100 * _influences(ranks, labels, value, sizes))


def _influences(
    ranks: np.ndarray, labels: np.ndarray, value: float, sizes: tuple[float, float]
) -> np.ndarray:
    """The influences of the rows (M,), through their pairs, on the correlation.

    They leave out that a row's weight moves the ranks of other pairs.
    """
    count = round((1 + math.sqrt(1 + 8 * len(ranks))) / 2)
    pairs = ranks * labels / math.sqrt(sizes[0] * sizes[1]) - value / 2 * (
        ranks**2 / sizes[0] + labels**2 / sizes[1]
    )
    square = np.zeros((count, count))
    square[np.triu_indices(count, 1)] = pairs
    return count * (square.sum(axis=0) + square.sum(axis=1))


PARC = Scorer(
    "parc",
    compute,
    frozenset({Rows, PrincipalRows}),
    "rank correlation of distances with differing labels",
    True,
    ("classification", "multilabel"),
    invariances=frozenset({"rotation", "scale", "shift"}),
    max_rows=MAX_ROWS,
)
