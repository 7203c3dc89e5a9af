"""onnx:PATH#TENSOR: any tensor of an ONNX graph, with no framework but onnxruntime."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from featalign.errors import FeatalignError, first_line
from featalign.sources.address import Address, parse
from featalign.sources.extras import releases, require
from featalign.sources.hub import read_json
from featalign.sources.input_form import InputForm
from featalign.sources.onnx_graph import Tensors, by_rank
from featalign.sources.parts import AtOnce
from featalign.sources.preprocessing import resized_rgb
from featalign.sources.reading import Reading
from featalign.sources.resident import Resident
from featalign.sources.source import Source

SIDECAR = "preprocessor_config.json"  # as exporters of transformers write it beside the graph
AT_ONCE = 32


def load_onnx_source(rest: str) -> Source:
    """An ONNX graph with one input of floats as a source.

    `#TENSOR` names the tensor to score, any that a node of the graph gives.

    Layers are the tensors of floats whose first axis is the batch's and whose shape the graph says;
    what has more than two axes is averaged over all but that of its channels, which the operations
    around it tell. The default is what the head, a last product with weights, reads: features, the
    token that is chosen, a flattened map; without a head it is what the graph gives. Images are
    resized to the graph's input; mean, deviation and scale come from a preprocessor_config.json
    beside the graph, and where there is none pixels lie in [0, 1] and the ranking says so. Raises
    FeatalignError for a file that is no graph, a tensor it does not have, or inputs it cannot be
    given.
    """
    address = parse("onnx:", rest)
    onnx = require("onnx", extra="onnx", address=address.text)
    require("onnxruntime", extra="onnx", address=address.text)
    path = address.folder
    if path is None or not path.is_file():
        raise FeatalignError(f"{address.text}: there is no file {address.name}; name a .onnx file")
    try:
        graph = onnx.load(str(path), load_external_data=False)
        revision = _digest(address, path, graph)
        onnx.checker.check_model(str(path))
        inferred = onnx.shape_inference.infer_shapes(graph)
    except FeatalignError:
        raise
    except Exception as error:
        raise FeatalignError(
            f"{address.text}: it is no valid ONNX graph ({first_line(error)}); export it anew"
        ) from error
    known = Tensors(inferred.graph)
    tensors, default = dict(known.tapped), address.layer or known.embedding
    if known.embedding not in tensors:
        tensors[known.embedding] = known.shapes.get(known.embedding, ())
    if default not in tensors:
        shown = ", ".join(list(tensors)[:30]) + (
            f" and {len(tensors) - 30} more" if len(tensors) > 30 else ""
        )
        raise FeatalignError(
            f"layer: {address.name} has no tensor {default!r} with a batch axis; it has {shown}"
        )
    batch = known.batch
    if isinstance(batch, int) and batch > 1:
        raise FeatalignError(
            f"{address.text}: it takes exactly {batch} inputs at a time; export it with a batch "
            "axis of any size"
        )
    feed, reading = known.input.name, _reading(address, path, inferred.graph)
    axes = {name: known.axis(name) for name, shape in tensors.items() if len(shape) > 2}
    # those that were once told by the rank alone stay out of the key
    told = {name: axis for name, axis in axes.items() if axis != by_rank(len(tensors[name]))}
    if told:
        reading = replace(reading, preprocessing={**reading.preprocessing, "channels": told})
    # at most one: of the tensors that were asked for last
    sessions: Resident[dict[tuple[str, ...], Any]] = Resident(dict)

    def embed_batch(prepared: np.ndarray, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
        held = sessions()
        session = held.get(wanted)
        if session is None:
            session = _session(address, path, wanted)
            held.clear()
            held[wanted] = session
        emitted = session.run(list(wanted), {feed: prepared})
        return {
            layer: _pooled(np.asarray(values), axes.get(layer, -1))
            for layer, values in zip(wanted, emitted, strict=True)
        }

    return Source(
        address.text,
        revision,
        embed_batch,
        tuple(tensors),
        default,
        reading=reading,
        model=sessions,
        at_once=AtOnce(1 if batch == 1 else AT_ONCE if reading.input_kind == "image" else None),
    )


def _digest(address: Address, path: Path, graph: Any) -> str:
    """The SHA-256 of the graph and of the files with its weights, which must lie beside it."""
    digest = hashlib.sha256(json.dumps(releases("onnxruntime"), sort_keys=True).encode())
    folder = path.resolve().parent
    files = {
        entry.value
        for tensor in graph.graph.initializer
        for entry in tensor.external_data
        if entry.key == "location"
    }
    for file in [path, *(folder / name for name in sorted(files))]:
        if not file.resolve().is_relative_to(folder) and file != path:
            raise FeatalignError(
                f"{address.text}: its weights lie outside its own folder; put them beside the graph"
            )
        if not file.is_file():
            raise FeatalignError(
                f"{address.text}: the file {file.name} with its weights is missing; put it beside "
                "the graph"
            )
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return digest.hexdigest()


def _session(address: Address, path: Path, tensors: tuple[str, ...]) -> Any:
    """The graph in onnxruntime with these tensors as its outputs.

    There are no other outputs, because each would keep the runtime from joining operations, or take
    time to compute.
    """
    onnx = require("onnx", extra="onnx", address=address.text)
    runtime = require("onnxruntime", extra="onnx", address=address.text)
    graph = onnx.load(str(path))  # this loads its weights too, and refuses those outside its folder
    del graph.graph.output[:]
    graph.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in tensors)
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    try:
        providers = [
            name for name in runtime.get_available_providers() if name != "AzureExecutionProvider"
        ]  # that provider computes elsewhere
        return runtime.InferenceSession(graph.SerializeToString(), options, providers=providers)
    except Exception as error:
        raise FeatalignError(
            f"{address.text}: onnxruntime cannot run it ({first_line(error)}); "
            "export it for this version"
        ) from error


def _reading(address: Address, path: Path, graph: Any) -> Reading:
    """How raw inputs become the graph's one input."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    kind = inputs[0].type.tensor_type
    shape = tuple(dim.dim_value for dim in kind.shape.dim)
    dtype = {1: np.float32, 10: np.float16, 11: np.float64}.get(kind.elem_type)
    if len(inputs) != 1 or dtype is None:
        names = ", ".join(value.name for value in inputs)
        raise FeatalignError(
            f"{address.text}: expected one input of floats, got {names}; for a model that reads "
            "tokens use hf/ or st/, or py:MODULE:FACTORY"
        )
    if len(shape) == 4 and (3 in (shape[1], shape[3]) or 1 in (shape[1], shape[3])):
        return _image_reading(address, path, shape, dtype)

    def prepare(rows: Any) -> np.ndarray:
        values = np.stack([np.asarray(row, dtype) for row in rows])
        if len(values.shape) != len(shape) or any(
            size and size != given for size, given in zip(shape[1:], values.shape[1:], strict=True)
        ):
            raise FeatalignError(
                f"{address.text}: it reads inputs of shape {_shown(shape[1:])}, got "
                f"{values.shape[1:]}; reshape the target's inputs"
            )
        return values

    return Reading(
        input_kind="array",
        preprocessing={"kind": "array", "dtype": np.dtype(dtype).name},
        prepare=prepare,
        static_shapes=False,
    )


def _image_reading(address: Address, path: Path, shape: tuple[int, ...], dtype: Any) -> Reading:
    first = shape[1] in (1, 3)
    channels = shape[1] if first else shape[3]
    size: tuple[int, int] = (shape[2], shape[3]) if first else (shape[1], shape[2])
    sidecar = path.parent / SIDECAR
    declared = read_json(sidecar, address) if sidecar.is_file() else {}
    if 0 in size:
        wanted = declared.get("crop_size") or declared.get("size") or {}
        side = wanted.get("shortest_edge", 224)
        size = wanted.get("height", side), wanted.get("width", side)
    scale = np.float32(
        255 * declared.get("rescale_factor", 1 / 255) if declared.get("do_rescale", True) else 255
    )
    normal = declared.get("do_normalize", bool(declared))
    mean = np.asarray(declared.get("image_mean", 0.0) if normal else 0.0, np.float32)
    deviation = np.asarray(declared.get("image_std", 1.0) if normal else 1.0, np.float32)

    def prepare(images: Any) -> np.ndarray:
        pixels = np.stack([resized_rgb(np.asarray(image), size) for image in images])
        if channels == 1:
            pixels = (pixels @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
        if declared:
            pixels = (pixels * scale - mean) / deviation
        pixels = pixels.astype(dtype, copy=False)
        return np.ascontiguousarray(np.moveaxis(pixels, -1, 1)) if first else pixels

    identity = {
        "kind": "image",
        "resize": "bilinear",
        "size": list(size),
        "channels": channels,
        "channels_first": first,
    }
    identity |= {"scale": float(scale), "mean": mean.tolist(), "std": deviation.tolist()}
    assumed = (
        None
        if declared
        else f"the graph declares no range: pixels are given as 0 to 1; put a {SIDECAR} beside it "
        "if it was trained on others"
    )
    return Reading(
        input_kind="image",
        preprocessing=identity,
        prepare=prepare,
        form=InputForm((int(size[0]), int(size[1])), channels, assumed=assumed),
        static_shapes=False,
    )


def _pooled(values: np.ndarray, axis: int) -> np.ndarray:
    """Averaged over all axes but the batch's and that of the channels."""
    if values.ndim < 3:
        return values
    axis = axis if 0 < axis < values.ndim else values.ndim - 1
    return values.mean(axis=tuple(place for place in range(1, values.ndim) if place != axis))


def _shown(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(str(size) if size else "any" for size in shape) + ")"
