"""LFC: correlation of the features' inner products with whether labels agree."""

import math

import numpy as np

from featalign.records.score import Status
from featalign.scorers.scorer import Scorer
from featalign.statistics.class_moments import ClassMoments
from featalign.statistics.collected import Statistics
from featalign.statistics.spectrum import Spectrum


def compute(statistics: Statistics) -> float | Status:
    """Label-feature correlation: the cosine of K = F Fᵀ and Y.

    Y is 1 where two labels agree, and -1 elsewhere. Each of K and Y is taken about the mean of its
    entries. The value lies in [-1, 1]; larger is better. Features are not centred. Only one number
    is taken from K, so a common offset of all rows lowers the value (CKA removes it). Sums suffice:
    with q = Σ (n_c/N)², S the centred scatter and λ its eigenvalues, the parts are Σ(K-K̄)(Y-Ȳ) = 2
    Σ n_c² (|μ_c|² - |μ|²), |K-K̄|² = Σ λ² + 2N μᵀ S μ and |Y-Ȳ|² = 4 N² q (1-q). Deshpande et al.,
    "A Linearized Framework and a New Benchmark for Model Selection for Fine-Tuning", 2021. Copies
    of its code divide by spectral instead of Frobenius norms, which gives no cosine.
    """
    spectrum = statistics[Spectrum]
    if spectrum.is_constant:
        return Status.CONSTANT
    return _correlation(spectrum, statistics[ClassMoments])


def _correlation(spectrum: Spectrum, classes: ClassMoments) -> float:
    values, mean = np.asarray(spectrum.eigenvalues), np.asarray(spectrum.mean)
    count, scale = float(spectrum.count), math.sqrt(values[0])
    shares, offsets = np.asarray(classes.counts) / count, (np.asarray(classes.means) - mean) / scale
    values, projections = values / scale**2, np.asarray(spectrum.mean_projections) / scale
    together = 2 * (shares**2 * (2 * offsets @ (mean / scale) + (offsets**2).sum(axis=1))).sum()
    features = math.sqrt((values**2).sum() / count**2 + 2 * (values * projections**2).sum() / count)
    agreement = (shares**2).sum()
    size = features * 2 * math.sqrt(max(agreement * (1 - agreement), 0.0))
    return float(together) / size if size > 0 else math.nan


LFC = Scorer(
    "lfc",
    compute,
    frozenset({Spectrum, ClassMoments}),
    "correlation of inner products with agreeing labels",
    True,
    invariances=frozenset({"rotation", "scale", "duplication"}),
)
