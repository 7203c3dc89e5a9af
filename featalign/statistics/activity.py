"""How active the features are.

This counts zeros, dead columns, and the sparsity of rows and columns, and says whether all values
are finite.
"""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp

from featalign.statistics.statistic import Batch, Change, Group, Shape, Summed

WEIGHTED = (
    "active",
    "live_rows",
    "row_sparsity",
    "column_active",
    "column_sums",
    "column_squares",
)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Activity(Summed):
    """Counts and sums of |x| over rows and columns.

    `row_sparsity` sums Hoyer's measure (√D - l1/l2) / (√D - 1) over the rows that are not all zero.
    `not_finite` counts NaN and infinite entries, which the other fields leave out. `largest` is the
    greatest finite |x|.
    """

    count: jax.Array  # ()
    not_finite: jax.Array  # ()
    largest: jax.Array  # ()
    active: jax.Array  # () entries that are not zero
    live_rows: jax.Array  # () rows with an active entry
    row_sparsity: jax.Array  # ()
    column_active: jax.Array  # (D,)
    column_sums: jax.Array  # (D,) of |x|
    column_squares: jax.Array  # (D,)

    @classmethod
    def empty(cls, shape: Shape) -> "Activity":
        """The activity of no rows."""
        zero, vector = jnp.zeros(()), jnp.zeros(shape.num_features)
        return Activity(zero, zero, zero, zero, zero, zero, vector, vector, vector)

    @classmethod
    def from_batch(cls, batch: Batch) -> "Activity":
        """Activity of the valid rows of a batch."""
        return _activity(batch.features, batch.valid)

    def merge(self, other: "Activity") -> "Activity":
        """Activity of the rows of both."""
        merged = jax.tree.map(jnp.add, self, other)
        return replace(merged, largest=jnp.maximum(self.largest, other.largest))

    def derivative(self, group: Group) -> Change:
        """The derivatives of the fields that are sums over rows."""
        return _derivative(group.features)


def _activity(features: jax.Array, valid: jax.Array) -> Activity:
    present = valid[:, None]
    finite = jnp.isfinite(features)
    sizes = jnp.where(finite & present, jnp.abs(features), 0.0)
    peaks = sizes.max(axis=1)
    # the scale keeps squares of tiny and huge values in range
    scaled = sizes / jnp.where(peaks > 0, peaks, 1.0)[:, None]
    width = features.shape[1]
    root = width**0.5
    ratios = scaled.sum(axis=1) / jnp.sqrt(jnp.maximum((scaled * scaled).sum(axis=1), 1.0))
    sparsity = (
        jnp.where(peaks > 0, (root - ratios) / (root - 1), 0.0)
        if width > 1
        else jnp.zeros(len(features))
    )
    active = sizes > 0
    return Activity(
        count=valid.sum().astype(features.dtype),
        not_finite=(present & ~finite).sum().astype(features.dtype),
        largest=sizes.max(),
        active=active.sum().astype(features.dtype),
        live_rows=(peaks > 0).sum().astype(features.dtype),
        row_sparsity=sparsity.sum(),
        column_active=active.sum(axis=0).astype(features.dtype),
        column_sums=sizes.sum(axis=0),
        column_squares=(sizes * sizes).sum(axis=0),
    )


@jax.jit
def _derivative(features: jax.Array) -> Change:
    sums = _activity(features, jnp.ones(len(features), bool))
    return {name: getattr(sums, name) for name in WEIGHTED}
