"""float64 inside the core, without touching the user's JAX configuration."""

import jax


def double_precision():
    """A context in which JAX computes in float64; the setting outside stays what it was.

    >>> import jax.numpy as jnp
    >>> with double_precision():
    ...     str(jnp.ones(2, "float64").dtype)
    'float64'
    """
    return jax.enable_x64(True)
