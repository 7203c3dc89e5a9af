"""α-ReQ: how fast the spectrum of the features decays."""

import numpy as np

from featalign.records.score import Status
from featalign.scorers.scorer import ALL_TASKS, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.spectrum import Spectrum

LAST_RANK = 100


def compute(statistics: Statistics) -> float | Status:
    """The exponent α of λ_j ~ j^-α, where λ are the eigenvalues of the centred covariance.

    α comes from least squares of log λ_j on log j over the ranks j = 1 ... 100, or up to the rank
    of the features where that is smaller. Each rank is weighted by 1/j, so that every octave counts
    alike. Another range would give another value, so compare features with more than 100 rows and
    columns. The value is 0 for equal eigenvalues. In the paper features near α = 1 transfer best,
    so neither direction is better as such. It is not defined for rank one. Agrawal et al., "α-ReQ:
    Assessing Representation Quality in Self-Supervised Learning by Measuring Eigenspectrum Decay",
    NeurIPS 2022; the weights follow Stringer et al., "High-dimensional geometry of population
    responses in visual cortex", 2019.
    """
    eigenvalues = np.asarray(statistics[Spectrum].eigenvalues)[:LAST_RANK]
    if not eigenvalues[0] > 0:
        return Status.CONSTANT
    if (eigenvalues > 0).sum() < 2:
        return Status.UNDEFINED
    return _decay(eigenvalues)


def _decay(eigenvalues: np.ndarray) -> float:
    live = eigenvalues > 0
    ranks = 1.0 + np.arange(len(eigenvalues))
    weights = np.where(live, 1 / ranks, 0.0) / np.where(live, 1 / ranks, 0.0).sum()
    heights = np.log(np.where(live, eigenvalues / eigenvalues[0], 1.0))
    places = np.log(ranks) - weights @ np.log(ranks)
    return float(-(weights * places) @ heights / ((weights * places) @ places))


ALPHA_REQ = Scorer(
    "alpha_req",
    compute,
    frozenset({Spectrum}),
    "decay of the spectrum (1 in good features)",
    None,
    ALL_TASKS,
    False,
    frozenset({"rotation", "scale", "shift", "duplication"}),
)
