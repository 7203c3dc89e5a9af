"""Moments of the features against the labels: per class, or against float targets."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ClassMoments:
    """Counts n_c, means μ_c and spreads Σ |x - μ_c|² of each class."""

    counts: jax.Array  # (C,)
    means: jax.Array  # (C, D)
    spreads: jax.Array  # (C,)

    @staticmethod
    def empty(num_classes: int, num_features: int) -> "ClassMoments":
        """The neutral element of `merge`."""
        return ClassMoments(
            jnp.zeros(num_classes), jnp.zeros((num_classes, num_features)), jnp.zeros(num_classes)
        )

    @staticmethod
    def from_batch(
        features: jax.Array, labels: jax.Array, valid: jax.Array, *, num_classes: int
    ) -> "ClassMoments":
        """Moments of the valid rows of a batch (B, D) with labels (B,)."""
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


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class TargetMoments:
    """Moments of float targets y (N, K) and their cross moments with the features.

    They are Σ (y - ȳ)(y - ȳ)ᵀ and Σ (y - ȳ) zᵀ.
    """

    count: jax.Array  # ()
    feature_mean: jax.Array  # (D,)
    mean: jax.Array  # (K,)
    scatter: jax.Array  # (K, K)
    cross: jax.Array  # (K, D)

    @staticmethod
    def empty(num_targets: int, num_features: int) -> "TargetMoments":
        """The neutral element of `merge`."""
        return TargetMoments(
            jnp.zeros(()),
            jnp.zeros(num_features),
            jnp.zeros(num_targets),
            jnp.zeros((num_targets, num_targets)),
            jnp.zeros((num_targets, num_features)),
        )

    @staticmethod
    def from_batch(features: jax.Array, targets: jax.Array, valid: jax.Array) -> "TargetMoments":
        """Moments of the valid rows of a batch (B, D) with targets (B, K)."""
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
