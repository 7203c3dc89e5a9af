"""Fréchet distance of two Gaussians."""

import numpy as np

from featalign.distances.distance import Distance, DistanceResult


def frechet(reference: np.ndarray, other: np.ndarray, seed: int) -> DistanceResult:
    """Squared Fréchet distance of the Gaussians with the means and covariances of both sets.

    It is |μ - ν|² + tr(S + T - 2 (S T)^½), at least 0 and in squared units of the features. There
    is no conventional threshold. The value grows as the numbers of rows fall, so compare values
    only within one source and at like numbers of rows. It is the squared 2-Wasserstein distance of
    the Gaussians, and with Inception features the FID of Heusel et al., 2017. tr (S T)^½ is the sum
    of the singular values of A Bᵀ, where A and B are the centred sets over the root of their number
    of rows less one. Nothing of size D x D is therefore decomposed where there are fewer rows.
    """
    del seed
    first, second = (
        (each - each.mean(axis=0)) / np.sqrt(len(each) - 1) for each in (reference, other)
    )
    traces = (first**2).sum() + (second**2).sum()
    left, right = (
        np.asarray(np.linalg.qr(each, mode="r")) if len(each) > each.shape[1] else each
        for each in (first, second)
    )
    common = np.linalg.svd(left @ right.T, compute_uv=False).sum()
    means = ((reference.mean(axis=0) - other.mean(axis=0)) ** 2).sum()
    return DistanceResult(max(0.0, float(means + traces - 2 * common)))


FRECHET = Distance("frechet", frechet, "squared Fréchet distance of Gaussians")
