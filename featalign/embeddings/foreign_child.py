"""The process in which a file from outside is opened.

It has limits, cannot open any other file, and ends afterwards. It gets the file as descriptor 0 and
answers on descriptor 1: four bytes with the length of a JSON header, the header, then the raw bytes
of each array that the header lists. Only `foreign.py` starts it.
"""

import codecs
import importlib
import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

MEGABYTE = 1 << 20
MEMORY = 448 * MEGABYTE
INSPECTION_SECONDS = 4
BLOCK_BYTES = 4 * MEGABYTE
SMALL = 64 * MEGABYTE  # below this any compression ratio is harmless
LARGEST_RATIO = 200


class Refused(Exception):
    """The file is refused; the message completes the sentence "it is refused: …"."""


@dataclass(frozen=True)
class Found:
    """An array of the file that passed the inspection, with its rows in blocks."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype
    blocks: Iterator[np.ndarray]


def main() -> None:
    """Inspect the file, and then hand over what was asked for."""
    request = json.loads(sys.argv[1])
    _limit("RLIMIT_AS", MEMORY)
    _limit("RLIMIT_CORE", 0)
    _limit("RLIMIT_FSIZE", 0)
    _limit("RLIMIT_CPU", INSPECTION_SECONDS, soft_only=True)
    try:
        found = _inspect(request)
        header = {
            "arrays": [
                {
                    "name": array.name,
                    "shape": array.shape,
                    "dtype": array.dtype.newbyteorder("<").str,
                }
                for array in found
            ]
        }
    except Refused as refusal:
        _answer({"refused": str(refusal)})
        return
    except MemoryError:
        _answer({"refused": "reading it takes more memory than a sound file of this kind needs"})
        return
    except Exception as error:  # a hostile file can make a library raise anything
        _answer({"refused": f"it cannot be parsed ({type(error).__name__}: {str(error)[:200]})"})
        return
    total = sum(array.dtype.itemsize * int(np.prod(array.shape)) for array in found)
    _limit("RLIMIT_CPU", INSPECTION_SECONDS + 60 + total // (2 * MEGABYTE), soft_only=True)
    _answer(header)
    try:
        for array in found:
            for block in array.blocks:
                _write(np.ascontiguousarray(block, dtype=array.dtype.newbyteorder("<")).tobytes())
    except (
        Exception
    ):  # the reader notices that bytes are missing; a traceback would go looking for source files
        os._exit(1)


def _inspect(request: dict[str, Any]) -> list[Found]:
    file = open(0, "rb", buffering=0, closefd=False)
    size = os.fstat(0).st_size
    if request["kind"] == "hdf5":
        from featalign.embeddings.foreign_hdf5 import inspect
    else:
        from featalign.embeddings.foreign_numpy import inspect
    importlib.import_module(
        "ast"
    )  # numpy, zipfile and h5py would load these when they first need them
    for codec in ("ascii", "latin-1", "cp437"):
        codecs.lookup(codec)
    _limit(
        "RLIMIT_NOFILE", 3
    )  # from here on no other file can be opened, whatever a library is led to
    return inspect(file, size, request)


def _limit(name: str, value: int, *, soft_only: bool = False) -> None:
    try:
        import resource
    except (
        ImportError
    ):  # Windows has no such limits; the separate process and its time limit remain
        return
    which = getattr(resource, name, None)
    if which is not None:
        hard = resource.getrlimit(which)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (value, hard if soft_only else value))


def _answer(header: dict[str, Any]) -> None:
    content = json.dumps(header).encode()
    _write(len(content).to_bytes(4, "little") + content)


def _write(content: bytes) -> None:
    rest = memoryview(content)
    while len(rest):
        rest = rest[os.write(1, rest) :]


def check_size(
    name: str, shape: tuple[int, ...], dtype: np.dtype, stored: int, file_size: int
) -> None:
    """Refuse an array that claims more than the file can hold, or unpacks to far more than that."""
    declared = dtype.itemsize
    for length in shape:
        declared *= int(length)
    if stored > file_size:
        raise Refused(f"{name!r} claims {stored} bytes of a file that has {file_size}")
    if declared > max(SMALL, LARGEST_RATIO * stored):
        raise Refused(
            f"{name!r} of shape {shape} would take {declared} bytes and holds {stored}: it unpacks "
            f"to more than {LARGEST_RATIO} times its size"
        )


def check_type(name: str, dtype: np.dtype, *, strings: bool) -> None:
    """Refuse everything but numbers, and strings of a fixed length where they make sense."""
    numbers = dtype.kind in "biuf" and dtype.itemsize <= 8
    if (
        dtype.hasobject
        or dtype.fields
        or not (numbers or (strings and dtype.kind in "SU" and 0 < dtype.itemsize <= 4096))
    ):
        raise Refused(
            f"{name!r} holds {dtype}, not "
            f"numbers{' or strings of a fixed length' if strings else ''}"
        )


def blocks_of_rows(shape: tuple[int, ...], dtype: np.dtype) -> Iterator[slice]:
    """Ranges of rows of at most 4 MiB."""
    row = max(dtype.itemsize * int(np.prod(shape[1:], dtype=object)), 1)
    step = max(BLOCK_BYTES // row, 1)
    return (slice(start, min(start + step, shape[0])) for start in range(0, shape[0], step))


def named(request: dict[str, Any], names: set[str]) -> dict[str, str]:
    """The name of the array that plays each part; optional parts that are missing are left out."""
    wanted = request["names"]
    if wanted["features"] not in names:
        listed = ", ".join(sorted(repr(name[:60]) for name in names)[:10]) or "none"
        raise Refused(f"it has no array {wanted['features']!r}; it has {listed}")
    return {part: name for part, name in wanted.items() if name in names}


PARTS = (
    "provenance",
    "class_names",
    "labels",
    "groups",
    "row_id",
    "features",
)  # the order in which they are handed over
STRINGS = ("provenance", "class_names", "labels", "groups")  # parts that may be words


def check_parts(parts: dict[str, tuple[tuple[int, ...], np.dtype]]) -> None:
    """Refuse arrays whose shapes or types do not fit their part."""
    shape, dtype = parts["features"]
    check_type("features", dtype, strings=False)
    if len(shape) != 2 or 0 in shape:
        raise Refused(f"its features have shape {shape}, not (N, D)")
    for part in ("labels", "groups", "row_id"):
        if part in parts and (parts[part][0][:1] != shape[:1] or len(parts[part][0]) > 2):
            raise Refused(f"its {part} have shape {parts[part][0]}, and its features {shape}")
    for part, (part_shape, part_type) in parts.items():
        check_type(part, part_type, strings=part in STRINGS)
        if (
            part != "features"
            and part_type.itemsize * int(np.prod(part_shape, dtype=object)) > SMALL
        ):
            raise Refused(f"its {part} of shape {part_shape} take more than {SMALL} bytes")
