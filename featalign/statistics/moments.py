"""Centred moments of the features, merged pairwise."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp

from featalign.statistics.statistic import Batch, Change, Group, Shape, Summed


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Moments(Summed):
    """Centred moments of N rows x in D dimensions, with z = x - mean.

    mean = Σ x / N, scatter = Σ z zᵀ, cubic = Σ |z|² z, quartic = Σ |z|⁴. The last two give the
    shrinkage of Ledoit and Wolf and the debiased CKA without a second pass. `scatter` is (0, 0)
    where N <= D, because the N x N Gram serves instead. Merging follows Chan, Golub and LeVeque
    (1979), extended to the cubic and quartic sums.
    """

    count: jax.Array  # ()
    mean: jax.Array  # (D,)
    scatter: jax.Array  # (D, D)
    cubic: jax.Array  # (D,)
    quartic: jax.Array  # ()

    @classmethod
    def empty(cls, shape: Shape) -> "Moments":
        """The moments of no rows."""
        width = shape.num_features
        zero, vector = jnp.zeros(()), jnp.zeros(width)
        return Moments(zero, vector, jnp.zeros((width, width)), vector, zero)

    @classmethod
    def from_batch(cls, batch: Batch) -> "Moments":
        """Moments of the valid rows of a batch."""
        moments, centred = _without_scatter(batch.rows, batch.valid)
        return replace(moments, scatter=symmetric_product(centred))

    def merge(self, other: "Moments") -> "Moments":
        """Moments of the rows of both."""
        count = self.count + other.count
        safe = jnp.maximum(count, 1)
        difference = other.mean - self.mean
        mean = self.mean + difference * (other.count / safe)
        here, there = self.shifted(self.mean - mean), other.shifted(other.mean - mean)
        scatter = (
            self.scatter
            + other.scatter
            + jnp.outer(difference, difference) * (self.count * other.count / safe)
        )
        return Moments(count, mean, scatter, here[0] + there[0], here[1] + there[1])

    def shifted(self, shift: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Cubic and quartic sums of z + shift.

        Σ |z+δ|² (z+δ) = cubic + 2 S δ + (tr S + N |δ|²) δ and Σ |z+δ|⁴ = quartic + 4 δᵀ cubic + 4
        δᵀ S δ + 2 |δ|² tr S + N |δ|⁴.
        """
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

    def from_zero(self, centre: jax.Array) -> "Moments":
        """The moments counted from zero, where rows were counted from `centre` (D,)."""
        return replace(self, mean=self.mean + centre)

    def derivative(self, group: Group) -> Change:
        """The derivatives of the mean and the quartic sum, the fields that scorers read."""
        return _derivative(self, group.features)


@jax.jit
def moments_of_rows(features: jax.Array) -> Moments:
    """Moments of all rows (N, D), without their scatter."""
    moments, _ = _without_scatter(features - features[0], jnp.ones(len(features), bool))
    return replace(moments, mean=moments.mean + features[0])


def _without_scatter(rows: jax.Array, valid: jax.Array) -> tuple[Moments, jax.Array]:
    """Moments of the rows (B, D) where `valid` (B,) is true, and the rows about their mean."""
    weights = valid.astype(rows.dtype)
    count = weights.sum()
    mean = (weights @ rows) / jnp.maximum(count, 1)
    centred = (rows - mean) * weights[:, None]
    squares = (centred * centred).sum(axis=1)
    none = jnp.zeros((0, 0))
    return Moments(count, mean, none, squares @ centred, squares @ squares), centred


@jax.jit
def _derivative(moments: Moments, features: jax.Array) -> Change:
    centred = features - moments.mean
    squares, total = (centred * centred).sum(axis=1), centred.sum(axis=0)
    return {
        "mean": total / moments.count,
        "quartic": squares @ squares - 4 / moments.count * (total @ moments.cubic),
    }


def symmetric_product(rows: jax.Array, *, block: int = 512) -> jax.Array:
    """rowsᵀ rows (D, D), of which only the blocks on and below the diagonal are computed."""
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
