"""Wasserstein distance of each feature, and of random directions."""

import numpy as np

from featalign.distances.distance import Distance, DistanceResult

NUM_DIRECTIONS = 100


def wasserstein(reference: np.ndarray, other: np.ndarray, seed: int) -> DistanceResult:
    """First Wasserstein distance in units of the reference's deviation: ∫ |F(t) - G(t)| dt / s.

    The value is averaged over features. It is at least 0 (the same samples) and has no upper bound;
    by convention above 0.1 means different. s is the deviation of the reference's column, or of
    both together where that one is constant. The distance of the joint distribution is not offered,
    because in a hundred dimensions it measures the noise of sampling: it is as large for two
    samples of one law as between different laws.
    """
    del seed
    found = np.array(
        [_scaled(first, second) for first, second in zip(reference.T, other.T, strict=True)]
    )
    return DistanceResult(float(found.mean()), found)


def sliced_wasserstein(reference: np.ndarray, other: np.ndarray, seed: int) -> DistanceResult:
    """The Wasserstein distance along 100 seeded random directions, averaged over them.

    It sees some of how features go together, by which sets with equal columns may differ. Each
    direction is in units of the reference's deviation along it. Above 0.1 means different by
    convention. Rabin et al., "Wasserstein barycenter and its application to texture mixing", 2011.
    """
    directions = np.random.default_rng(seed).normal(size=(reference.shape[1], NUM_DIRECTIONS))
    directions /= np.sqrt((directions**2).sum(axis=0))
    return DistanceResult(wasserstein(reference @ directions, other @ directions, seed).value)


def _scaled(first: np.ndarray, second: np.ndarray) -> float:
    from scipy.stats import wasserstein_distance  # half a second that nothing else needs

    deviation = first.std() if first.min() < first.max() else np.concatenate([first, second]).std()
    distance = float(wasserstein_distance(first, second))
    return distance / float(deviation) if distance > 0 and deviation > 0 else 0.0


WASSERSTEIN = Distance(
    "wasserstein",
    wasserstein,
    "Wasserstein distance in deviations of the reference, mean over features",
    threshold=0.1,
)
SLICED_WASSERSTEIN = Distance(
    "sliced_wasserstein", sliced_wasserstein, "the same along random directions", threshold=0.1
)
