"""Rows whose features are nearly those of another row, in a way that chance does not explain."""

import numpy as np

from featalign.statistics.nearest import nearest

NEIGHBOURS = 5
SIMILAR = 0.99  # the least cosine of near copies
CLOSER = 0.2  # at most this part of the distance to the fifth neighbour
BY_CHANCE = 0.01  # near copies that are expected of rows without any
# the median of -log(d_2 / d_5) times the dimension, of points that are spread evenly about a point:
# minus the logarithm of the median of a Beta(2, 3)
MEDIAN = 0.9527


def near_copies(
    features: np.ndarray, others: np.ndarray | None = None, *, groups: np.ndarray | None = None
) -> np.ndarray:
    """Which rows are near copies of a row (N,): of another one, or with `others` of one of those.

    Rows are the features less the mean of those compared with, scaled to length 1. A row i is a
    near copy of its nearest neighbour where their cosine is at least 0.99 and their distance d_1 is
    less than a part t of the distance d_5 to the fifth. The rule compares a row with its own
    surroundings: where classes are dense, features have collapsed or all rows are much alike, the
    fifth neighbour is near too, and nothing is said. For points of m dimensions the chance of
    d_1 < t d_5 is about 4 t^m, so that t = min(0.2, (0.01 / 4 N)^(1/m)) lets 0.01 rows pass by
    chance; m comes from the median of d_2 / d_5 (in the manner of Levina and Bickel, NeurIPS 2004).
    Rows of one group are not compared. Nothing is found where rows have fewer than five neighbours,
    and of more than four copies of one row.

    >>> random = np.random.default_rng(0)
    >>> rows = random.normal(size=(100, 20))
    >>> near_copies(np.concatenate([rows, rows[:3] + 1e-3])).sum()
    np.int64(6)
    """
    among = features if others is None else others
    mean = among.mean(axis=0, dtype=np.float64)
    rows = _directions(among, mean)
    count, own = len(rows), groups
    if others is not None:
        own = np.concatenate([np.arange(count), np.full(len(features), count)])
        rows = np.concatenate([rows, _directions(features, mean)])
    largest = 1 if own is None else int(np.bincount(np.unique(own, return_inverse=True)[1]).max())
    found = np.zeros(len(features), bool)
    if len(rows) - largest < NEIGHBOURS or not np.isfinite(rows).all():
        return found
    first = 0 if others is None else count
    around = nearest(rows, NEIGHBOURS, own)[first:]
    asked = rows[first:]
    distances = np.stack(
        [np.linalg.norm(asked - rows[around[:, place]], axis=1) for place in range(NEIGHBOURS)],
        axis=1,
    )
    last = distances[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.where(last > 0, np.log(last / distances[:, 1]), np.nan)
    known = apart[~np.isnan(apart)]
    middle = float(np.median(known)) if len(known) else 0.0
    if not (0 < middle < np.inf) or 2 * len(known) < len(found):
        return found
    part = min(CLOSER, (BY_CHANCE / (4 * len(found))) ** (middle / MEDIAN))
    cosine = 1 - distances[:, 0] ** 2 / 2
    found |= (cosine >= SIMILAR) & (distances[:, 0] < part * last)
    return found


def _directions(features: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Rows less the mean, of length 1 (N, D); a row at the mean is 0."""
    rows = features.astype(np.float64) - mean
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    largest = float(lengths.max(initial=0.0))
    clear = lengths > 1e-6 * largest
    return np.divide(rows, lengths, out=np.zeros_like(rows), where=clear & (lengths > 0))
