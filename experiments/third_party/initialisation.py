"""Fresh weights, and statistics of batch normalisation.

The statistics are for networks whose own, which came with the weights, are of no use.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.third_party.network import Network, NodeArrays, divided, joined, walk
from experiments.third_party.operations import OPERATIONS, Arrays, Node

NOISE_IMAGES = 32
EPSILON = 1e-3


def fresh(network: Network, prepared: np.ndarray, seed: int) -> tuple[NodeArrays, NodeArrays]:
    """Parameters and held arrays of the architecture before any training.

    Kernels are drawn as He et al. (ICCV 2015) draw them, with variance 2 / fan-in. A new network
    normalises by the statistics of its own batches, which a function of one image cannot have, and
    in many of these networks the batch normalisation was folded into the convolutions when they
    were exported. So one rule for all: on images that are no data each layer's outputs are
    standardised channel by channel, by the held statistics where there is batch normalisation, else
    by the layer's kernel and bias. Kernels marked `fixed` stay.
    """
    random = np.random.default_rng([seed, 4])
    normalised = {name for node in network.nodes if node["op"] == "bn" for name in node["inputs"]}
    drawn: dict[str, dict[str, Any]] = {}

    def visit(node: Node, inputs: Sequence[Any], arrays: Arrays) -> Arrays:
        used = dict(arrays)
        if node["op"] == "bn":
            used |= {
                "gamma": np.ones_like(arrays["gamma"]),
                "beta": np.zeros_like(arrays["beta"]),
                **_statistics(inputs[0]),
            }
        elif "kernel" in used and not node.get("fixed", False):
            shape = np.shape(arrays["kernel"])
            used["kernel"] = (
                random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[:-1]))
            ).astype(np.float32)
            used |= {"bias": np.zeros_like(arrays["bias"])} if "bias" in used else {}
            if node["id"] not in normalised:
                found = _statistics(OPERATIONS[node["op"]](node, inputs, used))
                deviation = np.sqrt(found["var"] + EPSILON)
                used["kernel"] = used["kernel"] / deviation
                used |= {"bias": -found["mean"] / deviation} if "bias" in used else {}
        drawn[node["id"]] = used
        return used

    for _ in walk(network.nodes, joined(network.parameters, network.held), prepared, visit):
        pass
    return divided(network.nodes, drawn)


def re_estimated(network: Network, prepared: np.ndarray) -> NodeArrays:
    """The held arrays with other statistics of batch normalisation.

    These are taken from the images given, layer after layer.
    """
    found: dict[str, Mapping[str, Any]] = {}

    def visit(node: Node, inputs: Sequence[Any], arrays: Arrays) -> Arrays:
        found[node["id"]] = {**arrays, **_statistics(inputs[0])} if node["op"] == "bn" else arrays
        return found[node["id"]]

    for _ in walk(network.nodes, joined(network.parameters, network.held), prepared, visit):
        pass
    return divided(network.nodes, found)[1]


def _statistics(values: Any) -> dict[str, np.ndarray]:
    """Mean and variance (C,) of each channel."""
    axes = tuple(range(values.ndim - 1))
    return {"mean": np.asarray(values.mean(axis=axes)), "var": np.asarray(values.var(axis=axes))}
