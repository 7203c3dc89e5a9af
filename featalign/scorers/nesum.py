"""NESum: the sum of the normalised eigenvalues of the features."""

import numpy as np

from featalign.records.score import Status
from featalign.scorers.scorer import ALL_TASKS, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.spectrum import Spectrum


def compute(statistics: Statistics) -> float | Status:
    """NESum: Σ λ_j / λ_1, where λ are the eigenvalues of the centred scatter, descending.

    It goes from 1 (one direction) to min(N - 1, D) (all directions alike). It is small where the
    features have collapsed to the first direction. Neither small nor large is better as such.
    He and Ozay, "Exploring the Gap between Collapsed & Whitened Features in Self-Supervised
    Learning", ICML 2022.
    """
    spectrum = statistics[Spectrum]
    if spectrum.is_constant:
        return Status.CONSTANT
    values = np.asarray(spectrum.eigenvalues)
    return float((values / values[0]).sum())


NESUM = Scorer(
    "nesum",
    compute,
    frozenset({Spectrum}),
    "sum of the variances over the largest",
    None,
    ALL_TASKS,
    False,
    frozenset({"rotation", "scale", "shift", "duplication"}),
)
