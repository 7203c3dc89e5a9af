"""Tangent scores: fine-tuning and training from scratch made linear.

They come from ridge regression on activations and gradients.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

from featalign.arrays import Labels
from featalign.scorers.linear_probe import NUM_FOLDS, stratified_folds
from featalign.scorers.scorer import ALL_TASKS, RowMean, Scorer, ScoreResult, Status
from featalign.statistics.collected import Statistics, label_columns
from featalign.statistics.tangent import Draw, Tangent, joint_gram
from featalign.statistics.threads import decompositions, threads_for

RELATIVE_PENALTIES = tuple(float(10.0**power) for power in np.arange(-5, 2.5, 0.5))
SHARES = (1 / 8, 1 / 4, 1 / 2, 1)
LEVEL = 0.9
Which = Literal["source", "twins"]


@dataclass(frozen=True)
class Part:
    """Training rows T and held-out rows H of one fold.

    It has the centred Gram of T decomposed, and that of H against T.
    """

    training: np.ndarray  # (T,)
    held: np.ndarray  # (H,)
    values: np.ndarray  # (T,)
    vectors: np.ndarray  # (T, T)
    crossed: np.ndarray  # (H, T)


def compute(statistics: Statistics) -> RowMean | Status:
    """Cross-validated accuracy of kernel ridge regression on activations and gradients.

    The kernel K is activations + gradients, each centred with mean square 1 per row.

    Gradients are those of random read-outs of the features with respect to all parameters, so that
    K approximates what gradient descent from the source's weights can fit while it stays near them
    (the tangent kernel: Jacot, Gabriel and Hongler, NeurIPS 2018), besides a new head. One-hot
    labels, 5 stratified seeded folds; the penalty, 1e-5 ... 100 times the mean eigenvalue, is
    chosen within the training folds by its leave-one-out error. For several labels a row the mean
    share that is right; for float targets 1 - mean squared error / variance. Mean over draws of the
    read-outs. At most 1, larger is better. Only for differentiable sources.
    """
    status = _unfit(statistics.tangent)
    if status is not None:
        return status
    hits = _hits(statistics, "source")
    return RowMean(
        hits.mean(axis=0),
        hits=len(hits) == 1 and statistics.task == "classification",
        note=_sample_note(statistics),
    )


def compute_gain(statistics: Statistics) -> ScoreResult | Status:
    """`tangent_probe` of the source less that of its random twins.

    It forecasts, to first order, the gain of fine-tuning over training from scratch.

    0 is no gain; in [-1, 1] for classes; larger is better. The 90% interval holds the scatter over
    rows, over twins, and, where there are several draws of the read-outs, over draws: with v the
    variances of the three means, value ± t √(v_rows + v_twins + v_draws), t Student's quantile with
    the degrees of freedom of Welch and Satterthwaite. No interval where nothing varies.
    """
    status = _unfit(statistics.tangent)
    if status is not None:
        return status
    if not _tangent(statistics).twins:
        return Status.BLACK_BOX
    own, others = (
        _hits(statistics, "source"),
        _hits(statistics, "twins"),
    )  # (R, M) and (T R, M), twin after twin
    differences = own - others.reshape(-1, *own.shape)  # (T, R, M)
    parts = [
        differences.mean(axis=axes) for axes in ((0, 1), (1, 2), (0, 2))
    ]  # over rows, twins, draws
    spreads = [
        (float(part.var(ddof=1)) / len(part), len(part) - 1) for part in parts if len(part) > 1
    ]
    value, square = float(differences.mean()), sum(variance for variance, _ in spreads)
    note = _sample_note(statistics)
    if not square > 0:
        return ScoreResult(value, note=note)
    freedom = square**2 / sum(variance**2 / count for variance, count in spreads)
    half = float(stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(square)
    return ScoreResult(value, interval=(value - half, value + half), note=note)


def twins_accuracy(tangent: Tangent) -> float:
    """What `tangent_probe` reaches from the twins' weights, mean over twins and draws.

    NaN where it has no value.
    """
    if _unfit(tangent) is not None or not tangent.twins or tangent.labels.num_classes == 1:
        return math.nan
    grams = [joint_gram(draw) for draw in _draws(tangent, "twins")]
    hits = [held_out_hits(decompose(gram, tangent.folds), tangent.labels) for gram in grams]
    return float(np.mean(hits))


def tangent_curve(statistics: Statistics) -> dict[int, tuple[float, float]]:
    """Accuracy of the source and mean accuracy of its twins by number of training rows.

    The numbers are n/8, n/4, n/2 and n of the rows outside the fold.

    Subsets are nested, stratified by class, and come from one Gram matrix for each draw; the last
    point is that of the scores and costs nothing beside them. The twins' accuracy is NaN where
    there are none, and the curve is empty where `tangent_probe` has no value.

    >>> from featalign.statistics.gather import gather
    >>> from featalign.statistics.tangent import Draw
    >>> random = np.random.default_rng(0)
    >>> labels = Labels(np.arange(80) % 2, ("0", "1"))
    >>> features = random.normal(size=(80, 4)) + 2 * labels.values[:, None]
    >>> draw = Draw(features, random.normal(size=(80, 6)))
    >>> tangent = Tangent(labels, np.arange(80), np.arange(80) // 16, (draw,), ())
    >>> statistics = gather(features, labels, frozenset({"tangent"}), tangent=tangent)
    >>> curve = tangent_curve(statistics)
    >>> list(curve), curve[64][0] > 0.9
    ([8, 16, 32, 64], True)
    """
    if _unfit(statistics.tangent) is not None:
        return {}
    tangent = _tangent(statistics)
    groups = _groups(tangent.labels)
    most = len(groups) - len(groups) // NUM_FOLDS
    curve = {}
    for share in SHARES[:-1]:

        def keep(rows, share=share):
            return rows[
                _stratified_order(groups[rows], statistics.seed)[: max(2, round(share * len(rows)))]
            ]

        own, *others = (
            np.mean(
                [
                    held_out_hits(decompose(gram, tangent.folds, keep), tangent.labels)
                    for gram in grams
                ]
            )
            for grams in (
                _grams(statistics, "source"),
                *_by_twin(tangent, _grams(statistics, "twins")),
            )
        )
        curve[round(share * most)] = float(own), float(np.mean(others)) if others else math.nan
    twins = float(_hits(statistics, "twins").mean()) if tangent.twins else math.nan
    return curve | {most: (float(_hits(statistics, "source").mean()), twins)}


def _sample_note(statistics: Statistics) -> str:
    count = len(_tangent(statistics).labels.values)
    return f"on a stratified sample of {count} rows" if count < statistics.num_rows else ""


def _unfit(tangent: Tangent | None) -> Status | None:
    if tangent is None:
        return Status.BLACK_BOX
    if tangent.failure:
        return Status.NO_GRADIENTS
    if not all(
        np.isfinite(part).all()
        for draws in (tangent.source, *tangent.twins)
        for draw in draws
        for part in (draw.features, draw.gradients)
    ):
        return Status.GRADIENTS_NOT_FINITE
    return Status.TOO_FEW_ROWS if len(tangent.labels.values) < 2 * NUM_FOLDS else None


def _tangent(statistics: Statistics) -> Tangent:
    assert statistics.tangent is not None
    return statistics.tangent


def _draws(tangent: Tangent, which: Which) -> tuple[Draw, ...]:
    return (
        tangent.source
        if which == "source"
        else tuple(draw for twin in tangent.twins for draw in twin)
    )


def _grams(statistics: Statistics, which: Which) -> list[np.ndarray]:
    """The Gram matrix of each draw, made once for scores and curve."""
    return statistics.once(
        f"tangent grams, {which}",
        lambda: [joint_gram(draw) for draw in _draws(_tangent(statistics), which)],
    )


def _by_twin(tangent: Tangent, grams: Sequence[np.ndarray]) -> list[Sequence[np.ndarray]]:
    count = len(tangent.source)
    return [grams[place : place + count] for place in range(0, len(grams), count)]


def _hits(statistics: Statistics, which: Which) -> np.ndarray:
    """What each row adds to the accuracy, held out, for each draw (draws, M).

    NaN where no penalty could be chosen.

    The decompositions serve all orders of the labels; scores and curve share what they find under
    one.
    """
    tangent = _tangent(statistics)
    order = hashlib.sha256(tangent.labels.values.tobytes()).hexdigest()

    def parts() -> list[list[Part]]:
        return [decompose(gram, tangent.folds) for gram in _grams(statistics, which)]

    def hits() -> np.ndarray:
        every = statistics.once(f"tangent {which}", parts)
        return np.stack([held_out_hits(each, tangent.labels) for each in every])

    return statistics.once(f"tangent hits, {which}, labels {order}", hits)


def decompose(
    gram: np.ndarray,
    folds: np.ndarray,
    keep: Callable[[np.ndarray], np.ndarray] = lambda rows: rows,
) -> list[Part]:
    """The parts of a Gram matrix (M, M) by fold (M,).

    A part trains on those rows outside the fold that `keep` leaves.
    """
    rows = [keep(np.flatnonzero(folds != fold)) for fold in range(NUM_FOLDS)]
    grams = [gram[np.ix_(training, training)] for training in rows]
    means = [own.mean(axis=0) for own in grams]
    centred = [
        own - mean - mean[:, None] + mean.mean() for own, mean in zip(grams, means, strict=True)
    ]
    parts = []
    for fold, (values, vectors) in enumerate(decompositions(centred)):
        training, held, own, mean = (
            rows[fold],
            np.flatnonzero(folds == fold),
            grams[fold],
            means[fold],
        )
        cross = gram[np.ix_(held, training)]
        crossed = cross - cross.mean(axis=1, keepdims=True) - mean + mean.mean()
        rounding = 4 * len(own) * np.finfo(np.float64).eps * np.abs(own).max()
        alike = not values[-1] > rounding  # all rows
        values = np.zeros(len(own)) if alike else np.maximum(values, 0.0)
        parts.append(Part(training, held, values, vectors, crossed))
    return parts


def held_out_hits(parts: Sequence[Part], labels: Labels) -> np.ndarray:
    """What each row adds to the accuracy (M,), predicted by the part that held it out.

    NaN where it is not predicted.
    """
    columns = label_columns(labels.values, labels.num_classes)
    found = np.empty(len(columns))
    threads = threads_for(len(columns), len(columns))
    with threads, np.errstate(over="ignore", invalid="ignore"):  # of float targets
        for part in parts:
            predictions = predict(part, columns[part.training])
            right = _right(predictions, columns[part.held], labels)
            found[part.held] = np.where(np.isfinite(predictions).all(axis=1), right, np.nan)
    return found


def predict(part: Part, targets: np.ndarray) -> np.ndarray:
    """Predictions (H, K) of ridge regression with a free intercept on targets (T, K).

    They are those at the penalty p with the least leave-one-out error.

    Leaving row i out gives the residual (y - ŷ)_i / (1 - 1/T - h_i), h the diagonal of K (K + p)⁻¹
    of the centred Gram K. No eigenvalue exceeds T times their mean, so the denominator is at least
    (1 - 1/T) 1e-5 / (T + 1e-5). Predictions are the mean of the targets where all rows are alike,
    and NaN where the errors are not finite.
    """
    mean, count = targets.mean(axis=0), len(part.values)
    average = part.values.sum() / count
    if not average > 0:
        return np.broadcast_to(mean, (len(part.held), targets.shape[1]))
    projected = part.vectors.T @ (targets - mean)
    shrinks = part.values[:, None] / (
        part.values[:, None] + np.array(RELATIVE_PENALTIES) * average
    )  # (T, P)
    least = (1 - 1 / count) * RELATIVE_PENALTIES[0] / (count + RELATIVE_PENALTIES[0])
    left = np.maximum(
        1 - 1 / count - (part.vectors**2) @ shrinks, least / 2
    )  # rounding may take a little
    fitted = (
        part.vectors @ (shrinks[:, :, None] * projected[:, None, :]).reshape(count, -1)
    ).reshape(count, shrinks.shape[1], -1)
    errors = (((targets - mean)[:, None, :] - fitted) ** 2 / left[:, :, None] ** 2).sum(axis=(0, 2))
    if not np.isfinite(errors).all():
        return np.full((len(part.held), targets.shape[1]), np.nan)
    penalty = RELATIVE_PENALTIES[int(np.argmin(errors))] * average
    return mean + part.crossed @ (part.vectors @ (projected / (part.values + penalty)[:, None]))


def _right(predictions: np.ndarray, columns: np.ndarray, labels: Labels) -> np.ndarray:
    if labels.task == "classification":
        return (predictions.argmax(axis=1) == columns.argmax(axis=1)).astype(np.float64)
    if labels.task == "multilabel":
        return ((predictions > 0.5) == (columns > 0.5)).mean(axis=1)
    return (
        1
        - (predictions - columns) ** 2
        / np.maximum(labels.values.var(axis=0), np.finfo(np.float64).tiny)
    ).mean(axis=1)


def tangent_folds(labels: Labels, seed: int) -> np.ndarray:
    """The folds (M,) of tangent scores, stratified by class."""
    return stratified_folds(_groups(labels), NUM_FOLDS, seed=seed)


def _groups(labels: Labels) -> np.ndarray:
    return labels.values if labels.num_classes else np.zeros(len(labels.values), np.int64)


def _stratified_order(groups: np.ndarray, seed: int) -> np.ndarray:
    """An order in which every beginning holds the classes in proportion.

    Targets have such an order of their own, which numbers may not import.
    """
    shuffled = np.random.default_rng([seed, 4]).permutation(len(groups))
    by_class = shuffled[np.argsort(groups[shuffled], kind="stable")]
    sizes = np.bincount(groups)
    places = np.arange(len(groups)) - (np.cumsum(sizes) - sizes)[groups[by_class]]
    return by_class[np.argsort((places + 0.5) / sizes[groups[by_class]], kind="stable")]


TANGENT_PROBE = Scorer(
    "tangent_probe",
    compute,
    frozenset({"tangent"}),
    "cross-validated accuracy of ridge regression on activations and gradients",
    True,
    ALL_TASKS,
)
TANGENT_GAIN = Scorer(
    "tangent_gain",
    compute_gain,
    frozenset({"tangent"}),
    "tangent probe less that of the random twin (0: no gain)",
    True,
    ALL_TASKS,
)
