"""Activations and gradients of a source and of its random twins on the same rows.

They say what training is to first order.
"""

from dataclasses import dataclass, replace

import numpy as np

from featalign.arrays import Labels


@dataclass(frozen=True)
class Draw:
    """Activations (M, D) and projected gradients (M, E).

    They are for one seed of read-outs and projections.
    """

    features: np.ndarray
    gradients: np.ndarray


@dataclass(frozen=True)
class Tangent:
    """Draws of the source and of each of its random twins on M rows.

    The rows have these labels, numbers among all rows (M,) and folds (M,). `failure` says why there
    are none of a source that should have some.
    """

    labels: Labels
    numbers: np.ndarray
    folds: np.ndarray
    source: tuple[Draw, ...]
    twins: tuple[tuple[Draw, ...], ...]
    failure: str = ""


def within_folds(tangent: Tangent, seed: int) -> Tangent:
    """The labels permuted within each fold, so that the folds stay as stratified as they were."""
    random, order = np.random.default_rng(seed), np.arange(len(tangent.folds))
    for fold in np.unique(tangent.folds):
        rows = np.flatnonzero(tangent.folds == fold)
        order[rows] = random.permutation(rows)
    return replace(tangent, labels=replace(tangent.labels, values=tangent.labels.values[order]))


def joint_gram(draw: Draw) -> np.ndarray:
    """The Gram matrix (M, M) of activations and gradients together.

    Each of the two is centred and has a mean square of 1 per row.

    Constant parts add nothing. The scale is of all M rows, also of those that a fold holds out; no
    label enters. What is finite gives what is finite.
    """
    gram = np.zeros((len(draw.features),) * 2)
    for part in (draw.features, draw.gradients):
        values = _in_range(part.astype(np.float64))
        differences = values - values[0]  # exactly 0 in constant columns
        centred = _in_range(differences - differences.mean(axis=0))
        own = centred @ centred.T
        mean = np.trace(own) / len(own)
        if mean > 0:
            gram += own / mean
    return gram


def _in_range(values: np.ndarray) -> np.ndarray:
    """The values times a power of two.

    The largest is then near 1, and squares neither vanish nor overflow.
    """
    return np.ldexp(values, -np.frexp(np.abs(values).max())[1])
