"""Activations and gradients of a source and of its random twins on the same rows.

They say, to first order, what training will do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from featalign.arrays import Labels
from featalign.statistics.kernel_ridge import Part, decompose, held_out_hits
from featalign.statistics.once import once
from featalign.statistics.statistic import Statistic

if TYPE_CHECKING:
    from featalign.statistics.label_orders import LabelOrders


@dataclass(frozen=True)
class Draw:
    """Activations (M, D) and projected gradients (M, E) for one seed of their random parts."""

    features: np.ndarray
    gradients: np.ndarray

    @once
    def gram(self) -> np.ndarray:
        """The `joint_gram` of the draw."""
        return joint_gram(self)


@dataclass(frozen=True)
class Draws:
    """Draws of the source and of each of its random twins on M rows.

    `numbers` (M,) say which rows of all these are, and `folds` (M,) in which fold each of them is.
    `failure` says why there are no draws of a source that should have some.
    """

    numbers: np.ndarray
    folds: np.ndarray
    source: tuple[Draw, ...]
    twins: tuple[tuple[Draw, ...], ...]
    failure: str = ""

    @once
    def source_parts(self) -> list[list[Part]]:
        """Each draw of the source, decomposed by fold, for all orders of the labels."""
        return [decompose(draw.gram(), self.folds) for draw in self.source]

    @once
    def twins_parts(self) -> list[list[Part]]:
        """Each draw of the twins, decomposed by fold, twin after twin."""
        return [decompose(draw.gram(), self.folds) for twin in self.twins for draw in twin]


@dataclass(frozen=True)
class Tangent(Statistic):
    """Draws, and the labels of their rows."""

    labels: Labels
    drawn: Draws

    def under(self, orders: "LabelOrders") -> Iterator["Tangent"]:
        """The draws with the labels permuted within each fold, which stays stratified."""
        for number in range(len(orders.orders)):
            values = self.labels.values[_within_folds(self.drawn.folds, number)]
            yield replace(self, labels=replace(self.labels, values=values))

    @once
    def source_hits(self) -> np.ndarray:
        """What each held-out row adds to the accuracy, for each draw of the source (draws, M).

        It is NaN where no penalty could be chosen.
        """
        return np.stack([held_out_hits(each, self.labels) for each in self.drawn.source_parts()])

    @once
    def twins_hits(self) -> np.ndarray:
        """What each held-out row adds to the accuracy, for each draw of each twin (draws, M)."""
        return np.stack([held_out_hits(each, self.labels) for each in self.drawn.twins_parts()])


def _within_folds(folds: np.ndarray, seed: int) -> np.ndarray:
    """The rows permuted within each fold (M,)."""
    random, order = np.random.default_rng(seed), np.arange(len(folds))
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        order[rows] = random.permutation(rows)
    return order


def joint_gram(draw: Draw) -> np.ndarray:
    """The Gram matrix (M, M) of activations and gradients together.

    Each of the two is centred and scaled to a mean square of 1 per row. Constant parts add nothing.
    The scale is that of all M rows, also of those that a fold holds out; no label enters. Finite
    values give a finite matrix.
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
    """The values times the power of two that brings the largest near 1.

    Squares then neither vanish nor overflow.
    """
    return np.ldexp(values, -np.frexp(np.abs(values).max())[1])
