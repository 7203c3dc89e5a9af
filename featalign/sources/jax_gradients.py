"""Projected gradients of pure functions in JAX, example by example."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from featalign.sources.capabilities import Differentiable
from featalign.sources.sketch import draw_places, draw_read_outs

if TYPE_CHECKING:
    from featalign.sources.gradients import Projected, Projection


def projected(network: Differentiable, projection: "Projection", *, at_once: int) -> "Projected":
    """What projects the gradients of this network, for up to `at_once` examples at a time."""
    layer, count, size = projection.layer, projection.read_outs, projection.size
    parameters = jax.device_put(network.parameters)
    numbers = [int(np.size(leaf)) for leaf in jax.tree.leaves(network.parameters)]
    places = jax.device_put(list(draw_places(numbers, count, size, projection.seed)))
    drawn: list[jax.Array] = []  # the read-outs, once the width of the layer is known

    def project(prepared: Any) -> np.ndarray:
        prepared = np.asarray(prepared)
        if not drawn:
            shapes = jax.eval_shape(network.apply, network.parameters, prepared[:1])
            width = shapes[layer].shape[1]
            drawn.append(jax.device_put(draw_read_outs(width, count, projection.seed)))
        some = min(at_once, max(1, 1 << (len(prepared) - 1).bit_length()))
        missing = -len(prepared) % some
        grown = np.concatenate([prepared, np.zeros((missing, *prepared.shape[1:]), prepared.dtype)])
        parts = [
            _projected(
                network.apply, layer, size, parameters, grown[start : start + some], *drawn, places
            )
            for start in range(0, len(grown), some)
        ]
        return np.concatenate([np.asarray(part) for part in parts])[: len(prepared)]

    return project


@partial(jax.jit, static_argnums=(0, 1, 2))
def _projected(
    apply: Callable,
    layer: str,
    size: int,
    parameters: Any,
    prepared: jax.Array,
    read_outs: jax.Array,
    places: Any,
) -> jax.Array:
    """Projected gradients (B, k · size)."""

    def one(example: jax.Array) -> jax.Array:
        features, backward = jax.vjp(
            lambda parameters: apply(parameters, example[None])[layer][0], parameters
        )
        del features

        def sketch(read_out: jax.Array, places: list[tuple[jax.Array, jax.Array]]) -> jax.Array:
            leaves = jax.tree.leaves(backward(read_out)[0])
            total = jnp.zeros(())
            for leaf, (order, signs) in zip(leaves, places, strict=True):
                total = total + (leaf.reshape(-1)[order] * signs).reshape(-1, size).sum(axis=0)
            return total

        return jax.vmap(sketch)(read_outs, places) / jnp.sqrt(len(read_outs))

    return jax.vmap(one)(prepared).reshape(len(prepared), -1)
