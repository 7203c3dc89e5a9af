"""The graph of a Keras network: what can be tapped, what the head reads, and which pixels it wants.

A network within a network (a backbone, or everything but a rescaling) is one place of the graph,
but for one that ends it: that is opened, so that its head is found.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

# how much a network may change a pixel before its first weights, where it takes 0 to 255
SMALL_SLOPE = 0.1  # 1 / 255, 1 / 127.5, or divided by a deviation of them
LARGE_OFFSET = 2.0  # means of 0 to 255 are taken off
ROUNDING = 1e-3


@dataclass(frozen=True)
class Place:
    """A layer within a network: its name, what it gives there, and what it reads there."""

    name: str
    layer: Any
    gives: Any
    reads: Any

    @property
    def is_tappable(self) -> bool:
        """Whether it gives one feature vector, map or sequence for each input."""
        shape = self.gives.shape
        return len(shape) >= 2 and shape[0] is None and bool(shape[-1])


@dataclass(frozen=True)
class Graph:
    """The places that can be tapped, the one to score, and the head's, where there is one."""

    places: tuple[Place, ...]
    default: str
    head: Place | None

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the places, from input to output."""
        return tuple(place.name for place in self.places)

    @staticmethod
    def of(keras: Any, model: Any) -> "Graph | None":
        """Read off a network with one input; None where nothing can be tapped."""
        places = [place for place in _opened(keras, model) if place.is_tappable]
        if not places:
            return None
        shaping = (
            keras.layers.Softmax
            | keras.layers.Activation
            | keras.layers.Flatten
            | keras.layers.Reshape
        )
        last = next(
            (place for place in reversed(places) if not isinstance(place.layer, shaping)),
            places[-1],
        )
        dense = isinstance(last.layer, keras.layers.Dense) or (
            isinstance(last.layer, keras.layers.Conv2D) and tuple(last.gives.shape[1:3]) == (1, 1)
        )
        if not dense or len(places) < 2 or last is places[0]:
            return Graph(tuple(places), places[-1].name, None)
        before = places[: places.index(last)]
        read = next((place for place in before if place.gives is last.reads), None)
        if read is None:  # an operation without a layer
            operation = last.reads._keras_history.operation
            read = Place(operation.name, operation, last.reads, None)
            before = [*before, read] if read.is_tappable else before
        default = read if read.is_tappable else before[-1]
        return Graph(tuple(before), default.name, last)


def largest_pixel(keras: Any, model: Any, size: tuple[int, int], channels: int) -> float | None:
    """255 or 1: the largest pixel that a network takes; None where it does not say.

    What it does to pixels before its first weights tells, wherever and however it does it.
    """
    black, white = (np.full((1, *size, channels), value, np.float32) for value in (0, 1))
    with suppress(Exception):  # what cannot be run alone says nothing
        for part in _before_weights(keras, model):
            black, white = (np.asarray(part(each, training=False)) for each in (black, white))
        slopes = np.abs(white - black)
        slope = float(slopes.max())
        offset = float(np.abs(black[slopes >= slope / 2]).max()) if slope else 0.0
        if slope == 0 or (abs(slope - 1) < ROUNDING and offset < ROUNDING):
            return None
        takes_off_means = abs(slope - 1) < ROUNDING and offset >= LARGE_OFFSET
        return 255.0 if slope < SMALL_SLOPE or takes_off_means else 1.0
    return None


def is_network(keras: Any, layer: Any) -> bool:
    """Whether a layer is a network of its own with one input and one output."""
    return (
        isinstance(layer, keras.Model)
        and len(getattr(layer, "inputs", None) or ()) == 1
        and len(layer.outputs) == 1
    )


def kept_as_preprocessing(keras: Any, made: Any, own: Any) -> None:
    """Give a fresh network what the own one's normalisation layers learnt of the inputs."""
    for layer, of_own in zip(made.layers, own.layers, strict=True):
        if isinstance(of_own, keras.layers.Normalization):
            layer.set_weights(of_own.get_weights())
        elif isinstance(of_own, keras.Model):
            kept_as_preprocessing(keras, layer, of_own)


def _opened(keras: Any, model: Any) -> list[Place]:
    """The places of a network, the last one opened where it is a network with a head."""
    places = _places(keras, model)
    if not places or not is_network(keras, places[-1].layer):
        return places
    last = places[-1]
    inner = _opened(keras, last.layer)
    if not any(isinstance(place.layer, keras.layers.Dense) for place in inner):
        return places
    given = keras.Model(last.layer.inputs[0], [place.gives for place in inner])(last.reads)
    outer = dict(
        zip(
            (id(place.gives) for place in inner),
            given if isinstance(given, list) else [given],
            strict=True,
        )
    )
    outer[id(last.layer.inputs[0])] = last.reads
    opened = [
        replace(
            place,
            name=f"{last.name}/{place.name}",
            gives=outer[id(place.gives)],
            reads=outer.get(id(place.reads)),
        )
        for place in inner
    ]
    return [*places[:-1], *opened]


def _places(keras: Any, model: Any) -> list[Place]:
    """The layers of a network that occur in it once, and have one output, in its order."""
    nodes: dict[int, list[Any]] = {}
    for operation, node in _nodes(model):
        nodes.setdefault(id(operation), []).append(node)
    found = []
    for layer in model.layers:
        once = nodes.get(id(layer), [])
        if isinstance(layer, keras.layers.InputLayer) or len(once) != 1:
            continue
        if len(once[0].output_tensors) == 1:
            reads = once[0].input_tensors[0] if once[0].input_tensors else None
            found.append(Place(layer.name, layer, once[0].output_tensors[0], reads))
    return found


def _nodes(model: Any) -> Iterator[tuple[Any, Any]]:
    """Operations with each of their uses in a network, backwards from its outputs."""
    waiting, seen = list(model.outputs), set()
    while waiting:
        operation, place, _ = waiting.pop()._keras_history
        node = operation._inbound_nodes[place]
        if id(node) not in seen:
            seen.add(id(node))
            yield operation, node
            waiting += node.input_tensors


def _before_weights(keras: Any, model: Any) -> Iterator[Any]:
    """The parts of a network before its first trainable weights, one within the other."""
    uses = {id(operation): node for operation, node in _nodes(model)}
    whole = getattr(model, "_functional", None) or model
    for operation in whole.operations:
        node = uses.get(id(operation))
        learnt = getattr(operation, "trainable_variables", ())
        if node is None or not node.input_tensors or not learnt:
            continue
        if not any(node.input_tensors[0] is tensor for tensor in model.inputs):
            yield keras.Model(model.inputs[0], node.input_tensors[0])
        if is_network(keras, operation):
            yield from _before_weights(keras, operation)
        return
