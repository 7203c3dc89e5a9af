"""Sparsity of activated features: share of activity, dead columns, Hoyer and Treves-Rolls."""

import jax
import jax.numpy as jnp

from featalign.scorers.scorer import BOTH, Scorer, Status
from featalign.statistics.gather import Statistics


def active_fraction(statistics: Statistics) -> jax.Array | Status:
    """Share of entries that are not zero, in [0, 1]."""
    return statistics.activity.active / (statistics.num_rows * statistics.num_features)


def dead_fraction(statistics: Statistics) -> jax.Array | Status:
    """Share of columns that are zero on every row, in [0, 1]; smaller is better."""
    return (statistics.activity.column_active == 0).sum() / statistics.num_features


def hoyer(statistics: Statistics) -> jax.Array | Status:
    """Mean over the rows that are not all zero of (√D - l1/l2) / (√D - 1): 0 for equal entries, 1 for a single active one.

    Hoyer, "Non-negative matrix factorization with sparseness constraints", JMLR 2004. Not defined for D = 1 or when all rows are zero.
    """
    if statistics.num_features == 1 or not float(statistics.activity.live_rows) > 0:
        return Status.UNDEFINED
    return statistics.activity.row_sparsity / statistics.activity.live_rows


def treves_rolls(statistics: Statistics) -> jax.Array | Status:
    """Mean over live columns of 1 - (mean |x|)² / mean x², over rows (lifetime sparseness): 0 for equal entries, towards 1 for rare ones.

    Treves and Rolls 1991, in the form of Vinje and Gallant 2000. Not defined when all columns are zero.
    """
    activity = statistics.activity
    live = activity.column_active > 0
    if not bool(live.any()):
        return Status.UNDEFINED
    means = activity.column_sums / statistics.num_rows
    squares = activity.column_squares / statistics.num_rows
    sparseness = 1 - means**2 / jnp.where(live, squares, 1.0)
    return jnp.where(live, sparseness, 0.0).sum() / live.sum()


_INVARIANCES = frozenset({"scale", "duplication"})
ACTIVE_FRACTION = Scorer("active_fraction", active_fraction, frozenset(), "share of entries that are not zero", None, BOTH, False, _INVARIANCES)
DEAD_FRACTION = Scorer("dead_fraction", dead_fraction, frozenset(), "share of columns that are always zero", False, BOTH, False, _INVARIANCES)
HOYER = Scorer("hoyer", hoyer, frozenset(), "sparsity of a row", None, BOTH, False, _INVARIANCES)
TREVES_ROLLS = Scorer("treves_rolls", treves_rolls, frozenset(), "sparsity of a column over rows", None, BOTH, False, _INVARIANCES)
