"""Rows and scatter of an embedding in min(N, D) directions, for scorers that fit a discriminant."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from featalign.statistics.class_moments import ClassMoments
from featalign.statistics.collected import Statistics
from featalign.statistics.moments import Moments
from featalign.statistics.principal_rows import PrincipalRows, rotated
from featalign.statistics.products import arrays, held
from featalign.statistics.rows import Rows
from featalign.statistics.spectrum import Spectrum


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ClassCoordinates:
    """Centred features in an orthonormal basis of R = min(N, D) directions that holds them all.

    For N > D the basis is that of the columns. For N <= D it is V, and the rows are U √Λ. `scatter`
    = Zᵀ Z, the class means and the counts are of all N rows; `rows` and `labels` are of the rows in
    memory. A variance whose product with N is at most `rounding` comes from rounding alone.
    """

    rows: Any  # (M, R)
    labels: Any  # (M,)
    scatter: Any  # (R, R)
    offsets: Any  # (C, R) class means from the mean
    counts: Any  # (C,)
    rounding: Any  # ()

    def within(self) -> Any:
        """The scatter about the class means (R, R), of all rows."""
        return self.scatter - self.offsets.T @ (self.counts[:, None] * self.offsets)


def class_coordinates(statistics: Statistics) -> ClassCoordinates:
    """The coordinates, of a classification target."""
    xp, spectrum, held_rows = arrays(), statistics[Spectrum], statistics[Rows]
    classes, labels = held(statistics[ClassMoments]), xp.asarray(held_rows.labels)
    size = held(rounding(spectrum))
    if spectrum.basis_is_left:
        values = held(spectrum.eigenvalues)
        rows = rotated(spectrum, held_rows.features, held_rows.numbers, len(values))
        sums = xp.sqrt(values)[:, None] * held(spectrum.label_projections)
        offsets = (sums / xp.maximum(classes.counts, 1)).T
        return ClassCoordinates(rows, labels, xp.diag(values), offsets, classes.counts, size)
    mean, scatter = held((spectrum.mean, statistics[Moments].scatter))
    rows = statistics[PrincipalRows].centred()
    return ClassCoordinates(rows, labels, scatter, classes.means - mean, classes.counts, size)


def rounding(spectrum: Spectrum) -> Any:
    """N times the largest variance that may come from rounding alone."""
    eigenvalues = spectrum.eigenvalues
    return 4 * jnp.finfo(eigenvalues.dtype).eps * len(eigenvalues) ** 0.5 * eigenvalues[0]
