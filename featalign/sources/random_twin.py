"""The random twin: a source's architecture with freshly drawn weights."""

import hashlib
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.sources.parts import AtOnce
from featalign.sources.source import Differentiable, Source, digest_arrays


def random_twin(source: Source, seed: int = 0) -> Source:
    """The source with the weights it had before any training, as another draw has them.

    They are what training from scratch starts from.

    The twin has the layers and the preprocessing of the source, no logits, and a revision of its
    own. The revision is made of the source's revision and of the fresh weights; or, where the
    source names its `initialiser`, of this and the seed, so that the twin is drawn when it first
    has to compute. Raises FeatalignError for a source that cannot be re-initialised.

    >>> import featalign as fa
    >>> twin = fa.load_source("zoo/resnet_digits").random_twin(seed=1)
    >>> twin.name, twin.layers
    ('zoo/resnet_digits random twin 1', ('stem', 'stage_1', 'stage_2', 'features'))
    """
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise FeatalignError(f"seed: expected a whole number of at least 0, got {seed!r}")
    if source.load_twin is not None:
        drawn = source.load_twin(int(seed))
        content = f"random twin\0{source.revision}\0{drawn.revision}"
        revision = hashlib.sha256(content.encode()).hexdigest()
        return replace(
            drawn,
            name=f"{source.name} random twin {seed}",
            revision=revision,
            logits_layer=None,
            load_twin=None,
        )
    if not source.has_fresh_weights:
        raise FeatalignError(
            f"{source.name}: expected a source that can be re-initialised, this one is a black box "
            "without fresh weights; "
            "give fa.flax_source an `initialise`, or choose a source of the zoo"
        )
    drawn_once = cache(lambda: _fresh(source, int(seed)))
    if source.initialiser is not None:
        drawn_by = f"{source.initialiser}\0{seed}"
    else:
        drawn_by = digest_arrays(_arrays(drawn_once()))
    content = f"random twin\0{source.revision}\0{drawn_by}"

    def embed_batch(inputs: Any, layers: tuple[str, ...]) -> dict[str, np.ndarray]:
        from featalign.sources.flax_modules import chosen_layers

        fresh = drawn_once()
        emitted = chosen_layers()(fresh.apply, fresh.parameters, fresh.prepare(inputs), layers)
        return {layer: np.asarray(features) for layer, features in emitted.items()}

    return Source(
        name=f"{source.name} random twin {seed}",
        revision=hashlib.sha256(content.encode()).hexdigest(),
        embed_batch=embed_batch,
        layers=source.layers,
        default_layer=source.default_layer,
        preprocessing=source.preprocessing,
        input_kind=source.input_kind,
        load_differentiable=drawn_once,
        initialiser=source.initialiser,
        input_form=source.input_form,
        at_once=AtOnce(source.at_once.limit),
    )


def _arrays(fresh: Differentiable) -> dict[str, np.ndarray]:
    """All that was drawn: the parameters, and what the network holds beside them."""
    from featalign.sources.flax_modules import flat_parameters

    held = {f"held {name}": array for name, array in flat_parameters(fresh.held).items()}
    return flat_parameters(fresh.parameters) | held


def _fresh(source: Source, seed: int) -> Differentiable:
    """A fresh network of the source's shapes.

    Raises FeatalignError where `initialise` fails or makes another network.
    """
    import jax

    differentiable = source.differentiable
    assert differentiable is not None
    assert differentiable.initialise is not None
    try:
        fresh = differentiable.initialise(seed)
    except FeatalignError:
        raise
    except Exception as error:
        raise FeatalignError(
            f"{source.name}: its `initialise` failed on seed {seed} with {type(error).__name__}: "
            f"{error}; mend it"
        ) from error
    shapes = [jax.tree.map(np.shape, network.parameters) for network in (differentiable, fresh)]
    if shapes[0] != shapes[1]:
        raise FeatalignError(
            f"{source.name}: expected `initialise` to make a network with the parameters of the "
            "source, got other names or shapes; mend it"
        )
    return fresh
