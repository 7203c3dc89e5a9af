"""Sparsity of activated features: share of activity, dead columns, Hoyer, and Treves and Rolls."""

import numpy as np

from featalign.records.score import Status
from featalign.scorers.scorer import ALL_TASKS, Scorer
from featalign.statistics.collected import Statistics


def active_fraction(statistics: Statistics) -> float | Status:
    """Share of entries that are not zero, in [0, 1]."""
    return float(statistics.activity.active) / (statistics.num_rows * statistics.num_features)


def dead_fraction(statistics: Statistics) -> float | Status:
    """Share of columns that are zero on every row, in [0, 1]; smaller is better."""
    return float(np.mean(np.asarray(statistics.activity.column_active) == 0))


def hoyer(statistics: Statistics) -> float | Status:
    """Mean over the rows that are not all zero of (√D - l1/l2) / (√D - 1).

    It is 0 for equal entries and 1 for a single active one. It is not defined for D = 1 or when all
    rows are zero. Hoyer, "Non-negative matrix factorization with sparseness constraints", JMLR
    2004.
    """
    if statistics.num_features == 1 or not float(statistics.activity.live_rows) > 0:
        return Status.UNDEFINED
    return float(statistics.activity.row_sparsity) / float(statistics.activity.live_rows)


def treves_rolls(statistics: Statistics) -> float | Status:
    """Mean over live columns of 1 - (mean |x|)² / mean x², over rows.

    This lifetime sparseness is 0 for equal entries and goes towards 1 for rare ones. It is not
    defined when all columns are zero. Treves and Rolls 1991, in the form of Vinje and Gallant 2000.
    """
    live = np.asarray(statistics.activity.column_active) > 0
    if not live.any():
        return Status.UNDEFINED
    means = np.asarray(statistics.activity.column_sums)[live] / statistics.num_rows
    squares = np.asarray(statistics.activity.column_squares)[live] / statistics.num_rows
    if not squares.all():  # values are too small to square
        return Status.UNDEFINED
    return float(np.mean(1 - means**2 / squares))


_INVARIANCES = frozenset({"scale", "duplication"})
ACTIVE_FRACTION = Scorer(
    "active_fraction",
    active_fraction,
    frozenset(),
    "share of entries that are not zero",
    None,
    ALL_TASKS,
    False,
    _INVARIANCES,
)
DEAD_FRACTION = Scorer(
    "dead_fraction",
    dead_fraction,
    frozenset(),
    "share of columns that are always zero",
    False,
    ALL_TASKS,
    False,
    _INVARIANCES,
)
HOYER = Scorer(
    "hoyer", hoyer, frozenset(), "sparsity of a row", None, ALL_TASKS, False, _INVARIANCES
)
TREVES_ROLLS = Scorer(
    "treves_rolls",
    treves_rolls,
    frozenset(),
    "sparsity of a column over rows",
    None,
    ALL_TASKS,
    False,
    _INVARIANCES,
)
