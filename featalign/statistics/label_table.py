"""Joint tables of the target's labels with the source's classes."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LabelTable:
    """How often label y meets source class z.

    `soft` = Σ θ_z counts by the source's probabilities, `hard` by its arg-max class.
    """

    soft: jax.Array  # (C, Z)
    hard: jax.Array  # (C, Z)

    @staticmethod
    def empty(num_classes: int, num_source_classes: int) -> "LabelTable":
        """The neutral element of `merge`."""
        zeros = jnp.zeros((num_classes, num_source_classes))
        return LabelTable(zeros, zeros)

    @staticmethod
    def from_batch(
        probabilities: jax.Array, labels: jax.Array, valid: jax.Array, *, num_classes: int
    ) -> "LabelTable":
        """Tables of the valid rows of a batch of source probabilities (B, Z) with labels (B,).

        Of equal probabilities the first is the largest.
        """
        soft = jnp.where(valid[:, None], probabilities, 0.0)
        hard = (
            jax.nn.one_hot(probabilities.argmax(axis=1), probabilities.shape[1], dtype=soft.dtype)
            * valid[:, None]
        )
        return LabelTable(
            jax.ops.segment_sum(soft, labels, num_classes),
            jax.ops.segment_sum(hard, labels, num_classes),
        )

    def merge(self, other: "LabelTable") -> "LabelTable":
        """Tables of the rows of both."""
        return jax.tree.map(jnp.add, self, other)
