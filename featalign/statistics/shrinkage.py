"""Covariances shrunk to their mean variance."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def ledoit_wolf(square: Any, apart: Any, quartic: Any, count: Any, *, rounding: float = 0.0) -> Any:
    """The share a in [0, 1] of the mean variance m: min(β², δ²)/δ².

    `square` is |cov|², `apart` is δ² = |cov - m I|², `quartic` is the mean of |z|⁴, and β² =
    (mean |z|⁴ - |cov|²)/N. The share is 0 where δ² is at most `rounding` times |cov|², as in one
    column. Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
    matrices", 2004.
    """
    xp = jnp if isinstance(square, jax.Array) else np
    noise = xp.maximum((quartic - square) / count, 0.0)
    there = apart > rounding * square
    return xp.where(there, xp.minimum(noise, apart) / xp.where(there, apart, 1.0), 0.0)


def whitened(within: jax.Array, shrinkage: Any, ridge: Any, *parts: jax.Array) -> list[jax.Array]:
    """Rows (M, D) in directions where (1 - shrinkage) within + ridge I is the identity."""
    factor = jnp.linalg.cholesky((1 - shrinkage) * within + ridge * jnp.eye(len(within)))
    return [jax.scipy.linalg.solve_triangular(factor, part.T, lower=True).T for part in parts]
