"""Statistics as they would be if some rows counted a little more.

They give the intervals of scores that have no value per row.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from featalign.statistics.collected import Statistics, label_columns
from featalign.statistics.label_orders import ForIntervals
from featalign.statistics.statistic import Change, Group

NUM_GROUPS = 20
GROUP_ROWS = 100


@dataclass(frozen=True)
class Reweighted:
    """`statistics` with a little more weight for the rows of one of G groups after the other.

    The weight is 1 + a small step, and all rows lose a little, so that N stays. A score θ has the
    standard error `scale` times the deviation (over G - 1) of θ over `statistics`. The derivatives
    of θ in the weights of the rows are its influences, and Var θ = Σ influences² (Jaeckel, "The
    infinitesimal jackknife", 1972). Here they are taken over groups of rows, with small changes.
    """

    statistics: Iterator[Statistics]  # one at a time, because each may be large
    scale: float


def reweighted(statistics: Statistics) -> Reweighted | None:
    """The reweighted statistics from the sample of rows, or None.

    It is None for too few rows, and for features that are not all finite. A statistic that is no
    sum over rows (rows in memory, tables) is left as it is.
    """
    count = len(statistics[ForIntervals].sample.labels)
    if count < 2 * NUM_GROUPS or float(statistics.activity.not_finite) > 0:
        return None
    size = min(count // NUM_GROUPS, GROUP_ROWS)
    order = np.random.default_rng([statistics.seed, 2]).permutation(count)[: size * NUM_GROUPS]
    chosen = np.sort(order.reshape(NUM_GROUPS, size), axis=1)
    step = 1e-6 * statistics.num_rows / size
    return Reweighted(_each(statistics, chosen, step), np.sqrt(statistics.num_rows / size) / step)


def _each(statistics: Statistics, chosen: np.ndarray, step: float) -> Iterator[Statistics]:
    average = jax.tree.map(
        lambda part: part / len(chosen), _changes(statistics, chosen.reshape(-1))
    )
    for places in chosen:
        contrast = jax.tree.map(
            lambda part, mean: step * (part - mean), _changes(statistics, places), average
        )
        moved = {
            kind: each.moved(change) if change else each
            for (kind, each), change in zip(statistics.found.items(), contrast, strict=True)
        }
        yield replace(statistics, found=moved)


def _changes(statistics: Statistics, places: np.ndarray) -> list[Change]:
    """The derivatives of all statistics in the weight of these rows of the sample."""
    sample = statistics[ForIntervals].sample
    group = Group(
        jnp.asarray(sample.features[places]).astype(jnp.float64),
        jnp.asarray(label_columns(sample.labels[places], statistics.num_classes)),
        sample.numbers[places],
    )
    return [{} if each is None else each.derivative(group) for each in statistics.found.values()]
