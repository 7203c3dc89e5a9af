"""The labels in random orders.

They give what all label-dependent statistics would be if labels and features had nothing to do with
each other.
"""

from collections.abc import Iterator
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from featalign.arrays import Labels
from featalign.statistics.class_moments import ClassMoments, TargetMoments
from featalign.statistics.class_scatter import ClassScatter
from featalign.statistics.collected import LabelOrders, Statistics
from featalign.statistics.products import group_sums
from featalign.statistics.tangent import within_folds

NUM_ORDERS = 20


def orders_of(labels: Labels, seed: int, *, count: int = NUM_ORDERS) -> np.ndarray:
    """Seeded permutations of the row numbers (P, N).

    Labels[orders[p]] are the labels in order p.
    """
    random = np.random.default_rng([seed, 1])
    numbers = np.arange(len(labels.values), dtype=np.int32)
    return np.stack([random.permutation(numbers) for _ in range(count)])


class OrderSums:
    """Gathers the sums of `LabelOrders` while rows about a fixed centre stream by."""

    def __init__(self, labels: Labels, orders: np.ndarray, width: int, *, with_squares: bool):
        self.num_classes = labels.num_classes
        self.labels = (
            labels.values.astype(np.int32)
            if labels.num_classes
            else labels.values - labels.values.mean(axis=0)
        )
        self.orders = orders
        groups = labels.num_classes or labels.values.shape[1]
        self.sums = np.zeros((len(orders), groups, width))
        self.norms = np.zeros((len(orders), groups))
        self.squares = np.zeros_like(self.sums) if with_squares and labels.num_classes else None

    def take(self, rows: np.ndarray, start: int) -> None:
        """Add a batch (B, D) whose first row has the number `start`."""
        with np.errstate(over="ignore", invalid="ignore"):  # values out of range get a status
            self._take(rows, self.labels[self.orders[:, start : start + len(rows)]])

    def _take(self, rows: np.ndarray, here: np.ndarray) -> None:
        if not self.num_classes:
            self.sums += np.einsum("pnk,nd->pkd", here, rows, optimize=True)
            return
        self.sums += group_sums(rows, here, self.num_classes)
        self.norms += group_sums((rows * rows).sum(axis=1)[:, None], here, self.num_classes)[
            :, :, 0
        ]
        if self.squares is not None:
            self.squares += group_sums(rows * rows, here, self.num_classes)

    def finish(self, labels: Labels, orders: np.ndarray, centre: np.ndarray) -> LabelOrders:
        """The record, once all rows have streamed by."""
        return LabelOrders(labels, orders, centre, self.sums, self.norms, self.squares)


def relabelled(statistics: Statistics) -> Iterator[Statistics]:
    """The statistics under each order of the labels.

    They are those that a pass over the same features with the labels in that order would have
    collected.
    """
    orders = statistics.orders
    assert orders is not None
    projections = (
        _label_projections(statistics, orders) if statistics.spectrum is not None else None
    )
    for number, order in enumerate(orders.orders):
        labels = orders.labels.values[order]
        changed: dict = {}
        if statistics.rows is not None:
            changed["rows"] = replace(statistics.rows, labels=labels[statistics.rows.numbers])
        if statistics.source is not None:
            changed["source"] = replace(
                statistics.source,
                labels=labels,
                table=orders.tables[number] if orders.tables else None,
            )
        if statistics.tangent is not None:
            changed["tangent"] = within_folds(statistics.tangent, number)
        if (
            orders.sums is not None
            and orders.norms is not None
            and isinstance(statistics.label_moments, ClassMoments)
        ):
            changed["label_moments"] = _class_moments(
                statistics.label_moments.counts,
                orders.sums[number],
                orders.norms[number],
                orders.centre,
            )
        if (
            orders.sums is not None
            and orders.squares is not None
            and statistics.class_scatter is not None
        ):
            changed["class_scatter"] = _class_scatter(
                statistics.class_scatter.counts,
                orders.sums[number],
                orders.squares[number],
                orders.centre,
            )
        if orders.sums is not None and isinstance(statistics.label_moments, TargetMoments):
            changed["label_moments"] = replace(
                statistics.label_moments, cross=jnp.asarray(orders.sums[number])
            )
        if statistics.spectrum is not None and projections is not None:
            changed["spectrum"] = replace(
                statistics.spectrum, label_projections=projections[number]
            )
        yield replace(statistics, **changed)


def _label_projections(statistics: Statistics, orders: LabelOrders) -> jax.Array:
    """Uᵀ Y (P, R, K) in each order."""
    spectrum, labels = statistics.spectrum, orders.labels
    assert spectrum is not None
    if spectrum.basis_is_left:
        basis = np.asarray(spectrum.basis)
        if labels.num_classes:
            sums = group_sums(basis, labels.values[orders.orders], labels.num_classes)
        else:
            sums = np.einsum(
                "pnk,nr->pkr",
                labels.values[orders.orders] - labels.values.mean(axis=0),
                basis,
                optimize=True,
            )
        # the vectors of live directions are orthogonal to that of ones, so the means need no
        # subtraction
        live = spectrum.eigenvalues > 0
        return jnp.asarray(sums).transpose(0, 2, 1) * live[:, None]
    assert orders.sums is not None
    if labels.num_classes:
        counts = jnp.asarray(np.bincount(labels.values, minlength=labels.num_classes))
        cross = jnp.asarray(orders.sums) - counts[:, None] * (spectrum.mean - orders.centre)
    else:
        cross = jnp.asarray(orders.sums)
    return _projected(cross, spectrum.basis, spectrum.eigenvalues)


@jax.jit
def _projected(cross: jax.Array, basis: jax.Array, eigenvalues: jax.Array) -> jax.Array:
    live = eigenvalues > 0
    scale = jnp.where(live, 1 / jnp.sqrt(jnp.where(live, eigenvalues, 1.0)), 0.0)
    return jnp.einsum("pkd,dr->prk", cross, basis) * scale[:, None]


@jax.jit
def _class_moments(
    counts: jax.Array, sums: jax.Array, norms: jax.Array, centre: jax.Array
) -> ClassMoments:
    means = sums / jnp.maximum(counts, 1)[:, None]
    return ClassMoments(
        counts, centre + means, jnp.maximum(norms - counts * (means * means).sum(axis=1), 0.0)
    )


@jax.jit
def _class_scatter(
    counts: jax.Array, sums: jax.Array, squares: jax.Array, centre: jax.Array
) -> ClassScatter:
    means = sums / jnp.maximum(counts, 1)[:, None]
    return ClassScatter(
        counts, centre + means, jnp.maximum(squares - counts[:, None] * means * means, 0.0)
    )
