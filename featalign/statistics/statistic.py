"""What a statistic is: a summary of the rows of an embedding that scorers ask for by its type."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import TYPE_CHECKING, ClassVar, Self

import jax
import numpy as np

if TYPE_CHECKING:
    from featalign.statistics.label_orders import LabelOrders

Change = dict[str, jax.Array]  # changes of fields, by their names


@dataclass(frozen=True)
class Shape:
    """The numbers of feature columns, of classes, and, without classes, of label columns."""

    num_features: int
    num_classes: int = 0
    num_targets: int = 0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Batch:
    """Some rows of the pass in float64; `valid` says which of them are real and not padding."""

    features: jax.Array  # (B, D) as they are
    rows: jax.Array  # (B, D) about a fixed point, and zero where not valid
    labels: jax.Array  # (B,) or (B, K)
    valid: jax.Array  # (B,)
    num_classes: int = field(default=0, metadata={"static": True})


@dataclass(frozen=True)
class Group:
    """Some rows of all, whose weight changes."""

    features: jax.Array  # (B, D)
    columns: jax.Array  # (B, K) their labels
    numbers: np.ndarray  # (B,) which rows of all these are


@dataclass(frozen=True)
class Statistic:
    """What scorers read.

    Unless a subclass says otherwise, it does not change with the order of the labels, with the
    number of rows in memory, or with the weights of rows.
    """

    def under(self, orders: "LabelOrders") -> Iterator[Self]:
        """The statistic under each order of the labels."""
        del orders
        return repeat(self)

    def at_most(self, max_rows: int) -> Self:
        """The statistic with at most so many of its rows in memory."""
        del max_rows
        return self

    def take(self, places: np.ndarray) -> Self:
        """The statistic that keeps, of its rows in memory, those at these places alone."""
        del places
        return self

    def derivative(self, group: Group) -> Change:
        """The derivatives of the fields in the weight of some rows."""
        del group
        return {}

    def moved(self, change: Change) -> Self:
        """The statistic with a small change of its fields."""
        return replace(self, **{name: getattr(self, name) + part for name, part in change.items()})


@dataclass(frozen=True)
class Summed(Statistic):
    """A statistic summed in one pass: `merge` is associative, with `empty` as neutral element."""

    implies: ClassVar[frozenset[type["Summed"]]] = frozenset()  # what `implied` gives
    # whether `under` reads the sums of the rows in each order of the labels, and of their squares
    reads_order_sums: ClassVar[bool] = False
    reads_order_squares: ClassVar[bool] = False

    @classmethod
    def suits(cls, shape: Shape) -> bool:
        """Whether the statistic exists for labels of this kind."""
        del shape
        return True

    @classmethod
    def empty(cls, shape: Shape) -> Self:
        """The statistic of no rows."""
        raise NotImplementedError

    @classmethod
    def from_batch(cls, batch: Batch) -> Self:
        """The statistic of the valid rows of a batch."""
        raise NotImplementedError

    def merge(self, other: Self) -> Self:
        """The statistic of the rows of both."""
        raise NotImplementedError

    def from_zero(self, centre: jax.Array) -> Self:
        """The statistic counted from zero, where rows were counted from `centre` (D,)."""
        del centre
        return self

    def implied(self) -> "tuple[Summed, ...]":
        """The statistics that follow from this one and need not be summed beside it."""
        return ()
