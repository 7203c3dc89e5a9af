"""Inputs from what a user has in memory: their kind, and whether they can be used."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.inputs import ArrayInputs, Inputs, TextInputs

CHANNELS = (1, 3, 4)


def as_inputs(inputs: Any, *, name: str = "inputs") -> Inputs:
    """Inputs from numbers (N, ...), a list of images of any sizes, or a list of strings.

    An `Inputs` stays as it is. uint8 of shape (N, H, W) or (N, H, W, 1 | 3 | 4) are images, and so
    are floats of these shapes in [0, 1]; other numbers are plain arrays. Raises FeatalignError for
    anything else, for no rows, and for NaN or infinite values.

    >>> as_inputs(["good", "bad"]).kind
    'text'
    >>> as_inputs(np.zeros((2, 8, 8), np.uint8)).kind, as_inputs(np.zeros((2, 5))).kind
    ('image', 'array')
    """
    if isinstance(inputs, Inputs):
        return inputs
    listlike = (
        hasattr(inputs, "__len__")
        and hasattr(inputs, "__getitem__")
        and not isinstance(inputs, str | bytes | Mapping)
    )
    if not listlike and not hasattr(inputs, "__array__"):
        raise FeatalignError(
            f"{name}: expected an array of numbers, a list of images or a list of strings, got "
            f"{type(inputs).__name__}"
        )
    if hasattr(inputs, "__array__"):
        inputs = np.asarray(inputs)
        if inputs.dtype.kind in "UO" and inputs.ndim == 1:
            inputs = inputs.tolist()
    if isinstance(inputs, np.ndarray) and inputs.ndim == 0:
        raise FeatalignError(f"{name}: expected an array of shape (N, ...), got a single value")
    if len(inputs) == 0:
        raise FeatalignError(f"{name}: expected at least one row, got none")
    if isinstance(inputs, np.ndarray):
        return _from_array(inputs, name)
    values = [inputs[row] for row in range(len(inputs))]
    if any(isinstance(value, str) for value in values):
        return _from_strings(values, name)
    rows = [_as_row(value, row, name) for row, value in enumerate(values)]
    if len({row.shape for row in rows}) == 1:
        return _from_array(np.stack(rows), name)
    return _from_images(rows, name)


def _from_array(values: np.ndarray, name: str) -> ArrayInputs:
    if values.dtype.kind not in "fiu":
        raise FeatalignError(
            f"{name}: expected integers or floats, strings or images, got {values.dtype.name} of "
            f"shape {values.shape}; convert them"
        )
    if values.ndim < 2 or 0 in values.shape:
        raise FeatalignError(
            f"{name}: expected an array of shape (N, ...) with at least one number in each row, "
            f"got shape {values.shape}; reshape it"
        )
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    _check_finite(values, name)
    is_image = values.ndim == 3 or (values.ndim == 4 and values.shape[-1] in CHANNELS)
    return ArrayInputs("image" if is_image and _holds_pixels(values) else "array", values)


def _from_strings(texts: Sequence[Any], name: str) -> TextInputs:
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise FeatalignError(
                f"{name}: expected a string in every row, got {type(text).__name__} in row {row}; "
                "drop the row or write it as text"
            )
    return TextInputs(tuple(str(text) for text in texts))


def _as_row(value: Any, row: int, name: str) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise FeatalignError(
            f"{name}: expected an array in every row, but row {row} is none ({error}); pad or drop "
            "it"
        ) from error


def _from_images(images: list[np.ndarray], name: str) -> ArrayInputs:
    for row, image in enumerate(images):
        if image.dtype.kind == "f" and not np.isfinite(image).all():
            raise _not_finite(image, row, name)
        shaped = image.ndim == 2 or (image.ndim == 3 and image.shape[-1] in CHANNELS)
        if (
            not shaped
            or 0 in image.shape
            or image.dtype != images[0].dtype
            or not _holds_pixels(image)
        ):
            raise FeatalignError(
                f"{name}: rows of differing shapes are taken for images (H, W) or (H, W, 1 | 3 | "
                "4), all uint8 or all floats in [0, 1]; "
                f"row {row} is {image.dtype.name} of shape {image.shape}, row 0 "
                f"{images[0].dtype.name} of shape {images[0].shape}"
            )
    return ArrayInputs("image", tuple(images))


def _holds_pixels(values: np.ndarray) -> bool:
    return values.dtype == np.uint8 or (
        values.dtype.kind == "f" and bool(values.min() >= 0) and bool(values.max() <= 1)
    )


def _check_finite(values: np.ndarray, name: str) -> None:
    if values.dtype.kind != "f":
        return
    for start in range(0, len(values), 4096):  # a mask of all values would be large
        part = values[start : start + 4096]
        bad = np.flatnonzero(~np.isfinite(part.reshape(len(part), -1)).all(axis=1))
        if bad.size:
            row = start + int(bad[0])
            raise _not_finite(values[row], row, name)


def _not_finite(value: np.ndarray, row: int, name: str) -> FeatalignError:
    count = int((~np.isfinite(value)).sum())
    return FeatalignError(
        f"{name}: expected finite values, got {count} NaN or infinite in row {row}; drop the row "
        "or fill the values in"
    )
