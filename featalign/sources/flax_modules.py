"""Flax modules, NNX or Linen, as sources.

They are differentiable, and re-initialisable when they say how.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from featalign.errors import FeatalignError, first_line
from featalign.sources.capabilities import Differentiable
from featalign.sources.evaluation_mode import calling, evaluation_arguments, not_training
from featalign.sources.jax_networks import embedding, flat_parameters, with_network
from featalign.sources.reading import Reading
from featalign.sources.source import Pretraining, Source, check_layer, digest_arrays


def flax_source(
    name: str,
    module: Any,
    *,
    variables: Any = None,
    preprocessing: Any = None,
    input_kind: str | None = None,
    default_layer: str = "features",
    logits_layer: str | None = None,
    example: Any = None,
    layers: Sequence[str] | None = None,
    initialise: Callable[[int], Any] | None = None,
    revision: str | None = None,
    pretraining: Pretraining | None = None,
) -> Source:
    """A source from a Flax module: an NNX module, or a Linen module with its `variables`.

    Called with preprocessed inputs, the module returns features (B, ...), or a dictionary of layers
    in order from input to output; what has more than two axes is averaged over the middle ones.
    Where it has an argument or field `train`, `deterministic` or the like, it is told that it does
    not train.

    Parameters
    ----------
    name
        The name of the source.
    module, variables
        An NNX module, or a Linen module and its variables.
    preprocessing
        A function from a batch of raw inputs to an array; by default inputs become float32. Its
        `identity()` enters the cache key; where it has none, `revision` must be given and cover it.
    input_kind
        "image", "text" or "array", and targets of another kind are refused; None allows any.
    default_layer, logits_layer
        The layer to score unless asked otherwise, and the head's output where the module gives one.
    example
        One raw input, from which the names of the layers and the revision are found. Without it
        give both `layers` and `revision`.
    initialise
        `initialise(seed)` makes the same module (NNX) or variables (Linen) with fresh weights,
        which enables random twins.
    revision
        What identifies the weights; by default a digest of the parameters and of the computation.
    pretraining
        What is known of the pretraining.

    Raises FeatalignError for anything but a module of Flax, and for a missing name.

    >>> from flax import nnx
    >>> linear = nnx.Linear(4, 3, rngs=nnx.Rngs(0))
    >>> source = flax_source("mine", linear, example=np.ones(4, np.float32))
    >>> source.embed(np.ones((2, 4), np.float32))["features"].shape
    (2, 3)
    """
    import jax

    parameters, apply, held = _split(name, module, variables)
    prepare = preprocessing if preprocessing is not None else _as_float
    if revision is None and preprocessing is not None and not hasattr(preprocessing, "identity"):
        raise FeatalignError(
            f"preprocessing: expected a preprocessing of {name} with a method identity() that says "
            "as plain data what it does, got "
            f"{type(preprocessing).__name__}; use fa.ImagePreprocessing, or pass a revision that "
            "covers it, because the cache is keyed by it"
        )
    if revision is not None:
        # the name counts too, because two modules with the revision "1" must not share an embedding
        revision = hashlib.sha256(f"{name}\0{revision}".encode()).hexdigest()
    if layers is None or revision is None:
        if example is None:
            raise FeatalignError(
                f"example: expected one raw input of {name}, to learn its layers, got nothing; "
                "pass example=target.inputs.read([0])[0]"
            )
        inputs = np.asarray(prepare([example]))
        # the order is noted while tracing, because a traced function sorts its results by name
        emitted: list[str] = []
        try:
            jax.eval_shape(
                lambda p, x: emitted.extend(_named(apply(p, x), default_layer)), parameters, inputs
            )
        except FeatalignError:
            raise
        except Exception as error:  # it is the user's own code
            raise FeatalignError(
                f"{name}: its module failed on the example with {type(error).__name__}: "
                f"{first_line(error)}; it is called with prepared inputs and nothing else"
            ) from error
        layers = layers or [layer for layer in emitted if layer != logits_layer]
        revision = revision or digest_arrays(
            flat_parameters(parameters) | _computation(apply, parameters, inputs)
        )
    check_layer(default_layer, layers, name=name)

    def fresh(made: Any) -> Differentiable:
        anew = (made, None) if variables is None else (module, made)
        return taken_apart(name, *anew, default_layer=default_layer)

    network = Differentiable(parameters, _emitting(apply, default_layer), held)
    source = Source(
        name,
        revision,
        embedding(lambda: network),
        tuple(layers),
        default_layer,
        logits_layer,
        Reading(
            input_kind=input_kind,
            preprocessing=getattr(preprocessing, "identity", dict)(),
            prepare=prepare,
        ),
        pretraining or Pretraining(),
    )
    return with_network(
        source,
        lambda: network,
        None if initialise is None else lambda seed: fresh(initialise(seed)),
    )


def taken_apart(name: str, module: Any, variables: Any, *, default_layer: str) -> Differentiable:
    """A module as parameters and a pure function to all its layers.

    Raises FeatalignError for anything but a module of Flax.
    """
    parameters, apply, held = _split(name, module, variables)
    return Differentiable(parameters, _emitting(apply, default_layer), held)


def _computation(
    apply: Callable[[Any, Any], Any], parameters: Any, inputs: np.ndarray
) -> dict[str, np.ndarray]:
    """The computation, and the arrays it holds beside the parameters (running averages).

    Equal weights in another network therefore have another revision.
    """
    import jax

    traced = jax.make_jaxpr(apply)(parameters, inputs)
    text = re.sub(r" at 0x[0-9a-f]+", "", str(traced))
    held = {f"held {place}": _plain(array) for place, array in enumerate(traced.consts)}
    return {"computation": np.frombuffer(text.encode(), np.uint8), **held}


def _plain(array: Any) -> np.ndarray:
    import jax

    return np.asarray(
        jax.random.key_data(array)
        if jax.numpy.issubdtype(array.dtype, jax.dtypes.prng_key)
        else array
    )


def _as_float(inputs: Any) -> np.ndarray:
    return np.stack([np.asarray(one, np.float32) for one in inputs])


def _split(name: str, module: Any, variables: Any) -> tuple[Any, Callable[[Any, Any], Any], Any]:
    """A module taken apart.

    The parts are the trainable parameters as nested dictionaries of arrays, the pure function of
    parameters and inputs, and what else the network holds.
    """
    import jax
    from flax import nnx

    if variables is not None and "params" not in variables:
        raise FeatalignError(
            f"variables: expected what the init of {name} gives, with its parameters as 'params', "
            f"got {', '.join(map(repr, variables)) or 'nothing'}; pass {{'params': parameters}}"
        )
    if variables is not None:
        held = {key: value for key, value in variables.items() if key != "params"}
        return variables["params"], _holding(name, not_training(module), held), held or None
    if not isinstance(module, nnx.Module):
        raise FeatalignError(
            f"module: expected an NNX module, or a Linen module with its variables, for {name}, "
            f"got {type(module).__name__}; "
            "for other callables use Source.from_function"
        )
    module.eval()
    told = evaluation_arguments(module)
    definition, state, rest = nnx.split(module, nnx.Param, ...)
    if not jax.tree.leaves(rest):
        return (
            nnx.to_pure_dict(state),
            _of_definition(definition, nnx.eval_shape(lambda: state), told),
            None,
        )

    def apply(parameters: Any, inputs: Any) -> Any:
        filled = nnx.clone(state)
        nnx.replace_by_pure_dict(filled, parameters)
        return nnx.merge(definition, filled, rest)(inputs, **told)

    return nnx.to_pure_dict(state), apply, [_plain(leaf) for leaf in jax.tree.leaves(rest)]


def _holding(name: str, module: Any, held: Any) -> Callable[[Any, Any], Any]:
    told = evaluation_arguments(module)
    return lambda parameters, inputs: calling(
        name, lambda: module.apply({"params": parameters, **held}, inputs, **told)
    )


@cache
def _emitting(
    apply: Callable[[Any, Any], Any], default_layer: str
) -> Callable[[Any, Any], dict[str, Any]]:
    return lambda parameters, prepared: _named(apply(parameters, prepared), default_layer)


_APPLIES: dict[Any, Callable[[Any, Any], Any]] = {}


def _of_definition(
    definition: Any, shapes: Any, told: Mapping[str, bool]
) -> Callable[[Any, Any], Any]:
    """The pure function of a network that holds nothing but parameters.

    All networks of one definition and shapes share it.
    """
    from flax import nnx

    def apply(parameters: Any, inputs: Any) -> Any:
        filled = nnx.clone(shapes)
        nnx.replace_by_pure_dict(filled, parameters)
        return nnx.merge(definition, filled)(inputs, **told)

    key = definition, str(shapes)
    return _APPLIES.setdefault(key, apply)


def _named(emitted: Any, default_layer: str) -> dict[str, Any]:
    layers = emitted if isinstance(emitted, Mapping) else {default_layer: emitted}
    return {
        layer: values.mean(axis=tuple(range(1, values.ndim - 1))) if values.ndim > 2 else values
        for layer, values in layers.items()
    }
