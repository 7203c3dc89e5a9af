"""The labels in random orders.

They say what each statistic of the labels would be if labels and features were unrelated.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace

import numpy as np

from featalign.arrays import Labels
from featalign.statistics.collected import Statistics
from featalign.statistics.label_table import LabelTable
from featalign.statistics.products import group_sums
from featalign.statistics.rows import Rows
from featalign.statistics.statistic import Statistic, Summed

NUM_ORDERS = 20


@dataclass(frozen=True)
class LabelOrders:
    """The labels in P random orders, and their sums in each.

    z are the rows about `centre`. For classes, `sums` is Σ z (P, C, D), `norms` is Σ |z|² (P, C)
    and `squares` is Σ z² (P, C, D). For label columns, `sums` is Σ (y - ȳ) zᵀ (P, K, D). Sums that
    no scorer needs are empty.
    """

    labels: Labels
    orders: np.ndarray  # (P, N): labels[orders[p]] are the labels in order p
    centre: np.ndarray  # (D,)
    sums: np.ndarray
    norms: np.ndarray
    squares: np.ndarray
    tables: tuple[LabelTable, ...]


@dataclass(frozen=True)
class ForIntervals(Statistic):
    """What zeros and intervals are made from: orders of the labels, and a sample of the rows."""

    orders: LabelOrders
    sample: Rows


def orders_of(labels: Labels, seed: int, *, count: int = NUM_ORDERS) -> np.ndarray:
    """Seeded permutations of the row numbers (P, N): `labels[orders[p]]` are labels in order p."""
    random = np.random.default_rng([seed, 1])
    numbers = np.arange(len(labels.values), dtype=np.int32)
    return np.stack([random.permutation(numbers) for _ in range(count)])


class OrderSums:
    """Gathers the sums of `LabelOrders` while rows about a fixed centre stream by.

    It gathers only the sums that statistics of these kinds read.
    """

    def __init__(self, labels: Labels, seed: int, kinds: Collection[type[Summed]], width: int):
        self.given, self.num_classes = labels, labels.num_classes
        self.labels = (
            labels.values.astype(np.int32)
            if labels.num_classes
            else labels.values - labels.values.mean(axis=0)
        )
        self.orders = orders_of(labels, seed)
        self.are_read = any(kind.reads_order_sums for kind in kinds)
        groups = labels.num_classes or labels.values.shape[1]
        size = (len(self.orders), groups, width) if self.are_read else (0,)
        with_squares = any(kind.reads_order_squares for kind in kinds)
        self.sums, self.norms = np.zeros(size), np.zeros(size[:2])
        self.squares = np.zeros(size if with_squares else 0)

    def take(self, rows: np.ndarray, start: int) -> None:
        """Add a batch (B, D) whose first row has the number `start`."""
        with np.errstate(over="ignore", invalid="ignore"):  # values out of range get a status
            self._take(rows, self.labels[self.orders[:, start : start + len(rows)]])

    def _take(self, rows: np.ndarray, here: np.ndarray) -> None:
        if not self.num_classes:
            self.sums += np.einsum("pnk,nd->pkd", here, rows, optimize=True)
            return
        self.sums += group_sums(rows, here, self.num_classes)
        self.norms += group_sums((rows * rows).sum(axis=1)[:, None], here, self.num_classes)[
            :, :, 0
        ]
        if self.squares.size:
            self.squares += group_sums(rows * rows, here, self.num_classes)

    def finish(self, centre: np.ndarray, tables: tuple[LabelTable, ...]) -> LabelOrders:
        """The record, once all rows have streamed by."""
        return LabelOrders(
            self.given, self.orders, centre, self.sums, self.norms, self.squares, tables
        )


def relabelled(statistics: Statistics) -> Iterator[Statistics]:
    """The statistics under each order of the labels.

    A pass over the same features with the labels in that order would have collected the same.
    """
    orders = statistics[ForIntervals].orders
    kinds = [kind for kind, each in statistics.found.items() if each is not None]
    following = zip(*(statistics[kind].under(orders) for kind in kinds), strict=False)
    for order, found in zip(orders.orders, following, strict=False):
        labels = replace(orders.labels, values=orders.labels.values[order])
        changed = dict(zip(kinds, found, strict=True))
        yield replace(statistics, labels=labels, found={**statistics.found, **changed})
