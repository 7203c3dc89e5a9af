"""The one eigendecomposition of an embedding, from its scatter or its Gram matrix."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from featalign.statistics.class_moments import ClassMoments, TargetMoments
from featalign.statistics.moments import Moments
from featalign.statistics.products import arrays, held, symmetric_eigen
from featalign.statistics.spectrum import Spectrum


def _cutoff(eigenvalues: Any, size: Any) -> Any:
    xp = arrays()
    return xp.maximum(eigenvalues[0], 0) * size * np.finfo(np.float64).eps


def _descending(matrix: Any, size: Any) -> tuple[Any, Any, Any, Any]:
    """Eigenvalues, descending, and eigenvectors of a symmetric matrix, what is live, and roots.

    An eigenvalue is live when it is above the rounding error; the others are set to zero. The
    square roots are those of the live ones, and 1 elsewhere.
    """
    xp = arrays()
    ascending, vectors = symmetric_eigen(matrix)
    eigenvalues, vectors = ascending[::-1], vectors[:, ::-1]
    live = eigenvalues > _cutoff(eigenvalues, size)
    roots = xp.sqrt(xp.where(live, eigenvalues, 1.0))
    return xp.where(live, eigenvalues, 0.0), vectors, live, roots


def spectrum_from_moments(
    moments: Moments, label_moments: ClassMoments | TargetMoments
) -> Spectrum:
    """The spectrum from the moments of the features and of the labels, for N > D."""
    return spectrum_from_scatter(
        moments.count, moments.mean, moments.scatter, *_against_labels(moments, label_moments)
    )


@jax.jit
def _against_labels(
    moments: Moments, label_moments: ClassMoments | TargetMoments
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Yᵀ Z (K, D), and the means and the centred squares of the label columns."""
    if isinstance(label_moments, TargetMoments):
        return label_moments.cross, label_moments.mean, jnp.diag(label_moments.scatter)
    shares = label_moments.counts / moments.count
    cross = label_moments.counts[:, None] * (label_moments.means - moments.mean)
    return cross, shares, label_moments.counts * (1 - shares)


@np.errstate(all="ignore")  # what is out of range gets a status
def spectrum_from_scatter(
    count: Any,
    mean: Any,
    scatter: Any,
    cross: Any,
    label_means: Any,
    label_squares: Any,
) -> Spectrum:
    """The spectrum from the D x D scatter and the cross moments Yᵀ Z (K, D), for N > D."""
    xp, (mean, scatter, cross) = arrays(), held((mean, scatter, cross))
    size = max(float(count), len(scatter))
    eigenvalues, vectors, live, roots = _descending(scatter, size)
    means = vectors.T @ mean
    return Spectrum(
        *map(
            jnp.asarray,
            (
                count,
                eigenvalues,
                (vectors.T @ cross.T) * (live / roots)[:, None],
                xp.where(live, means, 0.0),
                xp.sum(xp.where(live, 0.0, means) ** 2),
                label_means,
                label_squares,
                mean,
                vectors,
            ),
        ),
        basis_is_left=False,
    )


@np.errstate(all="ignore")  # what is out of range gets a status
def spectrum_from_rows(features: Any, labels: Any) -> Spectrum:
    """The spectrum from the N x N Gram of rows (N, D) and label columns (N, K), for N <= D."""
    xp, (features, labels) = arrays(), held((features, labels))
    count, width = features.shape
    # differences are nearly exact, so that constant columns vanish
    differences, label_means = features - features[0], labels.mean(axis=0)
    middle = differences.mean(axis=0)
    centred, residuals, mean = differences - middle, labels - label_means, features[0] + middle
    gram = centred @ centred.T
    eigenvalues, vectors, live, roots = _descending(gram, max(count, width))
    means = xp.where(live, (vectors.T @ (centred @ mean)) / roots, 0.0)
    outside = mean - centred.T @ (vectors @ (means / roots))
    return Spectrum(
        *map(
            jnp.asarray,
            (
                np.float64(count),
                eigenvalues,
                (vectors.T @ residuals) * live[:, None],
                means,
                outside @ outside,
                label_means,
                (residuals * residuals).sum(axis=0),
                mean,
                vectors,
            ),
        ),
        basis_is_left=True,
    )


def uncentred_eigenvalues(spectrum: Spectrum, *, iterations: int = 54) -> jax.Array:
    """The R largest eigenvalues of Fᵀ F, descending, where F are the features as they are.

    Fᵀ F = Zᵀ Z + N μ μᵀ is a rank-one change of a diagonal matrix in the basis V. Its eigenvalues
    are the roots of 1 + N Σ μ_j² / (λ_j - σ), one between each two neighbouring λ (Golub 1973).
    Bisection from the lower neighbour finds them all at once, also where the λ lie close together.
    """
    poles = jnp.append(spectrum.eigenvalues, 0.0)[::-1]
    weights = (
        spectrum.count * jnp.append(spectrum.mean_projections**2, spectrum.mean_remainder)[::-1]
    )
    gaps = jnp.append(jnp.diff(poles), weights.sum())
    return (poles + _roots(poles, weights, poles, gaps, iterations))[::-1][
        : len(spectrum.eigenvalues)
    ]


def largest_uncentred_eigenvalue(spectrum: Spectrum, *, iterations: int = 100) -> jax.Array:
    """The first of the `uncentred_eigenvalues`, without the others."""
    poles = jnp.append(spectrum.eigenvalues, 0.0)
    weights = spectrum.count * jnp.append(spectrum.mean_projections**2, spectrum.mean_remainder)
    return poles[0] + _roots(poles, weights, poles[:1], weights.sum()[None], iterations)[0]


def _roots(
    poles: jax.Array, weights: jax.Array, starts: jax.Array, gaps: jax.Array, iterations: int
) -> jax.Array:
    """For each start, the δ in [0, gap] where 1 + Σ weights / (poles - start - δ) changes sign."""
    distances = poles[None, :] - starts[:, None]

    def halve(_: int, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        middle = (low + high) / 2
        gap = distances - middle[:, None]
        above = (
            1 + jnp.sum(jnp.where(gap == 0, 0.0, weights / jnp.where(gap == 0, 1.0, gap)), axis=1)
            > 0
        )
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, high = jax.lax.fori_loop(0, iterations, halve, (jnp.zeros_like(gaps), gaps))
    return (low + high) / 2
