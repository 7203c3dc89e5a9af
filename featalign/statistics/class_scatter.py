"""The diagonal of each class's scatter."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp

from featalign.statistics.class_moments import ClassMoments
from featalign.statistics.statistic import Batch, Change, Group, Shape, Summed

if TYPE_CHECKING:
    from featalign.statistics.label_orders import LabelOrders


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ClassScatter(Summed):
    """Counts n_c, means μ_c and, column by column, the squares Σ (x - μ_c)² of each class.

    The whole (C, D, D) scatter would be too large to hold; what needs it reads rows.
    """

    counts: jax.Array  # (C,)
    means: jax.Array  # (C, D)
    squares: jax.Array  # (C, D)

    implies: ClassVar[frozenset[type[Summed]]] = frozenset({ClassMoments})
    reads_order_sums: ClassVar[bool] = True
    reads_order_squares: ClassVar[bool] = True

    @classmethod
    def suits(cls, shape: Shape) -> bool:
        """Whether there are classes."""
        return shape.num_classes > 0

    @classmethod
    def empty(cls, shape: Shape) -> "ClassScatter":
        """The scatter of no rows."""
        size = shape.num_classes, shape.num_features
        return ClassScatter(jnp.zeros(size[0]), jnp.zeros(size), jnp.zeros(size))

    @classmethod
    def from_batch(cls, batch: Batch) -> "ClassScatter":
        """Scatter of the valid rows of a batch with labels (B,)."""
        labels, moments = batch.labels, ClassMoments.from_batch(batch)
        residuals = jnp.where(batch.valid[:, None], batch.rows - moments.means[labels], 0.0)
        squares = jax.ops.segment_sum(residuals * residuals, labels, batch.num_classes)
        return ClassScatter(moments.counts, moments.means, squares)

    def merge(self, other: "ClassScatter") -> "ClassScatter":
        """Scatter of the rows of both."""
        counts = self.counts + other.counts
        safe = jnp.maximum(counts, 1)
        difference = other.means - self.means
        between = difference * difference * (self.counts * other.counts / safe)[:, None]
        return ClassScatter(
            counts,
            self.means + difference * (other.counts / safe)[:, None],
            self.squares + other.squares + between,
        )

    def variances(self) -> jax.Array:
        """Variances of each class in each column (C, D), over n_c."""
        return self.squares / jnp.maximum(self.counts, 1)[:, None]

    def from_zero(self, centre: jax.Array) -> "ClassScatter":
        """The scatter counted from zero, where rows were counted from `centre` (D,)."""
        return replace(self, means=self.means + centre)

    def implied(self) -> tuple[ClassMoments]:
        """The moments of the classes."""
        return (ClassMoments(self.counts, self.means, self.squares.sum(axis=1)),)

    def under(self, orders: "LabelOrders") -> Iterator["ClassScatter"]:
        """The scatter in each order, from its sums of the rows and of their squares."""
        for sums, squares in zip(orders.sums, orders.squares, strict=True):
            yield _relabelled(self.counts, sums, squares, orders.centre)

    def derivative(self, group: Group) -> Change:
        """The derivatives of all fields."""
        return _derivative(self, group.features, group.columns)


@jax.jit
def _relabelled(
    counts: jax.Array, sums: jax.Array, squares: jax.Array, centre: jax.Array
) -> ClassScatter:
    means = sums / jnp.maximum(counts, 1)[:, None]
    return ClassScatter(
        counts, centre + means, jnp.maximum(squares - counts[:, None] * means * means, 0.0)
    )


@jax.jit
def _derivative(scatter: ClassScatter, features: jax.Array, members: jax.Array) -> Change:
    residuals = features - members @ scatter.means
    means = members.T @ residuals / scatter.counts[:, None]
    return {
        "counts": members.sum(axis=0),
        "means": means,
        "squares": members.T @ (residuals * residuals),
    }
