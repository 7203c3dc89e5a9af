"""Maximum mean discrepancy with a Gaussian kernel."""

import numpy as np
from scipy.spatial.distance import cdist

from featalign.distances.distance import Distance, DistanceResult

NUM_PERMUTATIONS = 200


def mmd(reference: np.ndarray, other: np.ndarray, seed: int) -> DistanceResult:
    """Unbiased squared maximum mean discrepancy.

    It is mean k(x, x') + mean k(y, y') - 2 mean k(x, y), over pairs of different rows.

    Here k(x, y) = exp(-|x - y|² / (2 ℓ²)), and ℓ² is the median squared distance of different rows
    of both sets together. The value is 0 on average for two samples of one distribution, so it can
    be negative; it is below 2. The p-value is the share of orders of the rows, 200 seeded ones and
    the given one, with at least this value. By convention p < 0.05 means different. Gretton et al.,
    "A kernel two-sample test", JMLR 2012.
    """
    rows = np.concatenate([reference, other])
    squares = cdist(rows, rows, "sqeuclidean")
    upper = squares[np.triu_indices(len(rows), 1)]
    width = np.median(upper) or upper.max()
    if width == 0:
        return DistanceResult(0.0, p_value=1.0)
    kernel = np.exp(-squares / (2 * width))
    np.fill_diagonal(kernel, 0.0)
    member = np.zeros((NUM_PERMUTATIONS + 1, len(rows)))
    member[0, : len(reference)] = 1.0
    random = np.random.default_rng(seed)
    for order in member[1:]:
        order[random.permutation(len(rows))[: len(reference)]] = 1.0
    values = _discrepancies(kernel, member, len(reference), len(other))
    return DistanceResult(float(values[0]), p_value=float(np.mean(values >= values[0] - 1e-12)))


def _discrepancies(kernel: np.ndarray, member: np.ndarray, first: int, second: int) -> np.ndarray:
    """The value (P,) for each row of `member` (P, N + M), which says what is in the first set."""
    towards = member @ kernel
    within = (towards * member).sum(axis=1)
    between = towards.sum(axis=1) - within
    rest = kernel.sum() - 2 * between - within
    return (
        within / (first * (first - 1))
        + rest / (second * (second - 1))
        - 2 * between / (first * second)
    )


MMD = Distance(
    "mmd", mmd, "squared maximum mean discrepancy, Gaussian kernel", 2.0, p_threshold=0.05
)
