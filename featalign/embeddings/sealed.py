"""HDF5 images that carry their own SHA-256, built in memory, and read only if the digest agrees.

An image begins with a user block of 512 bytes, which HDF5 and its tools skip. It holds the line
`FEATALIGN-SHARD/1 sha256=<hex> size=<bytes of the whole file>` and zeros. The digest covers every
byte after the block. The block itself is compared byte by byte with the one that digest and size
would give, so that every bit of the file is checked.
"""

import errno
import hashlib
import io
import itertools
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from featalign.embeddings.durable import NO_FOLLOW

BLOCK = 512
DIGEST = slice(
    len("FEATALIGN-SHARD/1 sha256="), len("FEATALIGN-SHARD/1 sha256=") + 64
)  # its place in the block
PIECE = 1 << 20  # read and digest a piece while it is in the processor's cache
ALIGNMENT = 64
_numbers = itertools.count()


class Damaged(Exception):
    """A file of the cache is not what was written there; the message says what is wrong with it."""


def build_image(fill: Callable[[h5py.File], None]) -> tuple[bytes, memoryview]:
    """The bytes of an HDF5 file that `fill` writes, as header and body.

    The same content gives the same bytes.
    """
    with h5py.File(
        # two threads may not have files of one name open; it is not part of the bytes
        f"featalign image {next(_numbers)}",
        "w",
        driver="core",
        backing_store=False,
        block_size=PIECE,
        libver=("earliest", "v110"),
        alignment_threshold=4096,
        alignment_interval=ALIGNMENT,
    ) as file:
        fill(file)
        file.flush()
        image = file.id.get_file_image()
    return _header(hashlib.sha256(image).hexdigest(), BLOCK + len(image)), memoryview(image)


def add_array(file: h5py.File, name: str, values: np.ndarray) -> h5py.Dataset:
    """Add a contiguous dataset without a time in it, so that equal content gives equal bytes."""
    return file.create_dataset(name, data=values, track_times=False)


def read_image(path: Path) -> np.ndarray:
    """The bytes of a sealed file, once its digest agrees.

    Raises Damaged, or FileNotFoundError when there is no file.
    """
    try:
        descriptor = os.open(
            path, os.O_RDONLY | NO_FOLLOW | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0)
        )  # no waiting for the other end of a pipe
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Damaged("it is a symbolic link") from error
        raise
    try:
        return _read_verified(descriptor)
    except OSError as error:
        raise Damaged(f"the disk cannot read it ({error.strerror})") from error
    finally:
        os.close(descriptor)


def _read_verified(descriptor: int) -> np.ndarray:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise Damaged("it is not a regular file")
    if status.st_size <= BLOCK:
        raise Damaged(f"it has only {status.st_size} bytes")
    header = _read_header(descriptor)
    promised = header[DIGEST].decode("latin-1")
    if header != _header(
        promised, status.st_size
    ):  # before memory is taken for a size that nobody wrote
        raise Damaged("its content does not agree with its checksum")
    image = np.empty(status.st_size, np.uint8)
    view, position, digest = image.data, BLOCK, hashlib.sha256()
    view[:BLOCK] = header
    while position < len(image):
        count = os.readv(descriptor, [view[position : position + PIECE]])
        if count == 0:
            raise Damaged("it became shorter while it was read")
        digest.update(view[position : position + count])
        position += count
    if digest.hexdigest() != promised:
        raise Damaged("its content does not agree with its checksum")
    image.flags.writeable = False
    return image


def _read_header(descriptor: int) -> bytes:
    header = b""
    while len(header) < BLOCK:
        piece = os.read(descriptor, BLOCK - len(header))
        if not piece:
            raise Damaged("it became shorter while it was read")
        header += piece
    return header


def open_image(image: np.ndarray) -> Any:
    """The verified bytes as an `h5py.File`; close it after use.

    Reading from it never touches the disk.
    """
    return h5py.File(_Bytes(image), "r")


def array_view(image: np.ndarray, dataset: Any) -> np.ndarray:
    """A contiguous dataset as a read-only view into the image, without a copy."""
    offset = dataset.id.get_offset()
    if offset is None or dataset.size == 0:
        return dataset[()]
    return np.frombuffer(image, dataset.dtype, dataset.size, offset).reshape(dataset.shape)


def text(value: object) -> str:
    """An attribute or entry kept as fixed-length bytes."""
    return bytes(value).decode("utf-8") if isinstance(value, bytes) else str(value)


def _header(digest: str, size: int) -> bytes:
    return f"FEATALIGN-SHARD/1 sha256={digest} size={size}\n".encode().ljust(BLOCK, b"\0")


class _Bytes(io.RawIOBase):
    """A file for h5py over bytes in memory, which `io.BytesIO` would copy."""

    def __init__(self, image: np.ndarray) -> None:
        self._view, self._position = image.data, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = (
            offset
            + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: len(self._view)}[whence]
        )
        return self._position

    def readinto(self, buffer) -> int:
        target = memoryview(buffer).cast("B")
        piece = self._view[self._position : self._position + len(target)]
        target[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)
