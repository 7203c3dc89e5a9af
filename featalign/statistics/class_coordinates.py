"""Rows and scatter of an embedding in the smaller of its two sizes, for scorers that fit a discriminant."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp

from featalign.statistics.class_moments import ClassMoments
from featalign.statistics.gather import Statistics
from featalign.statistics.spectrum import Spectrum


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ClassCoordinates:
    """Centred features in an orthonormal basis of R = min(N, D) directions that holds them all.

    For N > D the basis is the columns' own; for N <= D it is V and the rows are U √Λ. `scatter` = Zᵀ Z, the class means and the counts are of
    all N rows, `rows` and `labels` of those that are held. `rounding` is the size of a variance, times N, that only rounding made.
    """

    rows: jax.Array  # (M, R)
    labels: jax.Array  # (M,)
    scatter: jax.Array  # (R, R)
    offsets: jax.Array  # (C, R) class means from the mean
    counts: jax.Array  # (C,)
    rounding: jax.Array  # ()

    def within(self) -> jax.Array:
        """The scatter about the class means (R, R), of all rows."""
        return self.scatter - self.offsets.T @ (self.counts[:, None] * self.offsets)


def class_coordinates(statistics: Statistics) -> ClassCoordinates:
    """The coordinates; needs moments, label moments, spectrum and rows of a classification target."""
    assert statistics.spectrum is not None
    assert statistics.moments is not None
    assert statistics.rows is not None
    spectrum, classes = statistics.spectrum, statistics.class_moments
    labels = statistics.rows.labels
    if spectrum.basis_is_left:
        return _rotated(spectrum, classes.counts, labels)
    assert statistics.moments.scatter is not None
    scatter = statistics.moments.scatter
    return _in_columns(statistics.rows.features, spectrum, scatter, classes, labels)


@jax.jit
def _in_columns(
    features: jax.Array,
    spectrum: Spectrum,
    scatter: jax.Array,
    classes: ClassMoments,
    labels: jax.Array,
) -> ClassCoordinates:
    rows = features.astype(spectrum.mean.dtype) - spectrum.mean
    offsets = classes.means - spectrum.mean
    return ClassCoordinates(rows, labels, scatter, offsets, classes.counts, rounding(spectrum))


@jax.jit
def _rotated(spectrum: Spectrum, counts: jax.Array, labels: jax.Array) -> ClassCoordinates:
    roots = jnp.sqrt(spectrum.eigenvalues)
    offsets = (roots[:, None] * spectrum.label_projections / counts).T
    return ClassCoordinates(spectrum.basis * roots, labels, jnp.diag(spectrum.eigenvalues), offsets, counts, rounding(spectrum))


def rounding(spectrum: Spectrum) -> jax.Array:
    """The size of a variance, times N, that only rounding made."""
    eigenvalues = spectrum.eigenvalues
    return 4 * jnp.finfo(eigenvalues.dtype).eps * len(eigenvalues) ** 0.5 * eigenvalues[0]
