"""The inputs that a source declares to expect, and how those of a target differ.

This difference is the most common silent cause of failed transfer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featalign.targets.target import Target

SAMPLE = 64  # rows that are looked at
ENLARGED, SHRUNK = 4, 8  # factors of height or width from which users are told
DARK = 0.25  # images that stay below this share of the range are called dark


@dataclass(frozen=True)
class InputForm:
    """The inputs that a source was made for; a field is None where the source does not say.

    `size` is the height and width of images, and `channels` the number of their channels.
    `max_tokens` is the length at which texts are cut, counted by `count_tokens`. `assumed` is a
    sentence on what the model itself does not declare.
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    max_tokens: int | None = None
    count_tokens: Callable[[list[str]], Sequence[int]] | None = None
    assumed: str | None = None


def misfits(form: InputForm, target: Target) -> tuple[str, ...]:
    """One sentence for each way in which a target's inputs differ from what the source declares.

    The sentences have numbers, which come from a sample of the rows.
    """
    if form == InputForm():
        return ()
    rows = np.unique(np.linspace(0, len(target) - 1, min(SAMPLE, len(target))).astype(np.int64))
    inputs = target.inputs.read(rows)
    found = [form.assumed] if form.assumed else []
    if target.kind == "image":
        found += image_misfits(form, list(inputs))
    if target.kind == "text" and form.max_tokens is not None and form.count_tokens is not None:
        lengths = np.asarray(form.count_tokens(list(inputs)))
        if (cut := float((lengths > form.max_tokens).mean())) > 0:
            found.append(
                f"{cut:.0%} of the texts have more than {form.max_tokens} tokens, the most that "
                f"the source reads (median {np.median(lengths):.0f}, "
                f"longest {lengths.max()}), and are cut"
            )
    return tuple(found)


def image_misfits(form: InputForm, images: Sequence[Any]) -> list[str]:
    """Sentences on size, channels and range of images that differ from the declared ones.

    >>> sentence = image_misfits(InputForm((224, 224), 3), [np.full((28, 28), 255, np.uint8)])[0]
    >>> sentence.partition(": ")[0]
    'images of 28 x 28 are enlarged 8 times to 224 x 224, the size that the source declares'
    >>> sentence.partition(": ")[2]
    'it has seen far more detail'
    """
    found = []
    height, width = (int(np.median([image.shape[axis] for image in images])) for axis in (0, 1))
    if form.size is not None:
        factor = min(form.size[0] / height, form.size[1] / width)
        between = (
            f"images of {height} x {width} are {{}} {{:.0f}} times to {form.size[0]} x "
            f"{form.size[1]}, the size that the source declares: "
        )
        if factor > ENLARGED:
            found.append(between.format("enlarged", factor) + "it has seen far more detail")
        if 1 / max(form.size[0] / height, form.size[1] / width) > SHRUNK:
            found.append(between.format("shrunk", 1 / factor) + "details are lost")
    channels = {1 if image.ndim == 2 else image.shape[-1] for image in images}
    if form.channels == 3 and channels == {1}:
        found.append("images have 1 channel, the source declares 3: grey is repeated")
    if form.channels == 1 and channels != {1}:
        found.append(f"images have {max(channels)} channels, the source declares 1: colour is lost")
    if form.channels is not None and 4 in channels:
        found.append(
            f"images have 4 channels, the source declares {form.channels}: transparency is dropped"
        )
    whole = 255 if images[0].dtype == np.uint8 else 1
    low, high = min(image.min() for image in images), max(image.max() for image in images)
    if high <= DARK * whole:
        found.append(
            f"pixels lie from {low:g} to {high:g}, the source expects 0 to {whole}: were they "
            "scaled twice, or kept in another range?"
        )
    return found
