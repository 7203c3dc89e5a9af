"""The raw inputs of a target: rows that are read when asked for, each with a content digest."""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.images import check_image_header, decode_image

Kind = Literal["image", "text", "token", "array"]
_Given = TypeVar("_Given")
_Result = TypeVar("_Result")
DIGESTED_AT_ONCE = 256  # images in memory while digests are computed


@runtime_checkable
class Inputs(Protocol):
    """Rows of raw inputs, in memory or on disk.

    `read(rows)` gives a batch: uniform arrays as one array (B, ...), images of differing sizes as a
    list of arrays (H, W) or (H, W, C), texts as a list of strings, words as a list of `Token`.
    `row_digests()` are the SHA-256 of each row's content as uint8 (N, 32), computed once.
    """

    @property
    def kind(self) -> Kind:
        """What a row is: "image", "text", "token" or "array"."""
        ...

    def __len__(self) -> int: ...

    def read(self, rows: np.ndarray) -> np.ndarray | list:
        """A batch of raw inputs."""
        ...

    def row_digests(self) -> np.ndarray:
        """SHA-256 of each row, uint8 (N, 32)."""
        ...

    def take(self, rows: np.ndarray) -> "Inputs":
        """These rows alone."""
        ...


@dataclass(frozen=True, eq=False)
class ArrayInputs:
    """Arrays in memory: one array (N, ...), or a tuple of images of differing sizes.

    They are not copied, so do not change them afterwards.
    """

    kind: Kind
    values: np.ndarray | tuple[np.ndarray, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.values)

    def read(self, rows: np.ndarray) -> np.ndarray | list:
        """The rows as one array, or as a list where their sizes differ."""
        if isinstance(self.values, np.ndarray):
            return self.values[rows]
        return _stacked([self.values[row] for row in rows])

    def row_digests(self) -> np.ndarray:
        """SHA-256 of each row, uint8 (N, 32)."""
        return self._digests

    @cached_property
    def _digests(self) -> np.ndarray:
        return as_rows(_array_digest(self.kind, value) for value in self.values)

    def take(self, rows: np.ndarray) -> "ArrayInputs":
        """These rows alone."""
        picked = (
            self.values[rows]
            if isinstance(self.values, np.ndarray)
            else tuple(self.values[row] for row in rows)
        )
        return with_digests_of(self, ArrayInputs(self.kind, picked), rows)


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Image files, which are decoded when they are read and never in memory all at once."""

    paths: tuple[Path, ...] = field(repr=False)
    kind: Kind = "image"

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, rows: np.ndarray) -> np.ndarray | list:
        """The rows as one uint8 array, or as a list where their sizes differ."""
        return _stacked(_in_threads(decode_image, [self.paths[row] for row in rows]))

    def row_digests(self) -> np.ndarray:
        """SHA-256 of each image's decoded pixels and shape, uint8 (N, 32).

        How and where the image is stored does not matter.
        """
        return self._digests

    @cached_property
    def _digests(self) -> np.ndarray:
        return as_rows(
            _in_threads(lambda path: _array_digest(self.kind, decode_image(path)), self.paths)
        )

    def take(self, rows: np.ndarray) -> "ImageFiles":
        """These rows alone."""
        return with_digests_of(self, ImageFiles(tuple(self.paths[row] for row in rows)), rows)

    def check_headers(self) -> None:
        """Open every file without decoding it.

        Raises FeatalignError, naming the first file that is no image or too large.
        """
        for path in self.paths:
            check_image_header(path)


@dataclass(frozen=True, eq=False)
class EncodedImages:
    """Image files in a table, which are decoded when they are read.

    `values` hold their bytes, or a path relative to `folder`. `rows` says which of the values these
    are, and `place` is the name in errors.
    """

    values: Sequence[Mapping[str, Any]] = field(repr=False)
    rows: np.ndarray
    place: str
    folder: Path = Path()
    kind: Kind = "image"

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, rows: np.ndarray) -> np.ndarray | list:
        """The rows as one uint8 array, or as a list where their sizes differ."""
        return _stacked(self._decoded(self.rows[rows]))

    def row_digests(self) -> np.ndarray:
        """SHA-256 of each image's decoded pixels and shape, uint8 (N, 32)."""
        return self._digests

    @cached_property
    def _digests(self) -> np.ndarray:
        parts = np.array_split(self.rows, max(1, -(-len(self.rows) // DIGESTED_AT_ONCE)))
        return as_rows(
            _array_digest(self.kind, image) for part in parts for image in self._decoded(part)
        )

    def _decoded(self, rows: np.ndarray) -> list[np.ndarray]:
        encoded = [
            (int(row), self.values[int(row)]) for row in rows
        ]  # read here: not every table may be read by several threads
        return _in_threads(self._decode, encoded)

    def _decode(self, numbered: tuple[int, Mapping[str, Any] | None]) -> np.ndarray:
        row, value = numbered
        content, path = (value or {}).get("bytes"), (value or {}).get("path")
        if content is not None:
            return decode_image(f"{self.place}, row {row}", content)
        if path is None:
            raise FeatalignError(
                f"{self.place}, row {row}: expected an image, got none; drop the row"
            )
        return decode_image(self.folder / path)

    def take(self, rows: np.ndarray) -> "EncodedImages":
        """These rows alone."""
        return with_digests_of(
            self, EncodedImages(self.values, self.rows[rows], self.place, self.folder), rows
        )


@dataclass(frozen=True, eq=False)
class TextInputs:
    """Texts in memory."""

    texts: tuple[str, ...] = field(repr=False)
    kind: Kind = "text"

    def __len__(self) -> int:
        return len(self.texts)

    def read(self, rows: np.ndarray) -> list[str]:
        """The rows as a list of strings."""
        return [self.texts[row] for row in rows]

    def row_digests(self) -> np.ndarray:
        """SHA-256 of each text, uint8 (N, 32)."""
        return self._digests

    @cached_property
    def _digests(self) -> np.ndarray:
        # JSON may hold half a surrogate pair, which plain UTF-8 refuses
        return as_rows(
            hashlib.sha256(b"text|" + text.encode("utf-8", "surrogatepass")).digest()
            for text in self.texts
        )

    def take(self, rows: np.ndarray) -> "TextInputs":
        """These rows alone."""
        return with_digests_of(self, TextInputs(tuple(self.texts[row] for row in rows)), rows)


def _stacked(images: list[np.ndarray]) -> np.ndarray | list[np.ndarray]:
    return np.stack(images) if len({image.shape for image in images}) == 1 else images


def _array_digest(kind: Kind, value: np.ndarray) -> bytes:
    if kind == "image" and value.ndim == 3 and value.shape[-1] == 1:
        value = value[..., 0]  # (H, W, 1) and (H, W) are one image
    little_endian = value.astype(value.dtype.newbyteorder("<"), copy=False)
    return hashlib.sha256(
        f"{kind}|{value.dtype.name}|{value.shape}|".encode() + little_endian.tobytes()
    ).digest()


def as_rows(digests: Iterable[bytes]) -> np.ndarray:
    """Digests as uint8 (N, 32)."""
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)


_AnyInputs = TypeVar("_AnyInputs", bound=Inputs)


def with_digests_of(whole: _AnyInputs, part: _AnyInputs, rows: np.ndarray) -> _AnyInputs:
    """The part with the digests that the whole already knows, so that nothing is decoded twice."""
    if "_digests" in whole.__dict__:
        part.__dict__["_digests"] = whole.row_digests()[rows]
    return part


def _in_threads(function: Callable[[_Given], _Result], given: Sequence[_Given]) -> list[_Result]:
    """The results in order, from threads, because Pillow decodes outside the interpreter lock."""
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return list(pool.map(function, given))
