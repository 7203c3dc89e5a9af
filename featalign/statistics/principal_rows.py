"""Rows in memory, in the directions of the spectrum."""

from dataclasses import dataclass
from typing import Any

import jax.numpy as jnp
import numpy as np

from featalign.statistics.mixture import Mixture, first_clusters, fit_mixture
from featalign.statistics.once import once
from featalign.statistics.products import arrays, blocks, centred, held, on_host, squares_product
from featalign.statistics.rows import Sample
from featalign.statistics.spectrum import Spectrum
from featalign.statistics.statistic import Statistic


@dataclass(frozen=True)
class PrincipalRows(Statistic):
    """Rows in memory, and what follows from them and a spectrum without the labels."""

    held: Sample
    spectrum: Spectrum

    @once
    def at_most(self, max_rows: int) -> "PrincipalRows":
        """These rows, or a seeded sample of them."""
        sample = self.held.at_most(max_rows)
        return self if sample is self.held else PrincipalRows(sample, self.spectrum)

    def take(self, places: np.ndarray) -> "PrincipalRows":
        """The rows at these places alone."""
        return PrincipalRows(self.held.take(places), self.spectrum)

    @property
    def num_live(self) -> int:
        """The number of directions in which the rows vary."""
        return int((np.asarray(self.spectrum.eigenvalues) > 0).sum())

    @once
    def centred(self) -> Any:
        """The features less the mean of all rows (M, D)."""
        return centred(self.held.features, arrays().asarray(self.spectrum.mean))

    @once
    def rotated(self) -> Any:
        """The centred rows in all live directions (M, R)."""
        return rotated(self.spectrum, self.held.features, self.held.numbers)

    @once
    def norms(self) -> Any:
        """The squared norms of the centred rows (M,)."""
        rows = self.rotated()
        return squares_product(rows, arrays().ones(rows.shape[1]))

    @once
    def components(self, count: int) -> np.ndarray:
        """The first principal components (M, count)."""
        return self._components(count)

    @once
    def distance_ranks(self, count: int) -> np.ndarray:
        """`distance_ranks` of the rows in so many standardised principal components (pairs,)."""
        components = self._components(count)
        deviations = components.std(axis=0)
        scale = np.where(deviations > 0, deviations, 1.0)
        return distance_ranks((components - components.mean(axis=0)) / scale)

    @once
    def mixture(self, number: int, *, variance_share: float) -> Mixture:
        """A mixture of so many clusters, in the components that hold this share of the variance."""
        eigenvalues = np.asarray(self.spectrum.eigenvalues)
        shares = np.cumsum(eigenvalues / eigenvalues.sum())
        components = self._components(int(np.searchsorted(shares, variance_share)) + 1)
        components = components / np.sqrt(eigenvalues[0] / float(self.spectrum.count))
        return fit_mixture(components, first_clusters(components, number))

    def _components(self, count: int) -> np.ndarray:
        return principal_components(self.spectrum, self.held.features, self.held.numbers, count)


def rotated(
    spectrum: Spectrum,
    features: np.ndarray,
    numbers: np.ndarray,
    count: int | None = None,
) -> Any:
    """Centred rows of the features in the first `count` directions (M, count): U √Λ.

    By default it takes all live directions. `numbers` (M,) say which rows of all these are.
    """
    xp = arrays()
    values, basis, mean = held((spectrum.eigenvalues, spectrum.basis, spectrum.mean))
    count = int((values > 0).sum()) if count is None else count
    basis = basis[:, :count]
    if spectrum.basis_is_left:
        return basis[numbers] * xp.sqrt(values[:count])
    if not on_host():
        return (jnp.asarray(features).astype(mean.dtype) - mean) @ basis
    rows = np.empty((len(features), count))
    for part in blocks(*features.shape):
        np.matmul(features[part].astype(np.float64) - mean, basis, out=rows[part])
    return rows


def principal_components(
    spectrum: Spectrum,
    features: np.ndarray,
    numbers: np.ndarray,
    count: int,
) -> np.ndarray:
    """`rotated` (M, count), each column turned so that its third moment is not negative.

    Decompositions leave the sign of a direction open; this choice does not depend on the order of
    the rows or on a rotation of the features.
    """
    components = np.asarray(rotated(spectrum, features, numbers, count))
    largest = np.maximum(np.abs(components).max(axis=0), np.finfo(np.float64).tiny)
    scaled = components / largest
    return components * np.where((scaled**3).sum(axis=0) < 0, -1.0, 1.0)


def distance_ranks(rows: np.ndarray) -> np.ndarray:
    """Ranks of 1 - corr(r_i, r_j) over all pairs of rows (M, D), less their mean (pairs,).

    A row without any variance correlates 0 with the others.
    """
    first, second = np.triu_indices(len(rows), 1)
    about = rows - rows.mean(axis=1, keepdims=True)
    norms = np.sqrt((about**2).sum(axis=1, keepdims=True))
    about = about / np.where(norms > 0, norms, 1.0)
    return _rank_data(1 - (about @ about.T)[first, second])


def _rank_data(values: np.ndarray) -> np.ndarray:
    """Ranks less their mean.

    Equal values share the mean of their ranks. Values that agree to ten digits count as equal.
    """
    _, places, counts = np.unique(np.round(values, 10), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[places.reshape(-1)] - (len(values) + 1) / 2
