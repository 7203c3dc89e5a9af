"""Joint tables of the target's labels with the source's classes."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from featalign.arrays import Labels
from featalign.statistics.batching import batches, padded
from featalign.statistics.products import group_sums
from featalign.statistics.source_outputs import SourceOutputs
from featalign.statistics.statistic import Batch, Shape, Summed

if TYPE_CHECKING:
    from featalign.statistics.label_orders import LabelOrders


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class LabelTable(Summed):
    """How often label y meets source class z.

    `soft` = Σ θ_z counts by the source's probabilities θ, and `hard` by its arg-max class. In a
    batch the probabilities stand in place of the features.
    """

    soft: jax.Array  # (C, Z)
    hard: jax.Array  # (C, Z)

    @classmethod
    def suits(cls, shape: Shape) -> bool:
        """Whether there are classes."""
        return shape.num_classes > 0

    @classmethod
    def empty(cls, shape: Shape) -> "LabelTable":
        """The table of no rows."""
        zeros = jnp.zeros((shape.num_classes, shape.num_features))
        return LabelTable(zeros, zeros)

    @classmethod
    def from_batch(cls, batch: Batch) -> "LabelTable":
        """Tables of the valid rows of a batch of source probabilities (B, Z) with labels (B,).

        Where several probabilities are largest, the first of them counts.
        """
        probabilities, labels, valid = batch.features, batch.labels, batch.valid
        soft = jnp.where(valid[:, None], probabilities, 0.0)
        hard = (
            jax.nn.one_hot(probabilities.argmax(axis=1), probabilities.shape[1], dtype=soft.dtype)
            * valid[:, None]
        )
        return LabelTable(
            jax.ops.segment_sum(soft, labels, batch.num_classes),
            jax.ops.segment_sum(hard, labels, batch.num_classes),
        )

    def merge(self, other: "LabelTable") -> "LabelTable":
        """Tables of the rows of both."""
        return jax.tree.map(jnp.add, self, other)

    def under(self, orders: "LabelOrders") -> Iterator["LabelTable"]:
        """The tables that were summed in each order."""
        return iter(orders.tables)


def label_table(outputs: SourceOutputs, labels: Labels, size: int) -> LabelTable:
    """The table of a pass over the outputs, in batches of `size`."""
    table, start = None, 0
    for block in outputs.probabilities():
        if table is None:
            shape = Shape(block.shape[1], labels.num_classes)
            table = jax.tree.map(jnp.copy, LabelTable.empty(shape))
        for batch, offset in batches([block], block.shape[1], size):
            here = labels.values[start + offset : start + offset + len(batch)].astype(np.int32)
            table = _tabled(table, *padded(batch, here, size), num_classes=labels.num_classes)
        start += len(block)
    return LabelTable.empty(Shape(0, labels.num_classes)) if table is None else table


def tables_in_orders(
    outputs: SourceOutputs, labels: Labels, orders: np.ndarray
) -> tuple[LabelTable, ...]:
    """The tables with the labels in each order (P, N)."""
    found, start = None, 0
    for block in outputs.probabilities():
        here = labels.values[orders[:, start : start + len(block)]]
        hard = np.eye(block.shape[1])[block.argmax(axis=1)]
        more = [group_sums(part, here, labels.num_classes) for part in (block, hard)]
        found = more if found is None else [a + b for a, b in zip(found, more, strict=True)]
        start += len(block)
    if found is None:
        return ()
    return tuple(
        LabelTable(jnp.asarray(soft), jnp.asarray(hard)) for soft, hard in zip(*found, strict=True)
    )


@partial(jax.jit, static_argnames=("num_classes",), donate_argnums=0)
def _tabled(
    table: LabelTable,
    probabilities: jax.Array,
    labels: jax.Array,
    valid: jax.Array,
    *,
    num_classes: int,
) -> LabelTable:
    batch = Batch(probabilities, probabilities, labels, valid, num_classes)
    return table.merge(LabelTable.from_batch(batch))
