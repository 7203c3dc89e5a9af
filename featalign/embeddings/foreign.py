"""Files from outside, treated as hostile.

Another process parses them, and only plain numbers come back.
"""

import json
import os
import select
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np

from featalign.embeddings.foreign_child import PARTS
from featalign.errors import FeatalignError

PATIENCE_SECONDS = 30.0
LARGEST_HEADER = 1 << 20
SMALL = 64 << 20


@dataclass(frozen=True)
class Foreign:
    """The content of a file from outside that has passed the inspection.

    Small arrays are in memory; the features (N, D) are a stream of blocks. `labels`, `groups`,
    `row_id`, `class_names` and `provenance` are None where the file has none.
    """

    shape: tuple[int, int]
    dtype: np.dtype
    blocks: Iterator[np.ndarray]
    labels: np.ndarray | None
    groups: np.ndarray | None
    row_id: np.ndarray | None
    class_names: tuple[str, ...] | None
    provenance: dict[str, Any] | None


@contextmanager
def open_foreign(
    path: Path, *, features_name: str = "features", labels_name: str = "labels"
) -> Iterator[Foreign]:
    """The features in an .h5, .npz or .npy file that nobody vouches for.

    The file is opened here and read by a separate process with limits on memory, time and files,
    which parses nothing before it has inspected everything. Raises FeatalignError with the reason
    when the file is refused.
    """
    descriptor = _open_regular(path)
    try:
        names = {
            "features": features_name,
            "labels": labels_name,
            "groups": "groups",
            "row_id": "row_id",
            "class_names": "class_names",
            "provenance": "provenance",
        }
        request = {"kind": _kind(path, descriptor), "names": names}
        process = subprocess.Popen(
            _command(request),
            stdin=descriptor,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
        )
    finally:
        os.close(descriptor)
    try:
        yield _receive(path, process)
    finally:
        process.kill()
        if process.stdout is not None:
            process.stdout.close()
        process.wait()


def _receive(path: Path, process: subprocess.Popen) -> Foreign:
    assert process.stdout is not None
    stream = process.stdout
    length = int.from_bytes(_read(path, process, stream, 4), "little")
    if length > LARGEST_HEADER:
        raise _refusal(path, "reading it went wrong")
    try:
        header = json.loads(_read(path, process, stream, length))
        if "refused" in header:
            raise _refusal(path, str(header["refused"]))
        arrays = {
            str(record["name"]): (
                tuple(int(size) for size in record["shape"]),
                np.dtype(str(record["dtype"])),
            )
            for record in header["arrays"]
        }
        shape, dtype = arrays["features"]
        if (
            list(arrays)[-1] != "features"
            or set(arrays) - set(PARTS)
            or len(shape) != 2
            or 0 in shape
            or dtype.kind not in "biuf"
        ):
            raise _refusal(path, "reading it went wrong")
    except (KeyError, TypeError, AttributeError) as error:
        raise _refusal(path, "reading it went wrong") from error
    small = {
        name: _small(path, process, stream, *arrays[name]) for name in arrays if name != "features"
    }
    names, provenance = small.get("class_names"), small.get("provenance")
    return Foreign(
        shape=(shape[0], shape[1]),
        dtype=dtype,
        blocks=_blocks(path, process, stream, (shape[0], shape[1]), dtype),
        labels=_strings(path, small["labels"]) if "labels" in small else None,
        groups=_strings(path, small["groups"]) if "groups" in small else None,
        row_id=small.get("row_id"),
        class_names=None
        if names is None
        else tuple(str(name) for name in _strings(path, names).reshape(-1)),
        provenance=None if provenance is None else _json(path, provenance),
    )


def _small(
    path: Path,
    process: subprocess.Popen,
    stream: IO[bytes],
    shape: tuple[int, ...],
    dtype: np.dtype,
) -> np.ndarray:
    count = int(np.prod(shape, dtype=object))
    if not 0 <= count * dtype.itemsize <= SMALL or dtype.kind not in "biufSU":
        raise _refusal(path, "reading it went wrong")
    return np.frombuffer(
        _read(path, process, stream, count * dtype.itemsize), dtype, count
    ).reshape(shape)


def _blocks(
    path: Path,
    process: subprocess.Popen,
    stream: IO[bytes],
    shape: tuple[int, int],
    dtype: np.dtype,
) -> Iterator[np.ndarray]:
    step = max((4 << 20) // (shape[1] * dtype.itemsize), 1)
    for start in range(0, shape[0], step):
        rows = min(step, shape[0] - start)
        yield np.frombuffer(
            _read(path, process, stream, rows * shape[1] * dtype.itemsize), dtype
        ).reshape(rows, shape[1])


def _read(path: Path, process: subprocess.Popen, stream: IO[bytes], count: int) -> bytearray:
    """Exactly `count` bytes; raises FeatalignError when they do not come in time, or at all."""
    content, position, deadline = bytearray(count), 0, time.monotonic() + PATIENCE_SECONDS
    view = memoryview(content)
    while position < count:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([stream], [], [], left)[0]:
            raise _refusal(path, f"nothing came of reading it for {PATIENCE_SECONDS:.0f} seconds")
        got = os.readv(stream.fileno(), [view[position:]])
        if got == 0:
            code = process.wait()
            raise _refusal(
                path,
                "reading it crashed or went over the limits of memory and time (exit status "
                f"{code})",
            )
        position += got
    return content


def _kind(path: Path, descriptor: int) -> str:
    start = os.pread(descriptor, 8, 0)
    if start[:6] == b"\x93NUMPY":
        return "npy"
    if start[:4] == b"PK\x03\x04":
        return "npz"
    if start == b"\x89HDF\r\n\x1a\n" or path.suffix.lower() in (".h5", ".hdf5", ".hdf"):
        return "hdf5"
    raise FeatalignError(
        f"path: expected an HDF5, .npz or .npy file, {path} is none of them; export it to one of "
        "these"
    )


def _open_regular(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    except OSError as error:
        raise FeatalignError(
            f"path: {path} cannot be read: {os.strerror(error.errno or 0)}; check the name and its "
            "permissions"
        ) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FeatalignError(
            f"path: expected a file, {path} is something else; give the file with the features"
        )
    return descriptor


def _command(request: dict[str, Any]) -> list[str]:
    roots = [
        str(Path(module).resolve().parents[depth])
        for module, depth in ((__file__, 2), (str(h5py.__file__), 1), (str(np.__file__), 1))
    ]
    program = (
        f"import sys; sys.path += {roots!r}; from featalign.embeddings.foreign_child import main; "
        "main()"
    )
    return [sys.executable, "-I", "-c", program, json.dumps(request)]


def _environment() -> dict[str, str]:
    kept = {
        name: os.environ[name]
        for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH")
        if name in os.environ
    }
    return {
        **kept,
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "HDF5_PLUGIN_PRELOAD": "::",
    }  # no plugin is looked for or loaded


def _strings(path: Path, values: np.ndarray) -> np.ndarray:
    if values.dtype.kind != "S":
        return values
    try:
        return np.char.decode(values, "utf-8")
    except UnicodeDecodeError as error:
        raise _refusal(path, "its strings are not UTF-8") from error


def _json(path: Path, value: np.ndarray) -> dict[str, Any]:
    try:
        record = json.loads(str(_strings(path, value).reshape(-1)[0]))
    except (ValueError, IndexError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise _refusal(path, "its provenance is not the JSON that an export holds")
    return record


def _refusal(path: Path, reason: str) -> FeatalignError:
    return FeatalignError(
        f"{path}: it is refused: {reason}. Only plain arrays are read from a file of unknown origin"
    )
