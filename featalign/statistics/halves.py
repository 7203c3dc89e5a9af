"""Statistics of random halves of the rows.

Intervals come from them where N <= D, because features can then fit every row.
"""

from collections.abc import Iterator

import numpy as np

from featalign.arrays import Labels
from featalign.statistics.collected import Statistics
from featalign.statistics.gather import gather
from featalign.statistics.label_orders import ForIntervals
from featalign.statistics.statistic import Statistic
from featalign.strata import class_after_class

NUM_PAIRS = 5
MOST_SHARED = 0.1


def halves(
    statistics: Statistics, needs: frozenset[type[Statistic]]
) -> Iterator[tuple[Statistics, Statistics]]:
    """Pairs of statistics of halves that share few rows or none.

    Classes are split evenly. Both halves hold the rows whose class has no other row, and one more
    row where the number of the rest is odd. There are no pairs where more than a tenth of the rows
    would be in both.

    Half the difference of a score between two such halves has the variance of the score on all rows
    (Politis, Romano and Wolf, "Subsampling", 1999). This also holds where a change of weights says
    nothing because the features fit every row.
    """
    sample = statistics[ForIntervals].sample
    if statistics.num_classes and (np.bincount(sample.labels) == 1).sum() > MOST_SHARED * len(
        sample.labels
    ):
        return
    random = np.random.default_rng([statistics.seed, 3])
    classes = tuple(str(number) for number in range(statistics.num_classes))
    for _ in range(NUM_PAIRS):
        first, second = split_in_halves(
            sample.labels if statistics.num_classes else np.zeros(len(sample.labels), np.int64),
            random,
        )
        pair = (sample.take(places) for places in (first, second))
        one, two = (
            gather(
                rows.features,
                Labels(rows.labels, classes, rows.held.groups),
                needs,
                seed=statistics.seed,
            )
            for rows in pair
        )
        yield one, two


def split_in_halves(
    labels: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Places of two halves of the same size, each with half of every class.

    A row whose class has no other row goes to both.

    >>> first, second = split_in_halves(np.array([0, 0, 1, 1, 2]), np.random.default_rng(0))
    >>> len(first), len(second), 4 in first, 4 in second
    (3, 3, True, True)
    """
    ordered = class_after_class(labels, random)
    counts = np.bincount(labels)
    single = counts[labels[ordered]] == 1
    paired = ordered[~single]
    if len(paired) % 2:
        paired = np.append(paired, paired[-1])
    first, second = (
        np.sort(np.concatenate([paired[start::2], ordered[single]])) for start in (0, 1)
    )
    return first, second
