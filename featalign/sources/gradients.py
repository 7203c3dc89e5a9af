"""Gradient embeddings: the gradients of a source's features, example by example.

They tell what a source could become by small changes of its parameters.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from featalign.checks import check_whole
from featalign.errors import FeatalignError
from featalign.sources.capabilities import Differentiable
from featalign.sources.source import Source, check_layer

READ_OUTS = 2
DIMENSION = 2048
MICROBATCH = 16
SKETCH = 1  # raise it whenever the projection changes, because it enters the cache key


def gradient_source(
    source: Source,
    *,
    layer: str | None = None,
    read_outs: int = READ_OUTS,
    dimension: int = DIMENSION,
    seed: int = 0,
) -> Source:
    """A source whose features are projected gradients of the given source's features.

    The gradients are with respect to all its parameters.

    For read-outs a_j ~ N(0, I/F) of the features f (F,) of `layer` (default: the source's own) the
    embedding of x is the concatenation over j of R_j ∇_θ a_jᵀ f(θ, x) / √k, with k read-outs and
    random projections R_j to dimension / k numbers. Inner products approximate the tangent kernel

        K(x, x') = Σ_j ⟨∇ a_jᵀ f(x), ∇ a_jᵀ f(x')⟩ / k,

    unbiased, with an error of about √(K(x, x) K(x', x') / dimension). R_j gives each parameter a
    random sign and one of dimension / k places, the same number of parameters for each place (a
    count sketch: Charikar, Chen and Farach-Colton, "Finding frequent items in data streams", 2002),
    at the cost of one look-up a parameter. Tensors of parameters are not rescaled, as in gradient
    descent with one learning rate. `seed` draws everything; twins and sources of one architecture
    get the same read-outs and projections. Name and revision are those of the source. The name of
    the layer says what was computed, so that it is cached beside the other layers. Memory holds the
    k gradients of 16 examples, and for the projection 8 bytes per parameter and read-out.

    Raises FeatalignError for a source that is not differentiable, a layer it does not have, or
    sizes that cannot be used.

    >>> import featalign as fa
    >>> gradients = gradient_source(fa.load_source("zoo/resnet_digits"), dimension=256)
    >>> gradients.embed(np.zeros((3, 8, 8), np.uint8))[gradients.default_layer].shape
    (3, 256)
    """
    layer = layer or source.default_layer
    check_layer(layer, source.all_layers, name=source.name)
    for name, value in (("read_outs", read_outs), ("dimension", dimension)):
        check_whole(value, name)
    if dimension % read_outs:
        raise FeatalignError(
            f"dimension: expected a multiple of read_outs, got {dimension} and {read_outs}; each "
            "read-out gets an equal part"
        )
    check_whole(seed, "seed", 0)
    if source.trainable is None or not source.is_differentiable:
        raise FeatalignError(
            f"{source.name}: expected a differentiable source, this one is a black box; gradients "
            "need a Flax module, a Keras network or a zoo source"
        )
    name = (
        f"gradients({layer}, read_outs={read_outs}, dimension={dimension}, seed={seed}, "
        f"sketch={SKETCH})"
    )
    load, drawn = source.trainable.load, {}

    def embed_batch(prepared: Any, layers: tuple[str, ...]) -> dict[str, np.ndarray]:
        del layers
        differentiable: Differentiable = load()
        prepared = np.asarray(prepared)
        if not drawn:
            width = jax.eval_shape(differentiable.apply, differentiable.parameters, prepared[:1])[
                layer
            ].shape[1]
            drawn["parameters"] = jax.device_put(differentiable.parameters)
            drawn["read_outs"] = jax.device_put(draw_read_outs(width, read_outs, seed))
            drawn["places"] = jax.device_put(
                draw_places(differentiable.parameters, read_outs, dimension // read_outs, seed)
            )
        size = min(MICROBATCH, max(1, 1 << (len(prepared) - 1).bit_length()))
        missing = -len(prepared) % size
        grown = np.concatenate([prepared, np.zeros((missing, *prepared.shape[1:]), prepared.dtype)])
        parts = [
            _projected(
                differentiable.apply,
                layer,
                dimension // read_outs,
                drawn["parameters"],
                grown[start : start + size],
                drawn["read_outs"],
                drawn["places"],
            )
            for start in range(0, len(grown), size)
        ]
        return {name: np.concatenate([np.asarray(part) for part in parts])[: len(prepared)]}

    return replace(
        source,
        embed_batch=embed_batch,
        layers=(name,),
        default_layer=name,
        logits_layer=None,
        trainable=None,
        fresh_weights=None,
    )


def draw_read_outs(width: int, count: int, seed: int) -> np.ndarray:
    """Read-outs (k, F) with independent entries of variance 1/F."""
    return (
        np.random.default_rng([seed, 1]).standard_normal((count, width)) / np.sqrt(width)
    ).astype(np.float32)


def draw_places(
    parameters: Any, count: int, size: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The places into which the numbers of each tensor fall, and their signs.

    For each tensor of P numbers they are the order (k, Q) in which numbers fall into `size` places,
    and the signs (k, Q). Q is P rounded up to a multiple of `size`; numbers beyond P have the sign
    0.
    """
    places = []
    for index, leaf in enumerate(jax.tree.leaves(parameters)):
        random = np.random.default_rng([seed, 2, index])
        number = int(np.size(leaf))
        padded = -(-number // size) * size
        orders = np.stack([random.permutation(padded) for _ in range(count)]).astype(np.int32)
        signs = random.choice(np.array([-1, 1], np.float32), (count, padded))
        places.append(
            (np.minimum(orders, number - 1), np.where(orders < number, signs, np.float32(0)))
        )
    return places


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
