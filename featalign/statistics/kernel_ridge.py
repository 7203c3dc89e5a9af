"""Kernel ridge regression, fold by fold, from one Gram matrix."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from featalign.arrays import Labels
from featalign.statistics.collected import label_columns
from featalign.statistics.folds import NUM_FOLDS
from featalign.statistics.threads import decompositions, threads_for

RELATIVE_PENALTIES = tuple(float(10.0**power) for power in np.arange(-5, 2.5, 0.5))


@dataclass(frozen=True)
class Part:
    """Training rows T and held-out rows H of one fold, with what predictions need of the Gram.

    `values` and `vectors` are the eigendecomposition of the centred Gram of T; `crossed` is the
    centred Gram of H against T.
    """

    training: np.ndarray  # (T,)
    held: np.ndarray  # (H,)
    values: np.ndarray  # (T,)
    vectors: np.ndarray  # (T, T)
    crossed: np.ndarray  # (H, T)


def decompose(gram: np.ndarray, folds: np.ndarray) -> list[Part]:
    """The parts of a Gram matrix (M, M) by fold (M,), each trained on the rows outside its fold."""
    rows = [np.flatnonzero(folds != fold) for fold in range(NUM_FOLDS)]
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
        alike = not values[-1] > rounding  # whether all rows are alike
        values = np.zeros(len(own)) if alike else np.maximum(values, 0.0)
        parts.append(Part(training, held, values, vectors, crossed))
    return parts


def held_out_hits(parts: Sequence[Part], labels: Labels) -> np.ndarray:
    """What each row adds to the accuracy (M,), predicted by the part that held it out.

    It is NaN for a row without a prediction.
    """
    columns = label_columns(labels.values, labels.num_classes)
    found = np.empty(len(columns))
    threads = threads_for(len(columns), len(columns))
    with threads, np.errstate(over="ignore", invalid="ignore"):  # float targets may overflow
        for part in parts:
            predictions = predict(part, columns[part.training])
            right = _right(predictions, columns[part.held], labels)
            found[part.held] = np.where(np.isfinite(predictions).all(axis=1), right, np.nan)
    return found


def held_out_predictions(
    parts: Sequence[Part], labels: Labels, *, centred: bool = False
) -> np.ndarray:
    """Predictions (M, K) of all rows, each by the part that held it out.

    With `centred` they are less the mean of the labels that they were fitted on, so that those of
    different parts can be ranked together.
    """
    columns = label_columns(labels.values, labels.num_classes)
    found = np.full(columns.shape, np.nan)
    threads = threads_for(len(columns), len(columns))
    with threads, np.errstate(over="ignore", invalid="ignore"):  # float targets may overflow
        for part in parts:
            trained = columns[part.training]
            found[part.held] = predict(part, trained) - centred * trained.mean(axis=0)
    return found


def predict(part: Part, targets: np.ndarray) -> np.ndarray:
    """Predictions (H, K) of ridge regression with a free intercept on targets (T, K).

    The penalty p is the one with the least leave-one-out error. Leaving row i out gives the
    residual (y - ŷ)_i / (1 - 1/T - h_i), where h is the diagonal of K (K + p)⁻¹ of the centred Gram
    K. No eigenvalue exceeds T times their mean, so the denominator is at least
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
    # rounding may bring the denominator a little below its bound
    left = np.maximum(1 - 1 / count - (part.vectors**2) @ shrinks, least / 2)
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
