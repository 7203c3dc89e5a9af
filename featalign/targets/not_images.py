"""What keeps arrays from being images, and how to make images of them."""

import numpy as np

from featalign.targets.inputs import ArrayInputs, Inputs

CHANNELS = (1, 3, 4)
SLIGHTLY = 1e-3  # beyond a range, as rounding leaves it


def why_no_images(inputs: Inputs) -> tuple[str, str] | None:
    """What keeps an array from being images, and what to do; None for what is no array.

    >>> why_no_images(ArrayInputs("array", np.zeros((2, 3, 8, 8), np.uint8)))
    ('shape (N, 3, 8, 8) has its channels first', 'give inputs.transpose(0, 2, 3, 1)')
    >>> why_no_images(ArrayInputs("array", np.full((2, 8, 8), 255.0)))
    ('floats from 255 to 255 are not in 0 to 1', 'give inputs / 255')
    """
    if inputs.kind != "array" or not isinstance(inputs, ArrayInputs):
        return None
    values = inputs.values
    if not isinstance(values, np.ndarray):
        return None
    found = [each for each in (_shape(values), _range(values)) if each is not None]
    if not found:
        return None
    return " and ".join(reason for reason, _ in found), " and then ".join(do for _, do in found)


def _shape(values: np.ndarray) -> tuple[str, str] | None:
    shown = f"shape (N, {', '.join(map(str, values.shape[1:]))})"
    if values.ndim == 4 and values.shape[-1] not in CHANNELS:
        if values.shape[1] in CHANNELS:
            return f"{shown} has its channels first", "give inputs.transpose(0, 2, 3, 1)"
        return (
            f"{shown} has {values.shape[-1]} channels",
            "choose 1, 3 or 4 of them, such as inputs[..., :3]",
        )
    if values.ndim in (3, 4):
        return None
    if values.ndim == 2:
        return f"{shown} has one axis for each row", f"give {_reshaped(values.shape[1])}"
    return f"{shown} has {values.ndim - 1} axes for each row", "give images (N, H, W, 3), one a row"


def _reshaped(count: int) -> str:
    for channels in (1, 3, 4):
        side = round((count / channels) ** 0.5)
        if side * side * channels == count and side > 3:
            last = f", {channels}" if channels > 1 else ""
            return f"inputs.reshape(-1, {side}, {side}{last}) if that is how they were flattened"
    return "images (N, H, W)"


def _range(values: np.ndarray) -> tuple[str, str] | None:
    low, high = values.min(), values.max()
    between = f"from {low:g} to {high:g}"
    if values.dtype == np.uint8 or (values.dtype.kind == "f" and low >= 0 and high <= 1):
        return None
    if values.dtype.kind in "iu":
        reason = f"{values.dtype.name} {between} is no uint8"
        if low >= 0 and high <= 255:
            return reason, "give inputs.astype(np.uint8)"
        if values.dtype == np.uint16:
            return reason, "give (inputs >> 8).astype(np.uint8), or what suits your bit depth"
        return reason, (
            "clip them to the range that matters, say low to high, and give "
            "(np.clip(inputs, low, high) - low) / (high - low)"
        )
    reason = f"floats {between} are not in 0 to 1"
    if low >= -SLIGHTLY and high <= 1 + SLIGHTLY:
        return reason, "give np.clip(inputs, 0, 1)"
    if low >= -SLIGHTLY and high <= 255 + SLIGHTLY:
        return reason, "give inputs / 255" if low >= 0 else "give np.clip(inputs, 0, 255) / 255"
    if low >= -1 - SLIGHTLY and high <= 1 + SLIGHTLY:
        return reason, "give np.clip((inputs + 1) / 2, 0, 1)"
    return reason, "undo their normalisation, as inputs * std + mean, so that they are 0 to 1"
