"""Statistics as they would be with some rows counted a little more.

Intervals of scores without a value per row are made from them.
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
    """`statistics` with the rows of each of G groups given a little more weight.

    The weight is 1 + `step`, and all rows have a little less, so that N stays.

    A score θ has the standard error `scale` times the deviation (G - 1) of θ over `statistics`: its
    derivatives in the weights of the rows are its influences, and Var θ = Σ influences² (Jaeckel,
    "The infinitesimal jackknife", 1972), here over groups of rows, with small changes.
    """

    statistics: Iterator[Statistics]  # one at a time: each may be large
    scale: float


def reweighted(statistics: Statistics) -> Reweighted | None:
    """The reweighted statistics from the sample of rows; None for too few rows.

    What is no sum over rows (held rows, tables) is left as it is.
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
    """The derivative of each statistic in the weight of these rows of the sample."""
    sample = statistics[ForIntervals].sample
    group = Group(
        jnp.asarray(sample.features[places]).astype(jnp.float64),
        jnp.asarray(label_columns(sample.labels[places], statistics.num_classes)),
        sample.numbers[places],
    )
    return [{} if each is None else each.derivative(group) for each in statistics.found.values()]
