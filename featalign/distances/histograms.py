"""Distances of histograms, one for each feature.

They are the population stability index and the divergences of Kullback-Leibler and Jensen-Shannon.
"""

from collections.abc import Callable

import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

from featalign.distances.distance import Distance, DistanceResult

NUM_BINS, FLOOR = 10, 1e-4


def shares(reference: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares (B,) of two columns (N,) and (M,) in bins between the deciles of the first.

    No share is below 1e-4. Bins include their upper edge, so that a value that many rows share,
    such as the zero of a rectified feature, has a bin of its own. Equal deciles are one edge. A
    constant reference has three bins: below, at, and above it.
    """
    edges = np.unique(np.quantile(reference, np.arange(1, NUM_BINS) / NUM_BINS))
    if reference.min() == reference.max():
        edges = np.array([np.nextafter(reference[0], -np.inf), reference[0]])
    counts = [
        np.bincount(np.searchsorted(edges, column, side="left"), minlength=len(edges) + 1)
        for column in (reference, other)
    ]
    first, second = (np.maximum(count / count.sum(), FLOOR) for count in counts)
    return first, second


def _mean_over_features(
    reference: np.ndarray, other: np.ndarray, measure: Callable[[np.ndarray, np.ndarray], float]
) -> DistanceResult:
    found = np.array(
        [
            measure(*shares(first, second))
            for first, second in zip(reference.T, other.T, strict=True)
        ]
    )
    return DistanceResult(float(found.mean()), found)


def psi(reference: np.ndarray, other: np.ndarray, seed: int) -> DistanceResult:
    """Population stability index: Σ (q - p) ln(q / p), averaged over features.

    p and q are the shares of reference and other in the reference's deciles. The value is at least
    0 (the same shares) and symmetric in p and q. By convention a value below 0.1 is stable, 0.1 to
    0.25 is a moderate and above 0.25 a major change. It is the sum of both Kullback-Leibler
    divergences. With few rows it is above 0 by chance: about 9 (1/N + 1/M).
    """
    del seed
    return _mean_over_features(
        reference, other, lambda p, q: float(((q - p) * np.log(q / p)).sum())
    )


def kl(reference: np.ndarray, other: np.ndarray, seed: int) -> DistanceResult:
    """Kullback-Leibler divergence: Σ p ln(p / q) in nats, averaged over features.

    p and q are the shares of reference and other in the reference's deciles. The value is about 0
    or more (the floor makes shares sum to a little more than 1), and not symmetric. There is no
    conventional threshold.
    """
    del seed
    return _mean_over_features(reference, other, lambda p, q: float(rel_entr(p, q).sum()))


def js(reference: np.ndarray, other: np.ndarray, seed: int) -> DistanceResult:
    """Jensen-Shannon divergence in bits, averaged over features.

    It is KL(p | m) / 2 + KL(q | m) / 2 with m = (p + q) / 2, where p and q are the shares of
    reference and other in the reference's deciles. It goes from 0 (the same shares) to 1 (no common
    bin; 0.76 where all of the other lies beyond one end of the reference), and is symmetric in p
    and q. Its square root is a metric. A threshold of 0.1 for the root, as monitors have it, is one
    of 0.01 here.
    """
    del seed
    return _mean_over_features(
        reference, other, lambda p, q: float(jensenshannon(p, q, base=2) ** 2)
    )


PSI = Distance("psi", psi, "population stability index, mean over features", threshold=0.25)
KL = Distance("kl", kl, "Kullback-Leibler divergence of histograms, mean over features (nats)")
JS = Distance(
    "js",
    js,
    "Jensen-Shannon divergence of histograms, mean over features (bits)",
    1.0,
    threshold=0.01,
)
