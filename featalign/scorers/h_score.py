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
    trace, square = float(values.sum()) / count, float((values**2).sum()) / count**2
    average = trace / statistics.num_features
    shrinkage = float(ledoit_wolf(square, square - trace * average, quartic / count, count))
    between = values * _between(spectrum, statistics[ClassMoments]) / (count - 1)
    shrunk = (1 - shrinkage) * values / count + shrinkage * average
    return float((1 - shrinkage) * (between[between > 0] / shrunk[between > 0]).sum())


def _between(spectrum: Spectrum, classes: ClassMoments) -> np.ndarray:
    """Per direction of U the square of the labels' share: Σ_c (u·y_c)² / n_c, (R,)."""
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
