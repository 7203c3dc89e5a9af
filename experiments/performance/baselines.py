"""What peers compute, written anew from their published definitions, as slow baselines."""

import numpy as np
import scipy.linalg


def logme_by_svd(features: np.ndarray, labels: np.ndarray) -> float:
    """LogME from the SVD of the features (You et al. 2021)."""
    rows = features.astype(np.float64)
    left, singular, _ = scipy.linalg.svd(rows, full_matrices=False)
    return _evidence(left, singular**2, rows.shape[1], labels)


def logme_by_gram(features: np.ndarray, labels: np.ndarray) -> float:
    """LogME from the SVD of the D x D Gram matrix, for N > D.

    This is the way of the first implementation.
    """
    rows = features.astype(np.float64)
    vectors, values, _ = scipy.linalg.svd(rows.T @ rows)
    live = values > 1e-20 * values[0]
    return _evidence(
        rows @ (vectors[:, live] / np.sqrt(values[live])), values[live], rows.shape[1], labels
    )


def _evidence(left: np.ndarray, values: np.ndarray, width: int, labels: np.ndarray) -> float:
    """The fixed point of each class, one after the other.

    It is stopped as published (after 11 steps, or at a change below 1e-3).
    """
    count, evidence = len(left), []
    for one in np.unique(labels):
        column = (labels == one).astype(np.float64)
        projections = (left.T @ column) ** 2
        outside = column @ column - projections.sum()
        alpha = beta = 1.0
        size = residual = 0.0
        for _ in range(11):
            ratio = alpha / beta
            effective = (values / (values + ratio)).sum()
            size = (values * projections / (values + ratio) ** 2).sum()
            residual = (projections / (1 + values / ratio) ** 2).sum() + outside
            alpha, beta = effective / (size + 1e-5), (count - effective) / (residual + 1e-5)
            if abs(alpha / beta - ratio) / ratio <= 1e-3:
                break
        determinant = np.log(alpha + beta * values).sum() + (width - len(values)) * np.log(alpha)
        total = (
            width * np.log(alpha)
            + count * np.log(beta)
            - determinant
            - beta * residual
            - alpha * size
            - count * np.log(2 * np.pi)
        )
        evidence.append(total / 2 / count)
    return float(np.mean(evidence))


def h_score_by_pinv(features: np.ndarray, labels: np.ndarray) -> float:
    """H-score from the pseudo-inverse of the covariance by SVD (Bao et al. 2019)."""
    rows = features.astype(np.float64)
    centred = rows - rows.mean(axis=0)
    means = np.zeros_like(centred)
    for one in np.unique(labels):
        means[labels == one] = centred[labels == one].mean(axis=0)
    return float(np.trace(np.linalg.pinv(centred.T @ centred, rcond=1e-15) @ (means.T @ means)))
