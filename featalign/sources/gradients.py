"""Gradient embeddings: the gradients of a source's features, example by example.

They tell what a source could become by small changes of its parameters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from featalign.checks import check_whole
from featalign.errors import FeatalignError
from featalign.sources.capabilities import JAX, TORCH
from featalign.sources.sketch import SKETCH
from featalign.sources.source import Source, check_layer

READ_OUTS = 2
DIMENSION = 2048
MICROBATCH = 16


@dataclass(frozen=True)
class Projection:
    """Of which layer gradients are, by how many read-outs, and to how many numbers."""

    layer: str
    read_outs: int
    dimension: int
    seed: int

    @property
    def size(self) -> int:
        """The numbers of each read-out."""
        return self.dimension // self.read_outs


# prepared inputs to projected gradients (B, dimension)
Projected = Callable[[Any], np.ndarray]


def _jax(source: Source, network: Any, projection: Projection) -> Projected:
    from featalign.sources.jax_gradients import projected

    return projected(network, projection, at_once=MICROBATCH)


def _torch(source: Source, network: Any, projection: Projection) -> Projected:
    from featalign.sources.torch.gradients import projected

    return projected(network, projection, source.at_once, at_once=MICROBATCH)


# what computes projected gradients of a source's network, by framework; it is loaded when used
PROJECTED: Mapping[str, Callable[[Source, Any, Projection], Projected]] = {
    JAX: _jax,
    TORCH: _torch,
}


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
    k gradients of up to 16 examples, and for the projection 8 bytes per parameter and read-out.

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
            "need a module of Flax or torch, a Keras network or a zoo source"
        )
    name = (
        f"gradients({layer}, read_outs={read_outs}, dimension={dimension}, seed={seed}, "
        f"sketch={SKETCH})"
    )
    framework, load = source.trainable.framework, source.trainable.load
    projection = Projection(layer, read_outs, dimension, seed)

    @cache
    def project() -> Projected:
        return PROJECTED[framework](source, load(), projection)

    def embed_batch(prepared: Any, layers: tuple[str, ...]) -> dict[str, np.ndarray]:
        del layers
        return {name: project()(prepared)}

    return replace(
        source,
        embed_batch=embed_batch,
        layers=(name,),
        default_layer=name,
        logits_layer=None,
        trainable=None,
        fresh_weights=None,
    )
