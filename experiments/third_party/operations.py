"""The 13 operations of the node lists, each a pure function of a node, its inputs and its arrays.

Images are (B, H, W, C). A node is a dictionary of the JSON file: `op`, `inputs`, and what the
operation needs. Its arrays are those that its entries `kernel`, `bias`, `gamma`, `beta`, `mean`,
`var` name, under these words.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

Node = Mapping[str, Any]
Arrays = Mapping[str, Any]
Operation = Callable[[Node, Sequence[jax.Array], Arrays], jax.Array]
ARRAYS = ("kernel", "bias", "gamma", "beta", "mean", "var")  # entries of a node that name arrays
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "softmax": jax.nn.softmax,
}


def conv(node: Node, inputs: Sequence[jax.Array], arrays: Arrays) -> jax.Array:
    """Grouped, dilated convolution with a kernel (height, width, in / groups, out)."""
    images, kernel = inputs[0], arrays["kernel"]
    window = [
        (size - 1) * step + 1 for size, step in zip(kernel.shape[:2], node["dilation"], strict=True)
    ]
    sides = (
        jax.lax.padtype_to_pads(images.shape[1:3], window, node["stride"], node["pad"])
        if isinstance(node["pad"], str)
        else node["pad"]
    )
    if node["groups"] == images.shape[-1] == kernel.shape[-1]:
        made = _depthwise(images, kernel, node["stride"], sides, node["dilation"])
    else:
        made = jax.lax.conv_general_dilated(
            images,
            kernel,
            node["stride"],
            [(before, after) for before, after in sides],
            rhs_dilation=node["dilation"],
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=node["groups"],
        )
    return made + arrays["bias"] if "bias" in arrays else made


def _depthwise(
    images: jax.Array,
    kernel: jax.Array,
    stride: Sequence[int],
    sides: Sequence[Sequence[int]],
    dilation: Sequence[int],
) -> jax.Array:
    """One kernel a channel, as a sum of shifted images.

    XLA's own is 5 to 40 times slower on a processor, and its gradient 6 to 10 times.
    """
    padded = jnp.pad(images, ((0, 0), *(tuple(pair) for pair in sides), (0, 0)))
    window = [(size - 1) * step + 1 for size, step in zip(kernel.shape[:2], dilation, strict=True)]
    height, width = (
        (size - reach) // step + 1
        for size, reach, step in zip(padded.shape[1:3], window, stride, strict=True)
    )
    total = jnp.zeros(())
    for row in range(kernel.shape[0]):
        for column in range(kernel.shape[1]):
            top, left = row * dilation[0], column * dilation[1]
            bottom, right = top + (height - 1) * stride[0] + 1, left + (width - 1) * stride[1] + 1
            seen = jax.lax.slice(
                padded,
                (0, top, left, 0),
                (len(padded), bottom, right, padded.shape[3]),
                (1, *stride, 1),
            )
            total = total + seen * kernel[row, column, 0]
    return total


def dense(node: Node, inputs: Sequence[jax.Array], arrays: Arrays) -> jax.Array:
    """The product with a kernel (in, out), plus the bias."""
    del node
    made = inputs[0] @ arrays["kernel"]
    return made + arrays["bias"] if "bias" in arrays else made


def bn(node: Node, inputs: Sequence[jax.Array], arrays: Arrays) -> jax.Array:
    """γ (x - μ) / √(σ² + ε) + β with the statistics that are held."""
    scale = arrays["gamma"] * jax.lax.rsqrt(arrays["var"] + node["eps"])
    return inputs[0] * scale + (arrays["beta"] - arrays["mean"] * scale)


def act(node: Node, inputs: Sequence[jax.Array], arrays: Arrays) -> jax.Array:
    """ReLU, tanh, or softmax over the channels."""
    del arrays
    return ACTIVATIONS[node["fn"]](inputs[0])


def clamp(node: Node, inputs: Sequence[jax.Array], arrays: Arrays) -> jax.Array:
    """The range that an 8-bit activation can hold."""
    del arrays
    return jnp.clip(inputs[0], node["lo"], node["hi"])


def add(node: Node, inputs: Sequence[jax.Array], arrays: Arrays) -> jax.Array:
    """The sum of all inputs."""
    del node, arrays
    return sum(inputs[1:], start=inputs[0])


def concat(node: Node, inputs: Sequence[jax.Array], arrays: Arrays) -> jax.Array:
    """All inputs side by side along the channels."""
    del node, arrays
    return jnp.concatenate(inputs, axis=-1)


def mean(node: Node, inputs: Sequence[jax.Array], arrays: Arrays) -> jax.Array:
    """The mean over height and width: (B, C)."""
    del node, arrays
    return inputs[0].mean(axis=(1, 2))


def maxpool(node: Node, inputs: Sequence[jax.Array], arrays: Arrays) -> jax.Array:
    """The largest value of each window; what is padded is smaller than anything."""
    del arrays
    pad = (
        node["pad"]
        if isinstance(node["pad"], str)
        else [(0, 0), *(tuple(pair) for pair in node["pad"]), (0, 0)]
    )
    return jax.lax.reduce_window(
        inputs[0], -jnp.inf, jax.lax.max, (1, *node["window"], 1), (1, *node["stride"], 1), pad
    )


def pad(node: Node, inputs: Sequence[jax.Array], arrays: Arrays) -> jax.Array:
    """Zeros around height and width."""
    del arrays
    return jnp.pad(inputs[0], ((0, 0), *node["pad"], (0, 0)))


def flatten(node: Node, inputs: Sequence[jax.Array], arrays: Arrays) -> jax.Array:
    """All numbers of an example in one row, the last axis fastest."""
    del node, arrays
    return inputs[0].reshape(inputs[0].shape[0], -1)


def permute_chw(node: Node, inputs: Sequence[jax.Array], arrays: Arrays) -> jax.Array:
    """(B, H, W, C) to (B, C, H, W), as networks that keep channels first flatten them."""
    del node, arrays
    return inputs[0].transpose(0, 3, 1, 2)


def reshape_c(node: Node, inputs: Sequence[jax.Array], arrays: Arrays) -> jax.Array:
    """(B, C), whatever axes of length 1 there were."""
    del node, arrays
    return inputs[0].reshape(inputs[0].shape[0], -1)


OPERATIONS: dict[str, Operation] = {
    operation.__name__: operation
    for operation in (
        conv,
        dense,
        bn,
        act,
        clamp,
        add,
        concat,
        mean,
        maxpool,
        pad,
        flatten,
        permute_chw,
        reshape_c,
    )
}
