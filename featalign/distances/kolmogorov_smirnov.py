"""The two-sample Kolmogorov-Smirnov test, one for each feature."""

import numpy as np

from featalign.distances.distance import Distance, DistanceResult


def ks(reference: np.ndarray, other: np.ndarray, seed: int) -> DistanceResult:
    """Largest difference of two empirical distribution functions, max_t |F(t) - G(t)|.

    The value is averaged over features. It goes from 0 (the same samples) to 1 (no overlap). The
    p-value is the smallest over the features times their number (Bonferroni), at most 1, from the
    asymptotic law. By convention p < 0.05 means different; with thousands of rows even tiny
    differences pass it.
    """
    from scipy.stats import ks_2samp  # half a second that nothing else needs

    del seed
    tests = [
        ks_2samp(first, second, method="asymp")
        for first, second in zip(reference.T, other.T, strict=True)
    ]
    found, p_values = (
        np.array([test[place] for test in tests], dtype=np.float64) for place in (0, 1)
    )
    return DistanceResult(float(found.mean()), found, min(1.0, len(tests) * float(p_values.min())))


KS = Distance("ks", ks, "Kolmogorov-Smirnov statistic, mean over features", 1.0, p_threshold=0.05)
