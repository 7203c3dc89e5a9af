"""The diagonal of each class's scatter."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from featalign.statistics.class_moments import ClassMoments


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ClassScatter:
    """Counts n_c, means μ_c and, column by column, the squares Σ (x - μ_c)² of each class.

    The whole (C, D, D) scatter would be too large to hold; what needs it reads rows.
    """

    counts: jax.Array  # (C,)
    means: jax.Array  # (C, D)
    squares: jax.Array  # (C, D)

    @staticmethod
    def empty(num_classes: int, num_features: int) -> "ClassScatter":
        """The neutral element of `merge`."""
        return ClassScatter(
            jnp.zeros(num_classes),
            jnp.zeros((num_classes, num_features)),
            jnp.zeros((num_classes, num_features)),
        )

    @staticmethod
    def from_batch(
        features: jax.Array, labels: jax.Array, valid: jax.Array, *, num_classes: int
    ) -> "ClassScatter":
        """Scatter of the valid rows of a batch (B, D) with labels (B,)."""
        moments = ClassMoments.from_batch(
            features, labels, valid, num_classes=num_classes
        )  # compiled once where both are gathered
        residuals = jnp.where(valid[:, None], features - moments.means[labels], 0.0)
        squares = jax.ops.segment_sum(residuals * residuals, labels, num_classes)
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
