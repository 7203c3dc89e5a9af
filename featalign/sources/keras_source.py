"""keras/NAME#LAYER: networks of keras.applications and saved .keras files, on the JAX backend: differentiable, with twins and layers."""

import os
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.sources.address import Address, parse
from featalign.sources.extras import releases, require
from featalign.sources.input_form import InputForm
from featalign.sources.parts import AtOnce
from featalign.sources.preprocessing import resized_rgb
from featalign.sources.resident import Resident
from featalign.sources.source import Differentiable, Source, digest_arrays

PIXELS_AT_ONCE = 64 * 224 * 224  # of all images in one pass
LOGITS = "logits"


@dataclass(frozen=True)
class Reading:
    """How raw inputs become the network's, as a function and as plain data."""

    kind: str
    prepare: Callable[[Any], np.ndarray]
    identity: Mapping[str, Any]
    form: InputForm


def load_keras_source(rest: str) -> Source:
    """A Keras network as a source: NAME is one of keras.applications, with its ImageNet weights and preprocessing, or the path of a .keras file.

    Layers are those of the network's own graph, by their names, those with more than two axes averaged over the middle ones. A last Dense layer is
    taken for the head: what it reads is the default layer, what it gives `logits` (logarithms of probabilities where it ends in a softmax). A file is
    read in safe mode; where it has no Rescaling or Normalization of its own, pixels are given as 0 to 1, and the ranking says so. Raises
    FeatalignError for a name, file or layer that does not exist, another backend, or no network.
    """
    address = parse("keras/", rest)
    if address.revision is not None:
        raise FeatalignError(f"{address.text}: Keras networks have no revisions; leave out @{address.revision}, the weights are digested")
    keras = _keras(address)
    build = _file(address, keras) if address.name.endswith(".keras") else _application(address, keras)
    loaded = Resident(lambda: Loaded.of(address, build()))
    model, graph = loaded().model, loaded().graph
    if address.layer is not None and address.layer not in graph.layers:
        raise FeatalignError(f"layer: {address.name} has no layer {address.layer!r}; it has {', '.join(graph.layers)}")
    weights = {f"{place} {variable.path}": np.asarray(variable.value) for place, variable in enumerate(model.variables)}
    revision = digest_arrays(weights | {f"{model.to_json()} {releases('keras', 'jax')}": np.zeros(0)})
    reading = loaded().reading
    side = reading.form.size
    return Source(
        address.text,
        revision,
        lambda prepared, wanted: loaded().embed(prepared, wanted),
        graph.layers,
        address.layer or graph.default,
        LOGITS if graph.head else None,
        preprocessing=reading.identity,
        input_kind=reading.kind,
        load_differentiable=lambda: loaded().parts,
        prepare_batch=reading.prepare,
        input_form=reading.form,
        at_once=AtOnce(None if side is None else max(1, PIXELS_AT_ONCE // (side[0] * side[1]))),
    )


@dataclass(frozen=True)
class Graph:
    """The layers that can be tapped, the one to score, and the head's, where there is one."""

    layers: tuple[str, ...]
    default: str
    head: str | None

    @staticmethod
    def of(address: Address, model: Any) -> "Graph":
        """Read off a network. Raises FeatalignError for one without a graph of layers or with several inputs."""
        keras = _keras(address)
        if not getattr(model, "inputs", None) or len(model.inputs) != 1:
            raise FeatalignError(
                f"{address.text}: expected a Functional or Sequential network with one input, got {type(model).__name__} with "
                f"{len(getattr(model, 'inputs', None) or ())}; use py:MODULE:FACTORY for it"
            )
        layers = [layer for layer in model.layers if not isinstance(layer, keras.layers.InputLayer) and _has_one_output(layer)]
        last = layers[-1]
        if isinstance(last, keras.layers.Softmax | keras.layers.Activation) and len(layers) > 2 and isinstance(layers[-2], keras.layers.Dense):
            last = layers[-2]
        if not isinstance(last, keras.layers.Dense) or len(layers) < 2:
            return Graph(tuple(layer.name for layer in layers), layers[-1].name, None)
        before = layers[: layers.index(last)]
        reads = [layer.name for layer in before if layer.output is last.input]
        return Graph(tuple(layer.name for layer in before), reads[0] if reads else before[-1].name, last.name)


@dataclass(frozen=True)
class Loaded:
    """A network in memory, and the functions of it, which live as long as it does."""

    model: Any
    graph: Graph
    reading: Reading
    parts: Differentiable
    chosen: Callable[..., Mapping[str, Any]]

    @staticmethod
    def of(address: Address, model: Any) -> "Loaded":
        """A network with its functions."""
        import jax

        graph, reading = Graph.of(address, model), read_inputs(address, model)
        emit = _emitting(_keras(address), model, graph)

        def parts_of(made: Any) -> Differentiable:
            held = _by_place(made.non_trainable_variables)
            return Differentiable(
                _by_place(made.trainable_variables),
                lambda parameters, prepared: emit(parameters, held, prepared),
                reading.prepare,
                lambda seed: parts_of(fresh(_keras(address), model, seed)),
                held,
            )

        parts = parts_of(model)

        def chosen(parameters: Any, prepared: Any, wanted: tuple[str, ...]) -> dict[str, Any]:
            emitted = parts.apply(parameters, prepared)
            return {layer: emitted[layer] for layer in wanted}

        return Loaded(model, graph, reading, parts, jax.jit(chosen, static_argnums=2))

    def embed(self, prepared: np.ndarray, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Layers of prepared inputs; what nobody asked for is not computed."""
        return {layer: np.asarray(values) for layer, values in self.chosen(self.parts.parameters, prepared, wanted).items()}


def _emitting(keras: Any, model: Any, graph: Graph) -> Callable[[Any, Any, Any], dict[str, Any]]:
    """The pure function of (parameters, held, prepared) to all layers, and the logits where there is a head."""
    import jax.numpy as jnp

    names = (*graph.layers, *((graph.head,) if graph.head else ()))
    tapped = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    trained, kept = _places(model.trainable_variables), _places(model.non_trainable_variables)
    softmax = graph.head is not None and getattr(model.get_layer(graph.head).activation, "__name__", "") == "softmax"

    def emit(parameters: Any, held: Any, prepared: Any) -> dict[str, Any]:
        values = [parameters[trained[id(variable)]] for variable in tapped.trainable_variables]
        others = [held[kept[id(variable)]] for variable in tapped.non_trainable_variables]
        outputs, _ = tapped.stateless_call(values, others, prepared, training=False)
        emitted = {name: _pooled(output) for name, output in zip(names, outputs if isinstance(outputs, list) else [outputs], strict=True)}
        if graph.head is not None:
            head = emitted.pop(graph.head)
            emitted[LOGITS] = jnp.log(jnp.maximum(head, jnp.finfo(head.dtype).tiny)) if softmax else head
        return emitted

    return emit


def _places(variables: Any) -> dict[int, str]:
    return {id(variable): f"{place:04d}" for place, variable in enumerate(variables)}


def _by_place(variables: Any) -> dict[str, Any]:
    """Values in the order of the network; paths differ between a network and its clone, so that the place alone tells."""
    return {f"{place:04d}": variable.value for place, variable in enumerate(variables)}


def read_inputs(address: Address, model: Any) -> Reading:
    """The preprocessing: the application's own, or what the network's input and first layers say."""
    keras = _keras(address)
    shape = tuple(model.inputs[0].shape[1:])
    if len(shape) != 3 or shape[2] not in (1, 3):
        return _arrays(address, shape)
    size = (shape[0] or 224, shape[1] or 224)
    function = None if address.name.endswith(".keras") else _preprocess_input(keras, address.name)
    own = any(isinstance(layer, keras.layers.Rescaling | keras.layers.Normalization) for layer in model.layers[:4])
    assumed = None
    if function is None and not own:
        assumed = "the network declares no range of pixels: they are given as 0 to 1; put a Rescaling layer first if it was trained on others"
    whole = np.float32(255 if function is not None or own else 1)

    def prepare(images: Any) -> np.ndarray:
        pixels = np.stack([resized_rgb(np.asarray(image), size) for image in images]) * whole
        if shape[2] == 1:
            pixels = (pixels @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
        return np.asarray(pixels if function is None else function(pixels), np.float32)

    identity = {"kind": "image", "resize": "bilinear", "size": list(size), "channels": shape[2], "range": [0, float(whole)]}
    identity |= {"function": None if function is None else f"{function.__module__}.{function.__name__}"}
    return Reading("image", prepare, identity, InputForm(size, shape[2], assumed=assumed))


def fresh(keras: Any, model: Any, seed: int) -> Any:
    """The network with weights drawn anew by `seed`; what normalisation layers learnt of the inputs is kept, as preprocessing."""
    before = random.getstate()
    random.seed(seed)  # Keras draws the seeds of its initialisers there
    try:
        made = keras.models.clone_model(model)
    finally:
        random.setstate(before)
    for layer, own in zip(made.layers, model.layers, strict=True):
        if isinstance(own, keras.layers.Normalization):
            layer.set_weights(own.get_weights())
    return made


def _keras(address: Address) -> Any:
    """Keras on the JAX backend. Raises FeatalignError when it is not installed, or already runs on another."""
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
        raise FeatalignError(f"{address.text}: Keras runs on {keras.backend.backend()} in this process; set KERAS_BACKEND=jax before it is imported")
    if keras.config.image_data_format() != "channels_last":
        raise FeatalignError(f"{address.text}: Keras is set to channels_first; set image_data_format to channels_last in its keras.json")
    return keras


def _file(address: Address, keras: Any) -> Callable[[], Any]:
    path = address.folder
    if path is None or not path.is_file():
        raise FeatalignError(f"{address.text}: there is no file {address.name}; name a file that model.save made, ending in .keras")

    def build() -> Any:
        try:
            return keras.saving.load_model(str(path), compile=False, safe_mode=True)
        except Exception as error:  # a foreign archive fails in every way there is
            raise FeatalignError(
                f"{address.text}: Keras cannot load it in safe mode ({_reason(error)}); "
                "files with code of their own are not run, use py:MODULE:FACTORY for them"
            ) from error

    return build


def _application(address: Address, keras: Any) -> Callable[[], Any]:
    names = sorted(name for name in dir(keras.applications) if name[0].isupper())
    if address.name not in names:
        if address.name.endswith((".h5", ".hdf5")):
            raise FeatalignError(f"{address.text}: .h5 files of Keras can run code when read and are not; save the network again as .keras")
        raise FeatalignError(f"{address.text}: keras.applications has no {address.name}; it has {', '.join(names)}, or name a .keras file")
    function = getattr(keras.applications, address.name)

    def build() -> Any:
        try:
            with _silent():
                return function(weights="imagenet", classifier_activation=None)
        except Exception as error:  # downloads fail in many types
            raise FeatalignError(
                f"{address.text}: its weights are not on disk and cannot be fetched ({_reason(error)}); "
                "go online once, or save the network as a .keras file and name that"
            ) from error

    return build


@contextmanager
def _silent() -> Iterator[None]:
    """No bar of Keras' own on standard output while it fetches."""
    from contextlib import redirect_stdout

    with redirect_stdout(sys.stderr):
        yield


def _preprocess_input(keras: Any, name: str) -> Callable[[Any], Any]:
    module = sys.modules[getattr(keras.applications, name).__module__]
    return module.preprocess_input


def _reason(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


def _has_one_output(layer: Any) -> bool:
    try:
        output = layer.output
    except (AttributeError, ValueError):  # used more than once, or never
        return False
    return not isinstance(output, list | tuple | dict) and len(output.shape) >= 2 and output.shape[0] is None and bool(output.shape[-1])


def _pooled(values: Any) -> Any:
    return values.mean(axis=tuple(range(1, values.ndim - 1))) if values.ndim > 2 else values


def _arrays(address: Address, shape: tuple[int | None, ...]) -> Reading:
    def prepare(rows: Any) -> np.ndarray:
        values = np.stack([np.asarray(row, np.float32) for row in rows])
        if len(values.shape) != len(shape) + 1 or any(size and size != given for size, given in zip(shape, values.shape[1:], strict=True)):
            raise FeatalignError(f"{address.text}: it reads inputs of shape {shape}, got {values.shape[1:]}; reshape the target's inputs")
        return values

    return Reading("array", prepare, {"kind": "array"}, InputForm())
