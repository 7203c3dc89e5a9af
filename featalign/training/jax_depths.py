"""The depths of parameters, which give the groups to unfreeze from the head down."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def depths(
    apply: Callable[[Any, Any], Any], parameters: Any, prepared: np.ndarray, layers: Sequence[str]
) -> Any:
    """The place of the first of these layers on which each tensor of parameters acts.

    It is len(layers) for a tensor that acts on none. The places make a tree like the parameters.
    They are found by differentiation on a few inputs, not by names: a tensor acts on a layer where
    its gradient is not zero.

    >>> def apply(parameters, inputs):
    ...     low = inputs * parameters["a"]
    ...     return {"low": low, "high": low + parameters["b"]}
    >>> parameters = {name: jnp.ones(3) for name in "abc"}
    >>> depths(apply, parameters, np.ones((2, 3), np.float32), ("low", "high"))
    {'a': 0, 'b': 1, 'c': 2}
    """

    def touched(parameters: Any, inputs: Any) -> list[Any]:
        return [
            jax.tree.map(
                lambda slope: jnp.any(slope != 0),
                jax.grad(
                    lambda parameters, layer=layer: (
                        apply(parameters, inputs)[layer]
                        * _weights(layer, apply, parameters, inputs)
                    ).sum()
                )(parameters),
            )
            for layer in layers
        ]

    found = jax.jit(touched)(parameters, prepared)
    return jax.tree.map(
        lambda *acts: next((place for place, act in enumerate(acts) if bool(act)), len(layers)),
        *found,
    )


def _weights(
    layer: str, apply: Callable[[Any, Any], Any], parameters: Any, inputs: Any
) -> np.ndarray:
    """Fixed random weights of a layer's entries.

    A plain sum would have no gradient through a normalisation.
    """
    shape = jax.eval_shape(apply, parameters, inputs)[layer].shape
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)
