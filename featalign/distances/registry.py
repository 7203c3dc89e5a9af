"""All distances, in the order in which they are shown."""

from collections.abc import Iterable

from featalign.arrays import choose
from featalign.distances.distance import Distance, DistanceResult, check_pair
from featalign.distances.frechet import FRECHET
from featalign.distances.histograms import JS, KL, PSI
from featalign.distances.kolmogorov_smirnov import KS
from featalign.distances.mmd import MMD
from featalign.distances.proxy_a_distance import PROXY_A_DISTANCE
from featalign.distances.wasserstein import SLICED_WASSERSTEIN, WASSERSTEIN

DISTANCES: tuple[Distance, ...] = (
    PSI,
    KL,
    JS,
    KS,
    WASSERSTEIN,
    SLICED_WASSERSTEIN,
    MMD,
    FRECHET,
    PROXY_A_DISTANCE,
)

if len({distance.name for distance in DISTANCES}) != len(DISTANCES):
    raise RuntimeError("two distances in featalign/distances/registry.py have the same name")


def select(names: Iterable[str] | None = None) -> tuple[Distance, ...]:
    """The distances of these names, in the order of the names; without names, all of them.

    Raises FeatalignError for a name that does not exist.

    >>> [distance.name for distance in select(["psi", "mmd"])]
    ['psi', 'mmd']
    """
    if names is None:
        return DISTANCES
    return choose({distance.name: distance for distance in DISTANCES}, names, "distances")


def measure(
    reference: object, other: object, names: Iterable[str] | None = None, *, seed: int = 0
) -> dict[str, DistanceResult]:
    """Distances of reference features (N, D) and others (M, D) by name.

    They know nothing of labels, of what training makes of the features, or of how many rows the
    target has, though these decide whether transfer beats training from scratch. Raises
    FeatalignError for features that cannot be compared and for names that do not exist.

    >>> import numpy as np
    >>> random = np.random.default_rng(0)
    >>> reference, other = random.normal(size=(200, 3)), random.normal(1, 1, size=(200, 3))
    >>> found = measure(reference, other, ["ks", "proxy_a_distance"])
    >>> [round(result.value, 1) for result in found.values()]
    [0.4, 1.2]
    """
    first, second = check_pair(reference, other)
    return {distance.name: distance.compute(first, second, seed) for distance in select(names)}
