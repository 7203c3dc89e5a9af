"""What a statistic is: something of the rows of an embedding that scorers ask for by its type."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import TYPE_CHECKING, ClassVar, Self

import jax
import numpy as np

if TYPE_CHECKING:
    from featalign.statistics.label_orders import LabelOrders

Change = dict[str, jax.Array]  # of fields, by their names


@dataclass(frozen=True)
class Shape:
    """Columns of the features, and classes or, where there are none, columns of the labels."""

    num_features: int
    num_classes: int = 0
    num_targets: int = 0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Batch:
    """Some rows of the pass in float64, with which of them are real and not padding."""

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

    What it does not say of itself does not change with the order of the labels, with the number of
    rows that are held, or with the weights of rows.
    """

    def under(self, orders: "LabelOrders") -> Iterator[Self]:
        """The same under each order of the labels."""
        del orders
        return repeat(self)

    def at_most(self, max_rows: int) -> Self:
        """The same of no more rows than these, of those that are held."""
        del max_rows
        return self

    def take(self, places: np.ndarray) -> Self:
        """The same of the rows at these places alone, of those that are held."""
        del places
        return self

    def derivative(self, group: Group) -> Change:
        """The derivatives of the fields in the weight of some rows."""
        del group
        return {}

    def moved(self, change: Change) -> Self:
        """The same with a small change of the fields."""
        return replace(self, **{name: getattr(self, name) + part for name, part in change.items()})


@dataclass(frozen=True)
class Summed(Statistic):
    """What is summed in one pass: `merge` is associative, and `empty` is its neutral element."""

    implies: ClassVar[frozenset[type["Summed"]]] = frozenset()  # what `implied` gives
    # whether `under` reads the sums of the rows in each order of the labels, and of their squares
    reads_order_sums: ClassVar[bool] = False
    reads_order_squares: ClassVar[bool] = False

    @classmethod
    def suits(cls, shape: Shape) -> bool:
        """Whether there is one of labels of this kind."""
        del shape
        return True

    @classmethod
    def empty(cls, shape: Shape) -> Self:
        """That of no rows."""
        raise NotImplementedError

    @classmethod
    def from_batch(cls, batch: Batch) -> Self:
        """That of the valid rows of a batch."""
        raise NotImplementedError

    def merge(self, other: Self) -> Self:
        """That of the rows of both."""
        raise NotImplementedError

    def from_zero(self, centre: jax.Array) -> Self:
        """The same of rows that are no longer about `centre` (D,)."""
        del centre
        return self

    def implied(self) -> "tuple[Summed, ...]":
        """What follows from it and need not be summed beside it."""
        return ()
