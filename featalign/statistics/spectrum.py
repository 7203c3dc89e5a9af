"""The one eigendecomposition of an embedding, shared by all spectral scorers."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Spectrum:
    """The centred features Z = U √Λ Vᵀ (N, D), what the labels Y (N, K) and the mean μ are in that basis.

    R = min(N, D). `eigenvalues` Λ of Zᵀ Z descend; those below max(N, D) ε Λ₁ are set to zero, and with them their
    projections. `label_projections` = Uᵀ Y, `mean_projections` = Vᵀ μ, `mean_remainder` = |μ|² outside the span of Z. U is orthogonal to the
    vector of ones, so the uncentred features are this plus one rank: F Fᵀ in the basis (1/√N, U) is an arrowhead matrix, and
    nothing needs a second decomposition.
    """

    count: jax.Array  # ()
    eigenvalues: jax.Array  # (R,)
    label_projections: jax.Array  # (R, K)
    mean_projections: jax.Array  # (R,)
    mean_remainder: jax.Array  # ()
    label_means: jax.Array  # (K,)
    label_squares: jax.Array  # (K,) Σ (y - ȳ)²
    mean: jax.Array  # (D,)
    basis: jax.Array  # V (D, D) where the D x D scatter was decomposed, U (N, N) where the N x N Gram was
    basis_is_left: bool = field(metadata={"static": True})

    @property
    def is_constant(self) -> bool:
        """Whether all rows are alike; not for use within a compiled function."""
        return not np.asarray(self.eigenvalues)[0] > 0

    def left_vectors(self, features: jax.Array) -> jax.Array:
        """Rows of U (M, R) for rows of the features (M, D); where U itself is held, for all rows in their order."""
        live = self.eigenvalues > 0
        if self.basis_is_left:
            return jnp.where(live, self.basis, 0.0)
        return ((features.astype(self.mean.dtype) - self.mean) @ self.basis) * jnp.where(
            live, 1 / jnp.sqrt(jnp.where(live, self.eigenvalues, 1.0)), 0.0
        )


def principal_components(spectrum: Spectrum, features: np.ndarray, numbers: np.ndarray, count: int) -> np.ndarray:
    """Rows of the features in their first `count` principal directions (M, count), each turned so that its third moment is not negative.

    `numbers` (M,) say which rows of all these are. Decompositions leave the sign of a direction open; this choice does not depend on
    the order of the rows or on a rotation of the features.
    """
    basis = np.asarray(spectrum.basis)[:, :count]
    if spectrum.basis_is_left:
        components = basis[numbers] * np.sqrt(np.asarray(spectrum.eigenvalues)[:count])
    else:
        components = (features.astype(np.float64) - np.asarray(spectrum.mean)) @ basis
    scaled = components / np.maximum(np.abs(components).max(axis=0), np.finfo(np.float64).tiny)
    return components * np.where((scaled**3).sum(axis=0) < 0, -1.0, 1.0)


def _cutoff(eigenvalues: jax.Array, size: int | jax.Array) -> jax.Array:
    return jnp.maximum(eigenvalues[0], 0) * size * jnp.finfo(eigenvalues.dtype).eps


@jax.jit
def spectrum_from_scatter(
    count: jax.Array, mean: jax.Array, scatter: jax.Array, cross: jax.Array, label_means: jax.Array, label_squares: jax.Array
) -> Spectrum:
    """The spectrum from the D x D scatter and the cross moments Yᵀ Z (K, D): for N > D."""
    ascending, vectors = jnp.linalg.eigh(scatter, symmetrize_input=False)
    eigenvalues, vectors = ascending[::-1], vectors[:, ::-1]
    live = eigenvalues > _cutoff(eigenvalues, jnp.maximum(count, scatter.shape[0]))
    roots = jnp.sqrt(jnp.where(live, eigenvalues, 1.0))
    means = vectors.T @ mean
    return Spectrum(
        count,
        jnp.where(live, eigenvalues, 0.0),
        (vectors.T @ cross.T) * (live / roots)[:, None],
        jnp.where(live, means, 0.0),
        jnp.sum(jnp.where(live, 0.0, means) ** 2),
        label_means,
        label_squares,
        mean,
        vectors,
        basis_is_left=False,
    )


@jax.jit
def spectrum_from_rows(features: jax.Array, labels: jax.Array) -> Spectrum:
    """The spectrum from the N x N Gram of all rows (N, D) and label columns (N, K): for N <= D."""
    count, width = features.shape
    differences, label_means = features - features[0], labels.mean(axis=0)  # nearly exact, so that constant columns vanish
    centred, residuals = differences - differences.mean(axis=0), labels - label_means
    mean = features[0] + differences.mean(axis=0)
    ascending, vectors = jnp.linalg.eigh(centred @ centred.T, symmetrize_input=False)
    eigenvalues, vectors = ascending[::-1], vectors[:, ::-1]
    live = eigenvalues > _cutoff(eigenvalues, max(count, width))
    roots = jnp.sqrt(jnp.where(live, eigenvalues, 1.0))
    means = jnp.where(live, (vectors.T @ (centred @ mean)) / roots, 0.0)
    outside = mean - centred.T @ (vectors @ (means / roots))
    return Spectrum(
        jnp.asarray(count, features.dtype),
        jnp.where(live, eigenvalues, 0.0),
        (vectors.T @ residuals) * live[:, None],
        means,
        outside @ outside,
        label_means,
        (residuals * residuals).sum(axis=0),
        mean,
        vectors,
        basis_is_left=True,
    )


def uncentred_eigenvalues(spectrum: Spectrum, *, iterations: int = 54) -> jax.Array:
    """The R largest eigenvalues of Fᵀ F, descending, F the features as they are.

    Fᵀ F = Zᵀ Z + N μ μᵀ is a rank-one change of a diagonal matrix in the basis V; its eigenvalues are the roots of
    1 + N Σ μ_j² / (λ_j - σ), one between each two neighbouring λ (Golub 1973). Bisection from the lower neighbour finds
    them all at once, however the λ cluster.
    """
    poles = jnp.append(spectrum.eigenvalues, 0.0)[::-1]
    weights = spectrum.count * jnp.append(spectrum.mean_projections**2, spectrum.mean_remainder)[::-1]
    gaps = jnp.append(jnp.diff(poles), weights.sum())
    return (poles + _roots(poles, weights, poles, gaps, iterations))[::-1][: len(spectrum.eigenvalues)]


def largest_uncentred_eigenvalue(spectrum: Spectrum, *, iterations: int = 100) -> jax.Array:
    """The first of `uncentred_eigenvalues` alone."""
    poles = jnp.append(spectrum.eigenvalues, 0.0)
    weights = spectrum.count * jnp.append(spectrum.mean_projections**2, spectrum.mean_remainder)
    return poles[0] + _roots(poles, weights, poles[:1], weights.sum()[None], iterations)[0]


def _roots(poles: jax.Array, weights: jax.Array, starts: jax.Array, gaps: jax.Array, iterations: int) -> jax.Array:
    """For each start the δ in [0, gap] where 1 + Σ weights / (poles - start - δ) changes its sign."""
    distances = poles[None, :] - starts[:, None]

    def halve(_: int, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        middle = (low + high) / 2
        gap = distances - middle[:, None]
        above = 1 + jnp.sum(jnp.where(gap == 0, 0.0, weights / jnp.where(gap == 0, 1.0, gap)), axis=1) > 0
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, high = jax.lax.fori_loop(0, iterations, halve, (jnp.zeros_like(gaps), gaps))
    return (low + high) / 2
