"""k nearest neighbours, leaving one out."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from featalign.scorers.scorer import Scorer, Status
from featalign.statistics.gather import Statistics

BLOCK = 512


def compute(statistics: Statistics, *, neighbours: int = 5) -> float | Status:
    """Leave-one-out accuracy of k nearest neighbours: Euclidean on raw features, majority vote, ties to the smallest label.

    In [0, 1], larger is better. Equally near neighbours are taken in the order of the rows. Cost: N² D, in blocks of 512 rows, so memory
    stays at a few blocks of N distances. Cover and Hart, "Nearest neighbor pattern classification", 1967.
    """
    assert statistics.rows is not None
    features, labels = statistics.rows.features, statistics.rows.labels
    if len(labels) <= neighbours:
        return Status.TOO_FEW_ROWS
    centred = _centred(features)
    hits = 0
    for start in range(0, len(labels), BLOCK):
        begin = min(start, max(len(labels) - BLOCK, 0))  # the last block reaches back, so that all have one shape
        correct = _correct(centred, labels, begin, neighbours=neighbours, num_classes=statistics.num_classes, size=min(BLOCK, len(labels)))
        hits += int(np.asarray(correct)[start - begin :].sum())
    return hits / len(labels)


@jax.jit
def _centred(features: jax.Array) -> jax.Array:
    """Features about their mean, in float64: distances stay the same, cancellation does not.

    The mean is rounded to a power of two near the spread, so that whole numbers stay whole and equal distances stay equal.
    """
    features = features.astype(jnp.float64)
    mean = features.mean(axis=0)
    _, exponent = jnp.frexp(jnp.abs(features - mean).max())
    step = jnp.ldexp(1.0, exponent - 1)
    return features - jnp.round(mean / step) * step


@partial(jax.jit, static_argnames=("neighbours", "num_classes", "size"))
def _correct(features: jax.Array, labels: jax.Array, begin: int, *, neighbours: int, num_classes: int, size: int) -> jax.Array:
    """Whether the vote is right, for `size` rows from `begin`."""
    queries = jax.lax.dynamic_slice_in_dim(features, begin, size)
    squares = (features**2).sum(axis=1)
    distances = squares - 2 * queries @ features.T  # the query's own square changes no order
    rows = jnp.arange(size)
    distances = distances.at[rows, begin + rows].set(jnp.inf)
    votes = jnp.zeros((size, num_classes))
    for _ in range(neighbours):
        nearest = distances.argmin(axis=1)
        votes = votes.at[rows, labels[nearest]].add(1.0)
        distances = distances.at[rows, nearest].set(jnp.inf)
    return votes.argmax(axis=1) == jax.lax.dynamic_slice_in_dim(labels, begin, size)


_INVARIANCES = frozenset({"rotation", "scale", "shift"})
_SUMMARY = "leave-one-out accuracy of {} nearest neighbour{}"


def _scorer(name: str, neighbours: int, *, variant: bool) -> Scorer:
    summary = _SUMMARY.format(neighbours, "" if neighbours == 1 else "s")
    return Scorer(name, partial(compute, neighbours=neighbours), frozenset({"rows"}), summary, True, invariances=_INVARIANCES, variant=variant)


KNN = _scorer("knn", 5, variant=False)
KNN_1 = _scorer("knn_1", 1, variant=True)
KNN_5 = _scorer("knn_5", 5, variant=True)
