"""Tangent scores: linear stand-ins for fine-tuning and for training from scratch.

They come from ridge regression on activations and gradients.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import stdtrit

from featalign.arrays import Labels
from featalign.records.score import ScoreResult, Status
from featalign.scorers.scorer import ALL_TASKS, Judged, RowMean, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.folds import NUM_FOLDS, folds_of
from featalign.statistics.kernel_ridge import Part, held_out_predictions
from featalign.statistics.tangent import Tangent

LEVEL = 0.9


def compute(statistics: Statistics) -> RowMean | Judged | Status:
    """Cross-validated accuracy of kernel ridge regression on activations and gradients.

    The kernel K adds the Gram matrices of activations and of gradients, each centred with mean
    square 1 per row. Gradients are those of random read-outs of the features with respect to all
    parameters. K therefore approximates what a new head and gradient descent near the source's
    weights can fit (the tangent kernel: Jacot, Gabriel and Hongler, NeurIPS 2018). Labels are
    one-hot, in 5 stratified seeded folds, each with whole groups. The penalty, 1e-5 ... 100 times
    the mean eigenvalue, is chosen within the training folds by its leave-one-out error. For several
    labels a row the value is the mean share that is right; for float targets it is 1 - mean squared
    error / variance. It is averaged over draws of the read-outs. It is at most 1; larger is better.
    It exists only for differentiable sources. Another metric judges the held-out predictions of all
    folds together.
    """
    tangent = statistics.given(Tangent)
    if tangent is None:
        return Status.BLACK_BOX
    status = _unfit(tangent)
    if status is not None:
        return status
    if statistics.metric is not None:
        return _judged(tangent, statistics, tangent.drawn.source_parts())
    hits = tangent.source_hits()
    return RowMean(
        hits.mean(axis=0),
        hits=len(hits) == 1 and statistics.task == "classification",
        note=_sample_note(tangent, statistics),
    )


def compute_gain(statistics: Statistics) -> ScoreResult | Status:
    """`tangent_probe` of the source less that of its random twins.

    It forecasts, to first order, the gain of fine-tuning over training from scratch. 0 is no gain,
    and for classes it lies in [-1, 1]; larger is better. The 90% interval covers the scatter over
    rows, over twins, and over draws of the read-outs where there are several. It is value ± t
    √(v_rows + v_twins + v_draws), where v are the variances of the three means and t is Student's
    quantile with the degrees of freedom of Welch and Satterthwaite. There is no interval where
    nothing varies.
    """
    tangent = statistics.given(Tangent)
    if tangent is None:
        return Status.BLACK_BOX
    status = _unfit(tangent)
    if status is not None:
        return status
    if not tangent.drawn.twins:
        return Status.BLACK_BOX
    if statistics.metric is not None:
        return _judged_gain(tangent, statistics)
    # (R, M) and (T R, M), twin after twin
    own, others = tangent.source_hits(), tangent.twins_hits()
    differences = own - others.reshape(-1, *own.shape)  # (T, R, M)
    # by row, by twin, and by draw
    parts = [differences.mean(axis=axes) for axes in ((0, 1), (1, 2), (0, 2))]
    if tangent.labels.groups is not None:  # rows of a group err together
        parts[0] = _of_groups(parts[0], tangent.labels.groups)
    spreads = [
        (float(part.var(ddof=1)) / len(part), len(part) - 1) for part in parts if len(part) > 1
    ]
    value, square = float(differences.mean()), sum(variance for variance, _ in spreads)
    note = _sample_note(tangent, statistics)
    if not square > 0:
        return ScoreResult(value, note=note)
    freedom = square**2 / sum(variance**2 / count for variance, count in spreads)
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(square)
    return ScoreResult(value, interval=(value - half, value + half), note=note)


def _judged(tangent: Tangent, statistics: Statistics, parts: Sequence[Sequence[Part]]) -> Judged:
    metric, labels = statistics.metric, tangent.labels
    assert metric is not None
    zero = 0.5 * (labels.task == "multilabel" and not metric.ranks)  # above it means yes
    scores = [held_out_predictions(each, labels, centred=metric.ranks) - zero for each in parts]
    note = _sample_note(tangent, statistics)
    return Judged(metric, labels.values, np.stack(scores), labels.groups, note)


def _judged_gain(tangent: Tangent, statistics: Statistics) -> ScoreResult:
    """The value of the source less that of the twins, without an interval."""
    drawn = tangent.drawn
    own, twins = (
        _judged(tangent, statistics, parts).value
        for parts in (drawn.source_parts(), drawn.twins_parts())
    )
    return ScoreResult(own - twins, note=_sample_note(tangent, statistics))


def twins_accuracy(tangent: Tangent) -> float:
    """What `tangent_probe` reaches from the twins' weights, averaged over twins and draws.

    It is NaN where `tangent_probe` has no value, and without twins.
    """
    if _unfit(tangent) is not None or not tangent.drawn.twins or tangent.labels.num_classes == 1:
        return math.nan
    return float(tangent.twins_hits().mean())


def _of_groups(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """A value for each group (G,) such that the mean and its scatter are those over groups."""
    numbers = np.unique(groups, return_inverse=True)[1].reshape(-1)
    mean = values.mean()
    sums = np.bincount(numbers, weights=values - mean)
    return mean + sums * len(sums) / len(values)


def _sample_note(tangent: Tangent, statistics: Statistics) -> str:
    count = len(tangent.labels.values)
    return f"on a stratified sample of {count} rows" if count < statistics.num_rows else ""


def _unfit(tangent: Tangent) -> Status | None:
    drawn = tangent.drawn
    if drawn.failure:
        return Status.NO_GRADIENTS
    if not all(
        np.isfinite(part).all()
        for draws in (drawn.source, *drawn.twins)
        for draw in draws
        for part in (draw.features, draw.gradients)
    ):
        return Status.GRADIENTS_NOT_FINITE
    return Status.TOO_FEW_ROWS if len(tangent.labels.values) < 2 * NUM_FOLDS else None


def tangent_folds(labels: Labels, seed: int) -> np.ndarray:
    """The folds (M,) of tangent scores, stratified by class; a group is in one fold."""
    return folds_of(_classes(labels), labels.groups, seed=seed)


def _classes(labels: Labels) -> np.ndarray:
    return labels.values if labels.num_classes else np.zeros(len(labels.values), np.int64)


TANGENT_PROBE = Scorer(
    "tangent_probe",
    compute,
    frozenset({Tangent}),
    "cross-validated accuracy of ridge regression on activations and gradients",
    True,
    ALL_TASKS,
    unit="percent",
)
TANGENT_GAIN = Scorer(
    "tangent_gain",
    compute_gain,
    frozenset({Tangent}),
    "tangent probe less that of the random twin (0: no gain)",
    True,
    ALL_TASKS,
    unit="points",
)
