"""A network as its files state it.

It has nodes and arrays, what is trained of them and what is held, and its layers.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.third_party.operations import ARRAYS, OPERATIONS, Arrays, Node
from featalign.errors import FeatalignError

INPUT = "input"
TAPS = 4  # layers before the features
TAPPED = ("act", "clamp", "add", "concat")
NodeArrays = dict[
    str, dict[str, np.ndarray]
]  # by node and word: {"n000": {"kernel": ..., "bias": ...}}
Visit = Callable[[Node, Sequence[jax.Array], Arrays], Arrays]


@dataclass(frozen=True, eq=False)
class Network:
    """A network: its card, its nodes in order, and their arrays.

    `parameters` is what training moves; `held` the running averages of batch normalisation and the
    kernels marked `fixed`. `layers` names nodes from input to output: up to four on the way, evenly
    by depth, the stated features, and the logits where there are some.
    """

    card: Mapping[str, Any]
    nodes: tuple[Node, ...]
    parameters: NodeArrays
    held: NodeArrays
    layers: Mapping[str, str]

    @property
    def is_convolutional(self) -> bool:
        """Whether images of another size fit.

        They do where everything before the mean over height and width is convolution.
        """
        return all(node["op"] != "flatten" for node in self.nodes)


def read_network(path: Path) -> Network:
    """The network of NAME.json and the NAME.npz beside it.

    Raises FeatalignError for an operation or an array that is missing.
    """
    card = json.loads(path.read_text(encoding="utf-8"))
    nodes = tuple(card.pop("nodes"))
    unknown = sorted({node["op"] for node in nodes} - set(OPERATIONS))
    if unknown:
        raise FeatalignError(
            f"{path}: expected operations among {', '.join(OPERATIONS)}, got {unknown[0]!r}; it is "
            "of another format"
        )
    with np.load(path.with_suffix(".npz")) as stored:
        absent = sorted(
            {node[word] for node in nodes for word in ARRAYS if word in node} - set(stored.files)
        )
        if absent:
            raise FeatalignError(
                f"{path.with_suffix('.npz')}: expected an array {absent[0]!r}, got none; copy the "
                "files again"
            )
        arrays = {
            node["id"]: {
                word: stored[node[word]].astype(np.float32) for word in ARRAYS if word in node
            }
            for node in nodes
        }
    parameters, held = divided(nodes, arrays)
    layers = {
        f"depth_{place}": node for place, node in enumerate(_taps(nodes, card["features"]), 1)
    }
    layers["features"] = card["features"]
    if (
        card["logits"] is not None and "landmark" not in card["trained_on"]
    ):  # coordinates are no classes
        layers["logits"] = card["logits"]
    return Network(card, nodes, parameters, held, layers)


def divided(
    nodes: Sequence[Node], arrays: Mapping[str, Mapping[str, Any]]
) -> tuple[NodeArrays, NodeArrays]:
    """What training moves, and what is held."""
    parts: tuple[NodeArrays, NodeArrays] = {}, {}
    for node in nodes:
        for word, array in arrays[node["id"]].items():
            is_held = word in ("mean", "var") or node.get("fixed", False)
            parts[is_held].setdefault(node["id"], {})[word] = np.asarray(array)
    return parts


def joined(*parts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The arrays of each node, wherever they stand."""
    ids = dict.fromkeys(node for part in parts for node in part)
    return {
        node: {word: array for part in parts for word, array in part.get(node, {}).items()}
        for node in ids
    }


def applying(network: Network, held: NodeArrays) -> Callable[[Any, Any], dict[str, Any]]:
    """The pure function of parameters and preprocessed images to all layers (B, D).

    What has a height and a width is averaged over them.
    """
    names: dict[str, list[str]] = {}
    for layer, node in network.layers.items():
        names.setdefault(node, []).append(layer)

    def apply(parameters: Any, prepared: Any) -> dict[str, Any]:
        emitted = {}
        for node, value in walk(network.nodes, joined(parameters, held), prepared):
            for layer in names.get(node["id"], ()):
                emitted[layer] = value.mean(axis=(1, 2)) if value.ndim == 4 else value
        return {layer: emitted[layer] for layer in network.layers}

    return apply


def walk(
    nodes: Sequence[Node],
    arrays: Mapping[str, Arrays],
    prepared: Any,
    visit: Visit = lambda node, inputs, arrays: arrays,
) -> Iterator[tuple[Node, jax.Array]]:
    """Each node with its value, in order.

    `visit` sees a node's inputs and arrays first, and says which arrays it shall use.
    """
    left = Counter(name for node in nodes for name in node["inputs"])
    values = {INPUT: prepared}
    for node in nodes:
        inputs = [values[name] for name in node["inputs"]]
        values[node["id"]] = OPERATIONS[node["op"]](
            node, inputs, visit(node, inputs, arrays.get(node["id"], {}))
        )
        yield node, values[node["id"]]
        for name in node["inputs"]:
            left[name] -= 1
            if not left[name]:
                values.pop(name, None)  # nobody reads it again


def _taps(nodes: Sequence[Node], features: str) -> list[str]:
    """Nodes on the way to the features, evenly by depth.

    Depth is the number of convolutions and dense layers on the longest way from the input.
    """
    by_id = {node["id"]: node for node in nodes}
    depths = {INPUT: 0}
    for node in nodes:
        depths[node["id"]] = max(depths[name] for name in node["inputs"]) + (
            node["op"] in ("conv", "dense")
        )
    on_the_way, waiting = set(), [features]
    while waiting:
        node = waiting.pop()
        if node != INPUT and node not in on_the_way:
            on_the_way.add(node)
            waiting += by_id[node]["inputs"]
    whole = depths[features]
    candidates = [
        node["id"]
        for node in nodes
        if node["id"] in on_the_way and node["op"] in TAPPED and 0 < depths[node["id"]] < whole
    ]
    found: list[str] = []
    for part in range(1, TAPS + 1):
        reached = [
            node for node in candidates if depths[node] <= max(1, round(part * whole / (TAPS + 1)))
        ]
        if reached and (last := max(reached, key=lambda node: (depths[node], node))) not in found:
            found.append(last)
    return found
