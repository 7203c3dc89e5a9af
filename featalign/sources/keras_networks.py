"""A Keras network on the JAX backend.

This gives its pure function, its preprocessing, and how it begins anew.
"""

import os
import random
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.sources.address import Address
from featalign.sources.capabilities import Differentiable
from featalign.sources.extras import require
from featalign.sources.input_form import InputForm
from featalign.sources.keras_graph import Graph, kept_as_preprocessing, largest_pixel
from featalign.sources.preprocessing import resized_rgb
from featalign.sources.reading import Reading

LOGITS = "logits"


def read_graph(address: Address, model: Any) -> Graph:
    """The graph of a network.

    Raises FeatalignError for one without a graph of layers or with several inputs.
    """
    keras = keras_on_jax(address)
    if not getattr(model, "inputs", None) or len(model.inputs) != 1:
        raise FeatalignError(
            f"{address.text}: expected a Functional or Sequential network with one input, got "
            f"{type(model).__name__} with "
            f"{len(getattr(model, 'inputs', None) or ())}; use py:MODULE:FACTORY for it"
        )
    graph = Graph.of(keras, model)
    if graph is None:
        raise FeatalignError(
            f"{address.text}: expected layers with one output for each input, it has none; use "
            "py:MODULE:FACTORY for it"
        )
    return graph


@dataclass(frozen=True)
class Loaded:
    """A network in memory, and its functions, which live as long as it does."""

    model: Any
    graph: Graph
    parts: Differentiable
    fresh: Callable[[int], Differentiable]
    chosen: Callable[..., Mapping[str, Any]]

    @staticmethod
    def of(address: Address, model: Any) -> "Loaded":
        """The network with its functions."""
        import jax

        keras, graph = keras_on_jax(address), read_graph(address, model)
        emit = _emitting(keras, model, graph)

        def parts_of(made: Any) -> Differentiable:
            held = _by_place(made.non_trainable_variables)
            return Differentiable(
                _by_place(made.trainable_variables),
                lambda parameters, prepared: emit(parameters, held, prepared),
                held,
            )

        parts = parts_of(model)

        def chosen(parameters: Any, prepared: Any, wanted: tuple[str, ...]) -> dict[str, Any]:
            emitted = parts.apply(parameters, prepared)
            return {layer: emitted[layer] for layer in wanted}

        return Loaded(
            model,
            graph,
            parts,
            lambda seed: parts_of(drawn_anew(keras, model, seed)),
            jax.jit(chosen, static_argnums=2),
        )

    def embed(self, prepared: np.ndarray, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
        """The wanted layers of prepared inputs; no other layers are computed."""
        return {
            layer: np.asarray(values)
            for layer, values in self.chosen(self.parts.parameters, prepared, wanted).items()
        }


def _emitting(keras: Any, model: Any, graph: Graph) -> Callable[[Any, Any, Any], dict[str, Any]]:
    """The pure function of (parameters, held, prepared) to all layers, and to a head's logits."""
    import jax.numpy as jnp

    places = (*graph.places, *((graph.head,) if graph.head else ()))
    tapped = keras.Model(model.inputs[0], [place.gives for place in places])
    trained, kept = _places(model.trainable_variables), _places(model.non_trainable_variables)
    softmax = (
        graph.head is not None and getattr(graph.head.layer.activation, "__name__", "") == "softmax"
    )

    def emit(parameters: Any, held: Any, prepared: Any) -> dict[str, Any]:
        values = [parameters[trained[id(variable)]] for variable in tapped.trainable_variables]
        others = [held[kept[id(variable)]] for variable in tapped.non_trainable_variables]
        outputs, _ = tapped.stateless_call(values, others, prepared, training=False)
        emitted = {
            place.name: _pooled(output)
            for place, output in zip(
                places, outputs if isinstance(outputs, list) else [outputs], strict=True
            )
        }
        if graph.head is not None:
            head = emitted.pop(graph.head.name)
            emitted[LOGITS] = (
                jnp.log(jnp.maximum(head, jnp.finfo(head.dtype).tiny)) if softmax else head
            )
        return emitted

    return emit


def _places(variables: Any) -> dict[int, str]:
    return {id(variable): f"{place:04d}" for place, variable in enumerate(variables)}


def _by_place(variables: Any) -> dict[str, Any]:
    """Values by their place in the network, because the paths of a network and its clone differ."""
    return {f"{place:04d}": variable.value for place, variable in enumerate(variables)}


def read_inputs(address: Address, model: Any) -> Reading:
    """The preprocessing of a network, from its application, or from its input and first layers."""
    keras = keras_on_jax(address)
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or shape[2] not in (1, 3):
        return _arrays(address, shape)
    size = (shape[0] or 224, shape[1] or 224)
    function = None if address.name.endswith(".keras") else _preprocess_input(keras, address.name)
    own = any(
        isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization)
        for layer in model.layers[:4]
    )
    said = None if function is not None else largest_pixel(keras, model, size, shape[2])
    assumed = None
    if function is None and not own and said is None:
        assumed = (
            "the network declares no range of pixels: they are given as 0 to 1; put a Rescaling "
            "layer first if it was trained on others"
        )
    whole = np.float32(said or (255 if function is not None or own else 1))

    def prepare(images: Any) -> np.ndarray:
        pixels = np.stack([resized_rgb(np.asarray(image), size) for image in images]) * whole
        if shape[2] == 1:
            pixels = (pixels @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
        return np.asarray(pixels if function is None else function(pixels), np.float32)

    identity = {
        "kind": "image",
        "resize": "bilinear",
        "size": list(size),
        "channels": shape[2],
        "range": [0, float(whole)],
    }
    identity |= {
        "function": None if function is None else f"{function.__module__}.{function.__name__}"
    }
    return Reading(
        input_kind="image",
        preprocessing=identity,
        prepare=prepare,
        form=InputForm(size, shape[2], assumed=assumed),
    )


def drawn_anew(keras: Any, model: Any, seed: int) -> Any:
    """The network with weights drawn anew by `seed`.

    What normalisation layers learnt from the inputs is kept, because it is preprocessing.
    """
    before = random.getstate()
    random.seed(seed)  # Keras draws the seeds of its initialisers there
    try:
        made = keras.models.clone_model(model)
    finally:
        random.setstate(before)
    kept_as_preprocessing(keras, made, model)
    return made


def keras_on_jax(address: Address) -> Any:
    """Keras on the JAX backend.

    Raises FeatalignError when it is not installed, or already runs on another backend.
    """
    if "keras" not in sys.modules:
        before = os.environ.get("KERAS_BACKEND")
        os.environ["KERAS_BACKEND"] = "jax"
        try:
            require("keras", extra="keras", address=address.text)
        finally:
            if before is None:
                del os.environ["KERAS_BACKEND"]
            else:
                os.environ["KERAS_BACKEND"] = before
    keras = require("keras", extra="keras", address=address.text)
    if keras.backend.backend() != "jax":
        raise FeatalignError(
            f"{address.text}: Keras runs on {keras.backend.backend()} in this process; set "
            "KERAS_BACKEND=jax before it is imported"
        )
    if keras.config.image_data_format() != "channels_last":
        raise FeatalignError(
            f"{address.text}: Keras is set to channels_first; set image_data_format to "
            "channels_last in its keras.json"
        )
    return keras


def _preprocess_input(keras: Any, name: str) -> Callable[[Any], Any]:
    module = sys.modules[getattr(keras.applications, name).__module__]
    return module.preprocess_input


def _pooled(values: Any) -> Any:
    return values.mean(axis=tuple(range(1, values.ndim - 1))) if values.ndim > 2 else values


def _arrays(address: Address, shape: tuple[int | None, ...]) -> Reading:
    def prepare(rows: Any) -> np.ndarray:
        values = np.stack([np.asarray(row, np.float32) for row in rows])
        if len(values.shape) != len(shape) + 1 or any(
            size and size != given for size, given in zip(shape, values.shape[1:], strict=True)
        ):
            raise FeatalignError(
                f"{address.text}: it reads inputs of shape {shape}, got {values.shape[1:]}; "
                "reshape the target's inputs"
            )
        return values

    return Reading(input_kind="array", preprocessing={"kind": "array"}, prepare=prepare)
