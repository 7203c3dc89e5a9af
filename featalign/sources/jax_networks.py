"""Pure functions in JAX as sources: how they embed, and how they start anew."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.sources.capabilities import JAX, Differentiable, FreshWeights, Trainable
from featalign.sources.source import EmbedFunction, Pretraining, Source, digest_arrays


def embedding(load: Callable[[], Differentiable]) -> EmbedFunction:
    """The embedding function of a network that is loaded when it first has to compute."""

    def embed_batch(prepared: Any, layers: tuple[str, ...]) -> dict[str, np.ndarray]:
        network = load()
        emitted = chosen_layers()(network.apply, network.parameters, prepared, layers)
        return {layer: np.asarray(features) for layer, features in emitted.items()}

    return embed_batch


def with_network(
    source: Source,
    load: Callable[[], Differentiable],
    initialise: Callable[[int], Differentiable] | None,
    *,
    drawn_by: str | None = None,
    architecture: str | None = None,
) -> Source:
    """The source with what its network can do: be trained, and start anew.

    `initialise(seed)` makes the network with fresh parameters of the same shapes; without it there
    are no random twins. Where the network holds more than parameters, that is fresh as well, and
    its `apply` is another one. The arrays of a fresh network name it in its revision. Where
    `drawn_by` does so instead, the network is drawn when it first has to compute. `architecture` is
    that of `FreshWeights`.
    """
    trained = replace(source, trainable=Trainable(JAX, load))
    if initialise is None:
        return trained

    def draw(seed: int) -> Source:
        fresh = cache(lambda: _checked(source.name, load(), _drawn(source.name, initialise, seed)))
        return replace(
            source,
            revision=digest_arrays(_arrays(fresh())) if drawn_by is None else f"{drawn_by}\0{seed}",
            embed_batch=embedding(fresh),
            pretraining=Pretraining(),
            trainable=Trainable(JAX, fresh),
            fresh_weights=fresh_weights,
        )

    fresh_weights = FreshWeights(draw, drawn_by, architecture)
    return replace(trained, fresh_weights=fresh_weights)


@cache
def chosen_layers() -> Callable[..., Mapping[str, Any]]:
    """The compiled function of (emit, parameters, prepared, layers).

    All sources share it, so that those with the same `emit` are compiled once.
    """
    import jax

    def chosen(
        emit: Callable[[Any, Any], Any], parameters: Any, prepared: Any, layers: tuple[str, ...]
    ) -> dict[str, Any]:
        emitted = emit(parameters, prepared)
        return {layer: emitted[layer] for layer in layers}

    return jax.jit(chosen, static_argnums=(0, 3))


def flat_parameters(tree: Any) -> dict[str, np.ndarray]:
    """A tree of arrays as a dictionary of dotted names, the form in which weights are saved."""
    import jax

    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {
        ".".join(
            str(getattr(part, "key", getattr(part, "idx", part))) for part in path
        ): np.asarray(leaf)
        for path, leaf in leaves
    }


def _arrays(fresh: Differentiable) -> dict[str, np.ndarray]:
    """The arrays that were drawn: the parameters, and those that the network holds beside them."""
    held = {f"held {name}": array for name, array in flat_parameters(fresh.held).items()}
    return flat_parameters(fresh.parameters) | held


def _drawn(name: str, initialise: Callable[[int], Differentiable], seed: int) -> Differentiable:
    """A fresh network; raises FeatalignError where `initialise` fails."""
    try:
        return initialise(seed)
    except FeatalignError:
        raise
    except Exception as error:
        raise FeatalignError(
            f"{name}: its `initialise` failed on seed {seed} with {type(error).__name__}: "
            f"{error}; mend it"
        ) from error


def _checked(name: str, own: Differentiable, fresh: Differentiable) -> Differentiable:
    """The fresh network; raises FeatalignError where its parameters have other shapes."""
    import jax

    shapes = [jax.tree.map(np.shape, network.parameters) for network in (own, fresh)]
    if shapes[0] != shapes[1]:
        raise FeatalignError(
            f"{name}: expected `initialise` to make a network with the parameters of the source, "
            "got other names or shapes; mend it"
        )
    return fresh
