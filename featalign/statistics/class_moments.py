"""Moments of the features against the labels: per class, or against float targets."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp

from featalign.statistics.statistic import Batch, Change, Group, Shape, Summed

if TYPE_CHECKING:
    from featalign.statistics.label_orders import LabelOrders


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ClassMoments(Summed):
    """The counts n_c, means μ_c and spreads Σ |x - μ_c|² of the classes."""

    counts: jax.Array  # (C,)
    means: jax.Array  # (C, D)
    spreads: jax.Array  # (C,)

    reads_order_sums: ClassVar[bool] = True

    @classmethod
    def suits(cls, shape: Shape) -> bool:
        """Whether there are classes."""
        return shape.num_classes > 0

    @classmethod
    def empty(cls, shape: Shape) -> "ClassMoments":
        """The moments of no rows."""
        counts = jnp.zeros(shape.num_classes)
        return ClassMoments(
            counts, jnp.zeros((shape.num_classes, shape.num_features)), jnp.zeros_like(counts)
        )

    @classmethod
    def from_batch(cls, batch: Batch) -> "ClassMoments":
        """Moments of the valid rows of a batch with labels (B,)."""
        features, labels, valid = batch.rows, batch.labels, batch.valid
        num_classes = batch.num_classes
        weights = valid.astype(features.dtype)
        counts = jax.ops.segment_sum(weights, labels, num_classes)
        centre = (weights @ features) / jnp.maximum(weights.sum(), 1)
        sums = jax.ops.segment_sum((features - centre) * weights[:, None], labels, num_classes)
        offsets = sums / jnp.maximum(counts, 1)[:, None]
        residuals = (features - centre) - offsets[labels]
        spreads = jax.ops.segment_sum(
            (residuals * residuals).sum(axis=1) * weights, labels, num_classes
        )
        return ClassMoments(counts, offsets + centre * (counts > 0)[:, None], spreads)

    def merge(self, other: "ClassMoments") -> "ClassMoments":
        """Moments of the rows of both."""
        counts = self.counts + other.counts
        safe = jnp.maximum(counts, 1)
        difference = other.means - self.means
        means = self.means + difference * (other.counts / safe)[:, None]
        between = (difference * difference).sum(axis=1) * (self.counts * other.counts / safe)
        return ClassMoments(counts, means, self.spreads + other.spreads + between)

    def from_zero(self, centre: jax.Array) -> "ClassMoments":
        """The moments counted from zero, where rows were counted from `centre` (D,)."""
        return replace(self, means=self.means + centre)

    def under(self, orders: "LabelOrders") -> Iterator["ClassMoments"]:
        """The moments in each order, from its sums of the rows z and of |z|²."""
        for sums, norms in zip(orders.sums, orders.norms, strict=True):
            yield _relabelled(self.counts, sums, norms, orders.centre)

    def derivative(self, group: Group) -> Change:
        """The derivatives of all fields."""
        return _class_derivative(self, group.features, group.columns)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TargetMoments(Summed):
    """Moments of float targets y (N, K), and their cross moments with the features.

    `scatter` = Σ (y - ȳ)(y - ȳ)ᵀ and `cross` = Σ (y - ȳ) zᵀ.
    """

    count: jax.Array  # ()
    feature_mean: jax.Array  # (D,)
    mean: jax.Array  # (K,)
    scatter: jax.Array  # (K, K)
    cross: jax.Array  # (K, D)

    reads_order_sums: ClassVar[bool] = True

    @classmethod
    def suits(cls, shape: Shape) -> bool:
        """Whether there are label columns."""
        return shape.num_classes == 0

    @classmethod
    def empty(cls, shape: Shape) -> "TargetMoments":
        """The moments of no rows."""
        number, width = shape.num_targets, shape.num_features
        return TargetMoments(
            jnp.zeros(()),
            jnp.zeros(width),
            jnp.zeros(number),
            jnp.zeros((number, number)),
            jnp.zeros((number, width)),
        )

    @classmethod
    def from_batch(cls, batch: Batch) -> "TargetMoments":
        """Moments of the valid rows of a batch with targets (B, K)."""
        features, targets, valid = batch.rows, batch.labels, batch.valid
        weights = valid.astype(features.dtype)
        count = jnp.maximum(weights.sum(), 1)
        feature_mean, mean = (weights @ features) / count, (weights @ targets) / count
        residuals = (targets - mean) * weights[:, None]
        return TargetMoments(
            weights.sum(),
            feature_mean,
            mean,
            residuals.T @ residuals,
            residuals.T @ (features - feature_mean),
        )

    def merge(self, other: "TargetMoments") -> "TargetMoments":
        """Moments of the rows of both."""
        count = self.count + other.count
        safe = jnp.maximum(count, 1)
        weight = self.count * other.count / safe
        feature_difference, difference = (
            other.feature_mean - self.feature_mean,
            other.mean - self.mean,
        )
        return TargetMoments(
            count,
            self.feature_mean + feature_difference * (other.count / safe),
            self.mean + difference * (other.count / safe),
            self.scatter + other.scatter + weight * jnp.outer(difference, difference),
            self.cross + other.cross + weight * jnp.outer(difference, feature_difference),
        )

    def from_zero(self, centre: jax.Array) -> "TargetMoments":
        """The moments counted from zero, where rows were counted from `centre` (D,)."""
        return replace(self, feature_mean=self.feature_mean + centre)

    def under(self, orders: "LabelOrders") -> Iterator["TargetMoments"]:
        """The moments with the cross moments of each order."""
        for cross in orders.sums:
            yield replace(self, cross=jnp.asarray(cross))

    def derivative(self, group: Group) -> Change:
        """The derivatives of all fields but the count."""
        return _target_derivative(self, group.features, group.columns)


@jax.jit
def _relabelled(
    counts: jax.Array, sums: jax.Array, norms: jax.Array, centre: jax.Array
) -> ClassMoments:
    means = sums / jnp.maximum(counts, 1)[:, None]
    return ClassMoments(
        counts, centre + means, jnp.maximum(norms - counts * (means * means).sum(axis=1), 0.0)
    )


@jax.jit
def _class_derivative(moments: ClassMoments, features: jax.Array, members: jax.Array) -> Change:
    counts, residuals = members.sum(axis=0), features - members @ moments.means
    means = members.T @ residuals / moments.counts[:, None]
    return {
        "counts": counts,
        "means": means,
        "spreads": members.T @ (residuals * residuals).sum(axis=1),
    }


@jax.jit
def _target_derivative(moments: TargetMoments, features: jax.Array, targets: jax.Array) -> Change:
    centred, residuals = features - moments.feature_mean, targets - moments.mean
    return {
        "feature_mean": centred.sum(axis=0) / moments.count,
        "mean": residuals.sum(axis=0) / moments.count,
        "scatter": residuals.T @ residuals,
        "cross": residuals.T @ centred,
    }
