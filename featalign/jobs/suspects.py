"""The usual suspects of a broken pipeline, each tried on a few rows: which of them mends it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.log import LOGGER
from featalign.sources.preprocessing import as_picture
from featalign.sources.source import Source
from featalign.targets.inputs import Kind

SIZES = (32, 64, 128, 224)  # of images, for a source that does not say its own
PIXELS = "pixel_values"  # where image processors keep what the network reads
PENALTY = 0.1  # of the ridge, as a share of the mean variance of the kernel
SURE = 2.5  # deviations by which rows put right have to outweigh those put wrong
CLEAR = 0.15  # accuracy, or share of variance, that a mend has to add


@dataclass(frozen=True, kw_only=True)
class Suspect:
    """Another way to give inputs to a source: what would be wrong, what is done, the features."""

    what: str
    change: str
    embed: Callable[[], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Mend:
    """The suspect that mends a source on a few rows, and how far a probe comes with and without."""

    what: str
    change: str
    before: float
    after: float


def find_mend(
    source: Source, kind: Kind, inputs: Any, features: np.ndarray, labels: np.ndarray, layer: str
) -> tuple[Mend | None, tuple[str, ...]]:
    """The suspect that clearly mends a source, or None, and what was tried.

    It is judged by a probe that leaves each row out in turn. A mend puts right clearly more rows
    than it puts wrong, and adds at least 0.15 of accuracy (of the share of variance, for numbers).
    A suspect that the source cannot take is passed over.
    """
    before, tried, best = left_out(features, labels), [], None
    for suspect in suspects(source, kind, inputs, layer):
        try:
            changed = np.asarray(suspect.embed(), np.float64)
        except Exception as error:  # somebody else's code on inputs that it was not made for
            LOGGER.debug("%s: %s: %s", source.name, suspect.change, error)
            continue
        if changed.ndim != 2 or len(changed) != len(labels) or not np.isfinite(changed).all():
            continue
        tried.append(suspect.what)
        after = left_out(changed, labels)
        if not _is_clear(before, after):
            continue
        if best is None or after.mean() > best.after:
            best = Mend(
                what=suspect.what,
                change=suspect.change,
                before=float(before.mean()),
                after=float(after.mean()),
            )
    return best, tuple(dict.fromkeys(tried))


def suspects(source: Source, kind: Kind, inputs: Any, layer: str) -> Iterator[Suspect]:
    """Every suspect for inputs of a kind: range, order of channels and size, or case of texts.

    Numbers are changed as they are given, and once more behind the source's own preprocessing.
    """

    def given(change: Callable[[Any], Any]) -> Callable[[], np.ndarray]:
        return lambda: source.embed(change(inputs), [layer])[layer]

    def read(change: Callable[[Any], Any]) -> Callable[[], np.ndarray]:
        def embed() -> np.ndarray:
            prepared = _inside(source.reading.prepare(inputs), change)
            return np.asarray(source.embed_batch(prepared, (layer,))[layer])

        return embed

    if kind == "text":
        lower = given(lambda texts: [text.lower() for text in texts])
        yield Suspect(what="case for its tokenizer", change="in lower case", embed=lower)
    if kind not in ("image", "array"):
        return
    places = [("", given)]
    if source.reading.preprocessing:
        places.append((" behind its preprocessing", read))
    for where, made in places:
        for change, done in (("divided by 255", 1 / 255), ("times 255", 255.0)):
            scaled = made(lambda values, factor=done: _each(values, lambda one: one * factor))
            yield Suspect(what="scale", change=change + where, embed=scaled)
        for change, order in (
            ("with their channels in the other order", _reversed_channels),
            ("with their channels first", lambda one: np.moveaxis(one, -1, -3)),
            ("with their channels last", lambda one: np.moveaxis(one, -3, -1)),
        ):
            turned = made(lambda values, order=order: _each(values, order))
            yield Suspect(what="order of channels", change=change + where, embed=turned)
    if kind == "image" and source.reading.form.size is None:
        for size in SIZES:
            resized = given(lambda images, size=size: _resized(images, size))
            yield Suspect(what="size", change=f"at {size} x {size} pixels", embed=resized)


def left_out(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What a ridge probe reaches on each row (N,), which is left out of it.

    Of classes (N,) it is 1 for a hit and 0 for a miss. Of targets (N, K) it is the share of the
    variance that is explained, at least 0, which is the same for all rows. The prediction without
    row i is y_i - (y_i - ŷ_i) / (1 - H_ii), where H = K (K + λ I)⁻¹ and K = X Xᵀ of centred rows.

    >>> left_out(np.array([[0.0], [0.1], [1.0], [1.1]]), np.array([0, 0, 1, 1])).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """
    rows = np.asarray(features, np.float64)
    rows = rows - rows.mean(axis=0)
    classes = labels.ndim == 1
    wanted = np.eye(int(labels.max()) + 1)[labels] if classes else np.asarray(labels, np.float64)
    wanted = wanted - wanted.mean(axis=0)
    kernel = rows @ rows.T
    scale = float(np.trace(kernel)) / len(rows)
    if not scale > 0 or not np.isfinite(scale):
        return np.zeros(len(rows))
    kernel = kernel / scale
    hat = kernel @ np.linalg.inv(kernel + PENALTY * np.eye(len(rows))) + 1 / len(rows)
    missed = (wanted - hat @ wanted) / np.maximum(1 - np.diag(hat), 1e-9)[:, None]
    if classes:
        return ((wanted - missed).argmax(axis=1) == labels).astype(np.float64)
    total = float((wanted**2).sum())
    share = 1 - float((missed**2).sum()) / total if total > 0 else 0.0
    return np.full(len(rows), max(share, 0.0))


def _is_clear(before: np.ndarray, after: np.ndarray) -> bool:
    better, worse = (after > before).sum(), (after < before).sum()
    is_sure = better - worse >= SURE * np.sqrt(better + worse)
    return bool(is_sure and after.mean() - before.mean() >= CLEAR)


def _inside(prepared: Any, change: Callable[[Any], Any]) -> Any:
    """What a network reads, changed; the other entries beside its pixels stay."""
    if isinstance(prepared, Mapping):
        if PIXELS not in prepared:
            raise FeatalignError(f"inputs: expected {PIXELS} among what the network reads")
        return {**prepared, PIXELS: _like(prepared[PIXELS], change)}
    return _like(prepared, change)


def _like(values: Any, change: Callable[[Any], Any]) -> Any:
    """The changed values, in the kind of array that they came in."""
    if type(values).__module__.partition(".")[0] == "torch":
        return values.new_tensor(np.ascontiguousarray(change(np.asarray(values))))
    return change(values)


def _each(values: Any, change: Callable[[np.ndarray], np.ndarray]) -> Any:
    """Every input changed; inputs of one size are one array."""
    if isinstance(values, np.ndarray):
        return np.ascontiguousarray(change(values.astype(np.float32)))
    return [np.ascontiguousarray(change(np.asarray(one, np.float32))) for one in values]


def _reversed_channels(one: np.ndarray) -> np.ndarray:
    axis = -1 if one.shape[-1] == 3 else -3
    if one.ndim < 3 or one.shape[axis] != 3:
        raise FeatalignError(f"inputs: expected three channels, got shape {one.shape}")
    return np.flip(one, axis)


def _resized(images: Any, size: int) -> np.ndarray:
    if all(np.asarray(image).shape[:2] == (size, size) for image in images):
        raise FeatalignError(f"inputs: they are of {size} x {size} already")
    pictures = [as_picture(image).resize((size, size)) for image in images]
    pixels = np.stack([np.asarray(picture) for picture in pictures])
    return pixels if np.asarray(images[0]).dtype == np.uint8 else pixels.astype(np.float32) / 255
