"""H-score, plain and shrunk."""

import numpy as np

from featalign.records.score import Status
from featalign.scorers.scorer import Scorer
from featalign.statistics.class_moments import ClassMoments
from featalign.statistics.collected import Statistics
from featalign.statistics.moments import Moments
from featalign.statistics.shrinkage import ledoit_wolf
from featalign.statistics.spectrum import Spectrum


def compute(statistics: Statistics) -> float | Status:
    """H-score: tr(cov(F)⁺ cov(E[F | y])), where both covariances divide by N - 1.

    It lies in [0, min(C - 1, D)]; larger is better. At N <= D it is C - 1 for generic features and
    says nothing; use the shrunk form there. Bao et al., "An Information-Theoretic Approach to
    Transferability in Task Transfer Learning", ICIP 2019.
    """
    return float(_between(statistics[Spectrum], statistics[ClassMoments]).sum())


def compute_shrunk(statistics: Statistics) -> float | Status:
    """H-score with the covariance shrunk: tr(cov_a(F)⁻¹ (1 - a) cov(E[F | y])).

    Here cov_a = (1 - a) cov + a tr(cov)/D I; cov divides by N, and the covariance of class means by
    N - 1. Larger is better. Ibrahim, Ponomareva and Mazumder, "Newer is Not Always Better:
    Rethinking Transferability Metrics", 2021. The share a is that of Ledoit and Wolf, "A
    well-conditioned estimator for large-dimensional covariance matrices", 2004.
    """
    spectrum, quartic = statistics[Spectrum], float(statistics[Moments].quartic)
    if spectrum.is_constant:
        return Status.CONSTANT
    values, count = np.asarray(spectrum.eigenvalues), float(spectrum.count)
    trace, square = float(values.sum()) / count, float((values**2).sum()) / count**2
    average = trace / statistics.num_features
    shrinkage = float(ledoit_wolf(square, square - trace * average, quartic / count, count))
    between = values * _between(spectrum, statistics[ClassMoments]) / (count - 1)
    shrunk = (1 - shrinkage) * values / count + shrinkage * average
    return float((1 - shrinkage) * (between[between > 0] / shrunk[between > 0]).sum())


def _between(spectrum: Spectrum, classes: ClassMoments) -> np.ndarray:
    """The squared share of the labels in each direction u of U (R,): Σ_c (u·y_c)² / n_c."""
    squares = np.asarray(spectrum.label_projections) ** 2
    with np.errstate(divide="ignore", invalid="ignore"):  # not defined where a class has no row
        return (squares / np.asarray(classes.counts)).sum(axis=1)


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
