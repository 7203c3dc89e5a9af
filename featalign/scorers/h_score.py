"""H-score, plain and shrunk."""

import numpy as np

from featalign.records.score import Status
from featalign.scorers.scorer import Scorer
from featalign.statistics.class_moments import ClassMoments
from featalign.statistics.collected import Statistics
from featalign.statistics.moments import Moments
from featalign.statistics.spectrum import Spectrum


def compute(statistics: Statistics) -> float | Status:
    """H-score: tr(cov(F)⁺ cov(E[F | y])), both covariances with N - 1.

    In [0, min(C - 1, D)], larger is better; at N <= D it is C - 1 for generic features and says
    nothing: use the shrunk form. Bao et al., "An Information-Theoretic Approach to Transferability
    in Task Transfer Learning", ICIP 2019.
    """
    return float(_between(statistics[Spectrum], statistics[ClassMoments]).sum())


def compute_shrunk(statistics: Statistics) -> float | Status:
    """H-score with the covariance shrunk: tr(cov_a(F)⁻¹ (1 - a) cov(E[F | y])).

    The share a is that of Ledoit and Wolf.

    cov_a = (1 - a) cov + a tr(cov)/D I with cov over N, the covariance of class means over N - 1.
    Larger is better. Ibrahim, Ponomareva and Mazumder, "Newer is Not Always Better: Rethinking
    Transferability Metrics", 2021; a from Ledoit and Wolf, "A well-conditioned estimator for
    large-dimensional covariance matrices", 2004.
    """
    spectrum, quartic = statistics[Spectrum], float(statistics[Moments].quartic)
    if spectrum.is_constant:
        return Status.CONSTANT
    values, count = np.asarray(spectrum.eigenvalues), float(spectrum.count)
    shrinkage, average = ledoit_wolf(values, quartic, count, statistics.num_features)
    between = values * _between(spectrum, statistics[ClassMoments]) / (count - 1)
    shrunk = (1 - shrinkage) * values / count + shrinkage * average
    return float((1 - shrinkage) * (between[between > 0] / shrunk[between > 0]).sum())


def _between(spectrum: Spectrum, classes: ClassMoments) -> np.ndarray:
    """Per direction of U the square of the labels' share: Σ_c (u·y_c)² / n_c, (R,)."""
    squares = np.asarray(spectrum.label_projections) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):  # not defined where a class has no row
        return (squares / np.asarray(classes.counts)).sum(axis=1)


def ledoit_wolf(
    eigenvalues: np.ndarray,
    quartic: float,
    count: float,
    width: int,
) -> tuple[float, float]:
    """The shrinkage a in [0, 1] and the mean variance tr(cov)/D.

    With cov over N and m = tr(cov)/D: δ² = |cov - m I|² , β² = (Σ|z|⁴/N - |cov|²)/N, a = min(β²,
    δ²)/δ².
    """
    trace = float(eigenvalues.sum()) / count
    square = float((eigenvalues**2).sum()) / count**2
    average = trace / width
    distance = square - trace * average
    noise = max((quartic / count - square) / count, 0.0)
    return min(noise, distance) / distance if distance > 0 else 0.0, average


_INVARIANCES = frozenset({"rotation", "scale", "shift"})
H_SCORE = Scorer(
    "h_score",
    compute,
    frozenset({Spectrum, ClassMoments}),
    "share of class means in the whitened features",
    True,
    invariances=_INVARIANCES,
)
H_SCORE_SHRUNK = Scorer(
    "h_score_shrunk",
    compute_shrunk,
    frozenset({Spectrum, Moments, ClassMoments}),
    "H-score with the Ledoit-Wolf covariance",
    True,
    invariances=_INVARIANCES,
)
