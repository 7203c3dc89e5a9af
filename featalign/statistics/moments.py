"""Centred moments of the features, merged pairwise."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Moments:
    """Centred moments of N rows x in D dimensions, with z = x - mean.

    mean = Σ x / N, scatter = Σ z zᵀ, cubic = Σ |z|² z, quartic = Σ |z|⁴. The last two give the
    shrinkage of Ledoit and Wolf and the debiased CKA without a second pass. `scatter` is None where
    only N <= D rows are held and the N x N Gram serves instead. Merging follows Chan, Golub and
    LeVeque (1979), extended to the cubic and quartic sums.
    """

    count: jax.Array  # ()
    mean: jax.Array  # (D,)
    scatter: jax.Array | None  # (D, D)
    cubic: jax.Array  # (D,)
    quartic: jax.Array  # ()

    @staticmethod
    def empty(num_features: int) -> "Moments":
        """The neutral element of `merge`."""
        zero, vector = jnp.zeros(()), jnp.zeros(num_features)
        return Moments(zero, vector, jnp.zeros((num_features, num_features)), vector, zero)

    @staticmethod
    def from_batch(
        features: jax.Array, valid: jax.Array, *, with_scatter: bool = True
    ) -> "Moments":
        """Moments of the rows of a batch (B, D) where `valid` (B,) is true."""
        weights = valid.astype(features.dtype)
        count = weights.sum()
        mean = (weights @ features) / jnp.maximum(count, 1)
        centred = (features - mean) * weights[:, None]
        squares = (centred * centred).sum(axis=1)
        scatter = symmetric_product(centred) if with_scatter else None
        return Moments(count, mean, scatter, squares @ centred, squares @ squares)

    def merge(self, other: "Moments") -> "Moments":
        """Moments of the rows of both; both need their scatter."""
        assert self.scatter is not None
        assert other.scatter is not None
        count = self.count + other.count
        safe = jnp.maximum(count, 1)
        difference = other.mean - self.mean
        mean = self.mean + difference * (other.count / safe)
        here, there = self.moved(self.mean - mean), other.moved(other.mean - mean)
        scatter = (
            self.scatter
            + other.scatter
            + jnp.outer(difference, difference) * (self.count * other.count / safe)
        )
        return Moments(count, mean, scatter, here[0] + there[0], here[1] + there[1])

    def moved(self, shift: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Cubic and quartic sums of z + shift.

        Σ |z+δ|² (z+δ) = cubic + 2 S δ + (tr S + N |δ|²) δ and Σ |z+δ|⁴ = quartic + 4 δᵀ cubic + 4
        δᵀ S δ + 2 |δ|² tr S + N |δ|⁴.
        """
        assert self.scatter is not None
        pulled, trace, square = self.scatter @ shift, jnp.trace(self.scatter), shift @ shift
        cubic = self.cubic + 2 * pulled + (trace + self.count * square) * shift
        quartic = (
            self.quartic
            + 4 * shift @ self.cubic
            + 4 * shift @ pulled
            + 2 * square * trace
            + self.count * square**2
        )
        return cubic, quartic


def symmetric_product(rows: jax.Array, *, block: int = 512) -> jax.Array:
    """rowsᵀ rows (D, D), computing only the blocks on and below the diagonal."""
    width = rows.shape[1]
    if width <= block:
        return rows.T @ rows
    product = jnp.zeros((width, width), rows.dtype)
    for start in range(0, width, block):
        stop = min(start + block, width)
        strip = rows[:, start:].T @ rows[:, start:stop]
        product = product.at[start:, start:stop].set(strip)
    lower = jnp.tril(product)
    return lower + jnp.tril(product, -1).T
