"""Ridge regression that leaves out one group of rows at a time, exactly."""

import numpy as np

from featalign.statistics.spectrum import Spectrum


def leave_group_out(
    spectrum: Spectrum,
    rows: np.ndarray,
    targets: np.ndarray,
    groups: np.ndarray,
    relative_penalties: tuple[float, ...],
) -> np.ndarray:
    """Predictions (N, K) of targets, each row by the fit without the rows of its group (N,).

    `rows` are U √Λ (N, R) of the spectrum of these rows. Leaving out the rows g changes their
    residuals r_g to (I - H_gg)⁻¹ r_g, where H = A Aᵀ is the hat matrix with a free intercept and
    A = (1/√N, U √Λ (Λ + p)^-½). Where a group has more rows than A has columns this is
    r_g + A_g (I - A_gᵀ A_g)⁻¹ A_gᵀ r_g. The penalty p is the one with the smallest sum of squared
    residuals. Predictions are NaN where no penalty has a finite one.
    """
    values = np.asarray(spectrum.eigenvalues)[: rows.shape[1]]
    cross = np.sqrt(values)[:, None] * np.asarray(spectrum.label_projections)[: rows.shape[1]]
    means = np.asarray(spectrum.label_means)
    centred, intercept = targets - means, np.full((len(rows), 1), len(rows) ** -0.5)
    members = np.split(
        np.argsort(groups, kind="stable"), np.cumsum(np.unique_counts(groups).counts)[:-1]
    )
    least, best = np.inf, np.full(targets.shape, np.nan)
    for relative in relative_penalties:
        inverse = 1 / (values + relative * values.mean())
        residuals = centred - rows @ (inverse[:, None] * cross)
        hat = np.concatenate([intercept, rows * np.sqrt(inverse)], axis=1)
        for some in members:
            residuals[some] = _left_out(hat[some], residuals[some])
        error = float((residuals**2).sum())
        if error < least:
            least, best = error, residuals
    return targets - best


def _left_out(hat: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """(I - A Aᵀ)⁻¹ r for A (M, R) and r (M, K), by the smaller of two systems."""
    if len(hat) <= hat.shape[1]:
        return np.linalg.solve(np.eye(len(hat)) - hat @ hat.T, residuals)
    inner = np.eye(hat.shape[1]) - hat.T @ hat
    return residuals + hat @ np.linalg.solve(inner, hat.T @ residuals)
