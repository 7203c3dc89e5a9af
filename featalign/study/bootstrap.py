"""Intervals of statistics of groups, which are drawn with replacement."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from featalign.checks import check_number, check_whole

Group = TypeVar("Group")


@dataclass(frozen=True)
class BootstrapInterval:
    """A statistic of `num_groups` groups and its percentile interval; NaN where undefined."""

    value: float
    low: float
    high: float
    level: float
    num_groups: int


def bootstrap_interval(
    groups: Sequence[Group],
    statistic: Callable[[Sequence[Group]], float],
    *,
    level: float = 0.9,
    num_resamples: int = 1000,
    seed: int = 0,
) -> BootstrapInterval:
    """Percentile interval of a statistic of groups, which are drawn with replacement.

    Groups are targets, so that pairs on one target stay together. A group may be anything: one
    number for the mean of a per-target measure, or arrays that the statistic concatenates for a
    pooled one. Resamples where the statistic is NaN are left out. There is no interval for fewer
    than two groups; with fewer than ten or so it is too narrow.

    >>> interval = bootstrap_interval([0.2, 0.4, 0.6], lambda values: sum(values) / len(values))
    >>> round(interval.value, 3), interval.low < interval.value < interval.high
    (0.4, True)
    """
    between, remedy = "a number between 0 and 1", "0.9 gives the 5% and the 95% quantile"
    check_number(level, "level", between, lambda share: 0 < share < 1, remedy=remedy)
    check_whole(num_resamples, "num_resamples", remedy="a thousand is usual")
    if len(groups) == 0:
        return BootstrapInterval(math.nan, math.nan, math.nan, level, 0)
    value, low, high = float(statistic(groups)), math.nan, math.nan
    if len(groups) > 1:
        draws = (
            np.random.default_rng(seed)
            .integers(len(groups), size=(num_resamples, len(groups)))
            .tolist()
        )
        resampled = np.array(
            [statistic([groups[index] for index in draw]) for draw in draws], dtype=np.float64
        )
        if not np.isnan(resampled).all():
            low, high = np.nanquantile(resampled, [(1 - level) / 2, (1 + level) / 2]).tolist()
    return BootstrapInterval(value, low, high, level, len(groups))
