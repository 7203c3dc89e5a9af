"""TransRate: the coding rate of all rows less that of the classes."""

import math

import numpy as np
from scipy.linalg import eigvalsh, svd

from featalign.scorers.scorer import Influenced, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.rows import Rows
from featalign.statistics.spectrum import Spectrum

DISTORTION = 1e-4
SAFE_CONDITION = 1e8  # up to here a Cholesky factor gives the determinant to about 1e-8


def compute(statistics: Statistics) -> Influenced:
    """TransRate: R(Z) - mean over classes of R(Z_c).

    R(Z) is ½ log det(I + Zᵀ Z / (n ε)), where ε = 1e-4 and n is the number of rows of Z. Z are the
    features (N, D), centred once by the mean of all rows. The value is at least about 0 and
    unbounded above; larger is better. It grows with the scale of the features. R(Z) comes from the
    spectrum; R(Z_c) comes from the rows of one class at a time, by their n_c x n_c Gram where n_c <
    D. Beyond 20,000 rows all of it is computed on the seeded sample, because R depends on the
    number of rows. Huang et al., "Frustratingly Easy Transferability Estimation", ICML 2022.
    Classes count alike, as in the authors' code; some ports weight them by n_c / N.
    """
    rows, spectrum = statistics[Rows], statistics[Spectrum]
    mean = (
        rows.features.mean(axis=0, dtype=np.float64) if rows.sampled else np.asarray(spectrum.mean)
    )
    if rows.sampled:
        whole = _rate(rows.features - mean)
    else:
        ratios = np.asarray(spectrum.eigenvalues) / (len(rows.labels) * DISTORTION)
        whole = float(np.log1p(ratios).sum()) / 2
    members = (rows.features[rows.labels == label] for label in np.unique(rows.labels))
    value = whole - float(np.mean([_rate(features - mean) for features in members]))
    return Influenced(value, lambda: _influences(statistics, mean))


def _influences(statistics: Statistics, mean: np.ndarray) -> np.ndarray:
    """The influences of the rows (M,), with the mean held fixed.

    An influence is half the ridge leverage in all rows less that in the own class, where each is
    less its mean, because the rate divides by the number of rows.
    """
    rows = statistics[Rows]
    centred, count = rows.features.astype(np.float64) - mean, len(rows.labels)
    influences = _leverage(centred)
    classes = np.unique(rows.labels)
    for label in classes:
        members = rows.labels == label
        influences[members] -= _leverage(centred[members]) / len(classes)
    return count * influences


def _leverage(rows: np.ndarray) -> np.ndarray:
    """The derivatives (n,) of ½ log det(I + Zᵀ W Z / (ε Σ w)) in the rows' weights w, at w = 1."""
    count, width = rows.shape
    # a solve would not do, because the ridge may be far below rounding
    left, singular, _ = svd(rows, full_matrices=False)
    squares = np.where(
        singular > max(count, width) * np.finfo(singular.dtype).eps * singular[0], singular**2, 0.0
    )
    hat = (left**2) @ (squares / (squares + count * DISTORTION))
    return (hat - hat.mean()) / 2


def _rate(rows: np.ndarray) -> float:
    """½ log det(I + Zᵀ Z / (n ε)) of centred rows (n, D)."""
    count, width = rows.shape
    product = rows @ rows.T if count < width else rows.T @ rows
    product /= count * DISTORTION
    if np.trace(product) < SAFE_CONDITION:
        product[np.diag_indices_from(product)] += 1
        return float(np.log(np.linalg.cholesky(product).diagonal()).sum())
    eigenvalues = eigvalsh(product)
    noise = max(count, width) * np.finfo(eigenvalues.dtype).eps * eigenvalues[-1]
    return math.fsum(np.log1p(eigenvalues[eigenvalues > noise])) / 2


TRANSRATE = Scorer(
    "transrate",
    compute,
    frozenset({Spectrum, Rows}),
    "coding rate of all rows less that of the classes",
    True,
    invariances=frozenset({"rotation", "shift", "duplication"}),
)
