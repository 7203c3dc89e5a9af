"""Label overlap: how much of the labels lies in the span of the features."""

import numpy as np

from featalign.arrays import Task
from featalign.records.score import ScoreResult, Status
from featalign.scorers.scorer import ALL_TASKS, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.spectrum import Spectrum


def compute(statistics: Statistics) -> float | ScoreResult | Status:
    """The share of the centred label matrix in the span of the centred features, above chance.

    It is |Uᵀ Y|² / |Y|² - r / (N - 1), where U (N, r) is an orthonormal basis of the span and r its
    rank. The last term is the share that r random directions hold on average. The value lies in
    [-r/(N-1), 1 - r/(N-1)] and is 0 on average for unrelated features; larger is better. Where the
    features span every direction (r = N - 1, as a rule when N <= D) both shares are 1, so the value
    is 0 and a note says that nothing can be told. Columns of float targets count alike, whatever
    their units. The overlap of the target with the span of the features decides transfer in Tahir,
    Ganguli and Rotskoff, "Features are fate: a theory of transfer learning in high-dimensional
    regression", ICML 2025.
    """
    spectrum = statistics[Spectrum]
    if not can_share(spectrum, statistics.task):
        return Status.UNDEFINED
    rank = int((np.asarray(spectrum.eigenvalues) > 0).sum())
    if rank >= statistics.num_rows - 1:
        return ScoreResult(
            0.0, note="the features span every direction, so that the overlap says nothing"
        )
    return float(label_shares(spectrum, statistics.task).sum()) - rank / (statistics.num_rows - 1)


def can_share(spectrum: Spectrum, task: Task) -> bool:
    """Whether there is a share: labels must differ, those of float targets in every column."""
    differ = np.asarray(spectrum.label_squares) > 0
    return bool(differ.all() if task == "regression" else differ.any())


def label_shares(spectrum: Spectrum, task: Task) -> np.ndarray:
    """The share of the labels' squares in each direction of U (R,).

    For float targets it is the mean of the columns' shares.
    """
    squares = np.asarray(spectrum.label_squares)
    projections = np.asarray(spectrum.label_projections)
    if task != "regression":
        return (projections**2).sum(axis=1) / squares.sum()
    return ((projections / np.sqrt(squares)) ** 2).mean(axis=1)


LABEL_OVERLAP = Scorer(
    "label_overlap",
    compute,
    frozenset({Spectrum}),
    "share of the labels in the span of the features, above chance",
    True,
    ALL_TASKS,
    invariances=frozenset({"rotation", "scale", "shift"}),
)
