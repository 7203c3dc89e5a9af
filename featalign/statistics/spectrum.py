"""The one eigendecomposition of an embedding, shared by all spectral scorers."""

from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from featalign.statistics.products import arrays, blocks, held, on_host, symmetric_eigen


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Spectrum:
    """The centred features Z = U √Λ Vᵀ (N, D), and what else is in that basis.

    That is what the labels Y (N, K) and the mean μ are there.

    R = min(N, D). `eigenvalues` Λ of Zᵀ Z descend; those below max(N, D) ε Λ₁ are set to zero, and
    with them their projections. `label_projections` = Uᵀ Y, `mean_projections` = Vᵀ μ,
    `mean_remainder` = |μ|² outside the span of Z. U is orthogonal to the vector of ones, so the
    uncentred features are this plus one rank: F Fᵀ in the basis (1/√N, U) is an arrowhead matrix,
    and nothing needs a second decomposition.
    """

    count: jax.Array  # ()
    eigenvalues: jax.Array  # (R,)
    label_projections: jax.Array  # (R, K)
    mean_projections: jax.Array  # (R,)
    mean_remainder: jax.Array  # ()
    label_means: jax.Array  # (K,)
    label_squares: jax.Array  # (K,) Σ (y - ȳ)²
    mean: jax.Array  # (D,)
    basis: (
        jax.Array
    )  # V (D, D) where the D x D scatter was decomposed, U (N, N) where the N x N Gram was
    basis_is_left: bool = field(metadata={"static": True})

    @property
    def is_constant(self) -> bool:
        """Whether all rows are alike; not for use within a compiled function."""
        return not np.asarray(self.eigenvalues)[0] > 0


def rotated(
    spectrum: Spectrum,
    features: np.ndarray,
    numbers: np.ndarray,
    count: int | None = None,
) -> Any:
    """Centred rows of the features in the first `count` directions (M, count): U √Λ.

    By default all that are live. `numbers` (M,) say which rows of all these are.
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


def _cutoff(eigenvalues: Any, size: Any) -> Any:
    xp = arrays()
    return xp.maximum(eigenvalues[0], 0) * size * np.finfo(np.float64).eps


def _descending(matrix: Any, size: Any) -> tuple[Any, Any, Any, Any]:
    """Eigenvalues and vectors of a symmetric matrix, which are live, and the roots of those."""
    xp = arrays()
    ascending, vectors = symmetric_eigen(matrix)
    eigenvalues, vectors = ascending[::-1], vectors[:, ::-1]
    live = eigenvalues > _cutoff(eigenvalues, size)
    roots = xp.sqrt(xp.where(live, eigenvalues, 1.0))
    return xp.where(live, eigenvalues, 0.0), vectors, live, roots


@np.errstate(all="ignore")  # what is out of range gets a status
def spectrum_from_scatter(
    count: Any,
    mean: Any,
    scatter: Any,
    cross: Any,
    label_means: Any,
    label_squares: Any,
) -> Spectrum:
    """The spectrum from the D x D scatter and the cross moments Yᵀ Z (K, D): for N > D."""
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
    """The spectrum from the N x N Gram of rows (N, D) and label columns (N, K): for N <= D."""
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
    """The R largest eigenvalues of Fᵀ F, descending, F the features as they are.

    Fᵀ F = Zᵀ Z + N μ μᵀ is a rank-one change of a diagonal matrix in the basis V; its eigenvalues
    are the roots of 1 + N Σ μ_j² / (λ_j - σ), one between each two neighbouring λ (Golub 1973).
    Bisection from the lower neighbour finds them all at once, however the λ cluster.
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
    """The first of `uncentred_eigenvalues` alone."""
    poles = jnp.append(spectrum.eigenvalues, 0.0)
    weights = spectrum.count * jnp.append(spectrum.mean_projections**2, spectrum.mean_remainder)
    return poles[0] + _roots(poles, weights, poles[:1], weights.sum()[None], iterations)[0]


def _roots(
    poles: jax.Array, weights: jax.Array, starts: jax.Array, gaps: jax.Array, iterations: int
) -> jax.Array:
    """For each start the δ in [0, gap] at which a sum changes its sign.

    The sum is 1 + Σ weights / (poles - start - δ).
    """
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
