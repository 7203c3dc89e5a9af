"""Rows in memory, for what moments do not suffice for."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from featalign.statistics.nearest import nearest
from featalign.statistics.once import once
from featalign.statistics.statistic import Statistic

if TYPE_CHECKING:
    from featalign.statistics.label_orders import LabelOrders

SHARED = 5  # the least number of neighbours to look up, so that all scorers share one search


@dataclass(frozen=True)
class Sample:
    """Features of rows in memory; `sampled` says whether they are a seeded sample of all rows.

    Rows of one of the `groups` (M,) are no neighbours of each other.
    """

    features: np.ndarray  # (M, D)
    numbers: np.ndarray  # (M,) which rows of all these are
    sampled: bool
    seed: int
    groups: np.ndarray | None = None

    def take(self, places: np.ndarray) -> "Sample":
        """The rows at these places alone."""
        groups = None if self.groups is None else self.groups[places]
        found = self.features[places], self.numbers[places]
        return replace(self, features=found[0], numbers=found[1], groups=groups)

    @once
    def places(self, count: int) -> np.ndarray:
        """The places, in their order, of a seeded sample of so many of the rows."""
        random = np.random.default_rng(self.seed)
        return np.sort(random.choice(len(self.numbers), count, replace=False))

    @once
    def at_most(self, max_rows: int) -> "Sample":
        """These rows, or a seeded sample of them."""
        if len(self.numbers) <= max_rows:
            return self
        return replace(self.take(self.places(max_rows)), sampled=True)

    def neighbours(self, count: int) -> np.ndarray:
        """The `count` nearest other rows of each row (M, count), nearest first.

        With groups they are of other groups. There must be so many; see `most_neighbours`.
        """
        return self._nearest(max(count, min(SHARED, self.most_neighbours)))[:, :count]

    @property
    def most_neighbours(self) -> int:
        """The number of neighbours that every row has: the rows outside of the largest group."""
        largest = 1 if self.groups is None else int(np.unique_counts(self.groups).counts.max())
        return len(self.numbers) - largest

    @once
    def _nearest(self, count: int) -> np.ndarray:
        return nearest(self.features, count, self.groups)

    @once
    def standardised(self, *, double: bool) -> jax.Array:
        """The standardised features (M, min(M, D)) in their principal directions."""
        return _standardised(self.features, double=double)


@dataclass(frozen=True)
class Rows(Statistic):
    """Rows with their labels (M,) or (M, K)."""

    held: Sample
    labels: np.ndarray

    @property
    def features(self) -> np.ndarray:
        """The features (M, D)."""
        return self.held.features

    @property
    def numbers(self) -> np.ndarray:
        """Which rows of all these are (M,)."""
        return self.held.numbers

    @property
    def sampled(self) -> bool:
        """Whether they are a seeded sample of all rows."""
        return self.held.sampled

    def under(self, orders: "LabelOrders") -> Iterator["Rows"]:
        """The same rows, with the labels of each order."""
        for order in orders.orders:
            yield replace(self, labels=orders.labels.values[order[self.numbers]])

    def at_most(self, max_rows: int) -> "Rows":
        """These rows, or a seeded sample of them in their order."""
        if len(self.labels) <= max_rows:
            return self
        return Rows(self.held.at_most(max_rows), self.labels[self.held.places(max_rows)])

    def take(self, places: np.ndarray) -> "Rows":
        """The rows at these places alone."""
        return Rows(self.held.take(places), self.labels[places])


class HeldRows:
    """Collects rows while they stream by: all of them, or a seeded sample of `max_rows`."""

    def __init__(self, num_rows: int, max_rows: int, seed: int):
        self.sampled, self.seed = num_rows > max_rows, seed
        self.wanted = (
            np.sort(np.random.default_rng(seed).choice(num_rows, max_rows, replace=False))
            if self.sampled
            else np.arange(num_rows)
        )
        self.parts: list[np.ndarray] = []

    def take(self, batch: np.ndarray, start: int) -> None:
        """Keep what is wanted of a batch whose first row has the number `start`."""
        low, high = np.searchsorted(self.wanted, [start, start + len(batch)])
        self.parts.append(batch[self.wanted[low:high] - start] if self.sampled else batch)

    def finish(self, labels: np.ndarray, groups: np.ndarray | None = None) -> Rows:
        """The rows with their labels and groups, once all have streamed by."""
        features = self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts)
        if features.dtype.name in ("float16", "bfloat16"):
            features = features.astype(np.float32)
        own = None if groups is None else groups[self.wanted]
        sample = Sample(features, self.wanted, self.sampled, self.seed, own)
        return Rows(sample, labels[self.wanted])


def _standardised(features: np.ndarray, *, double: bool) -> jax.Array:
    """The standardised features (N, min(N, D)) in the orthonormal basis of principal directions."""
    dtype = np.float64 if double else np.float32
    if features.shape[0] < features.shape[1]:
        rotated = _rotated_rows(jnp.asarray(features))
    else:
        columns = np.asarray(_in_units(jnp.asarray(features)), dtype)
        with jax.enable_x64(double):
            rotated = _rotated_columns(jnp.asarray(columns))
    with jax.enable_x64(double):
        return jnp.asarray(np.asarray(rotated, dtype))


@jax.jit
def _in_units(features: jax.Array) -> jax.Array:
    """Each column with mean 0 and deviation 1; constant columns become 0."""
    features = features.astype(jnp.float64)
    centred = features - features.mean(axis=0)
    deviation = jnp.sqrt((centred**2).mean(axis=0))
    constant = deviation <= 1e-12 * jnp.abs(features).max(axis=0)
    return jnp.where(constant, 0.0, centred / jnp.where(constant, 1.0, deviation))


@jax.jit
def _rotated_rows(features: jax.Array) -> jax.Array:
    """The standardised features (N, D) in the basis of their rows, (N, N)."""
    standardised = _in_units(features)
    values, vectors = jnp.linalg.eigh(standardised @ standardised.T, symmetrize_input=False)
    return vectors * jnp.sqrt(jnp.maximum(values, 0.0))


@jax.jit
def _rotated_columns(standardised: jax.Array) -> jax.Array:
    """The standardised features (N, D) in nearly their principal directions.

    Rounding does no harm, because any orthonormal basis serves.
    """
    return standardised @ jnp.linalg.eigh(standardised.T @ standardised, symmetrize_input=False)[1]
