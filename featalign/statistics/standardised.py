"""Standardised features, turned to their principal directions."""

import jax
import jax.numpy as jnp
import numpy as np


def standardised(features: np.ndarray, *, double: bool) -> jax.Array:
    """The standardised features (N, min(N, D)) in another basis.

    The basis is the orthonormal one of their principal directions.
    """
    if features.shape[0] < features.shape[1]:
        rotated = _rotated_rows(jnp.asarray(features))
    else:
        columns = np.asarray(
            _standardised(jnp.asarray(features)), np.float64 if double else np.float32
        )
        with jax.enable_x64(double):
            rotated = _rotated_columns(jnp.asarray(columns))
    with jax.enable_x64(double):
        return jnp.asarray(np.asarray(rotated, np.float64 if double else np.float32))


@jax.jit
def _standardised(features: jax.Array) -> jax.Array:
    """Each column with mean 0 and deviation 1; constant columns become 0."""
    features = features.astype(jnp.float64)
    centred = features - features.mean(axis=0)
    deviation = jnp.sqrt((centred**2).mean(axis=0))
    constant = deviation <= 1e-12 * jnp.abs(features).max(axis=0)
    return jnp.where(constant, 0.0, centred / jnp.where(constant, 1.0, deviation))


@jax.jit
def _rotated_rows(features: jax.Array) -> jax.Array:
    """The standardised features (N, D) in the basis of their rows, (N, N)."""
    standardised = _standardised(features)
    values, vectors = jnp.linalg.eigh(standardised @ standardised.T, symmetrize_input=False)
    return vectors * jnp.sqrt(jnp.maximum(values, 0.0))


@jax.jit
def _rotated_columns(standardised: jax.Array) -> jax.Array:
    """Any orthonormal basis serves, and nearly the principal one serves as well."""
    return standardised @ jnp.linalg.eigh(standardised.T @ standardised, symmetrize_input=False)[1]
