"""One large HDF5 file written through a Python file that never tells HDF5 of a failure.

HDF5 2.0 crashes the process at exit after a failed write. Therefore the first error is remembered,
and writing goes on in memory for the few bytes that HDF5 still has to flush. The error is raised
here, between two arrays, where Python can deal with it.
"""

import io
import os
from types import TracebackType

import h5py
import numpy as np

from featalign.embeddings.durable import write_all

CHUNK_BYTES = 1 << 20


class HDF5Writer:
    """A context that writes arrays into a new HDF5 file behind a descriptor.

    It raises the first OSError of the disk, and can safely be left after it.
    """

    def __init__(self, descriptor: int) -> None:
        self._disk = _Disk(descriptor)
        self._file = h5py.File(self._disk, "w", libver=("earliest", "v110"))

    def __enter__(self) -> "HDF5Writer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        if kind is None:
            self._disk.check()

    def declare(
        self, name: str, shape: tuple[int, ...], dtype: np.dtype, *, compression: str | None
    ) -> None:
        """Add an array whose rows are written later."""
        chunks = None
        if compression is not None:
            rows = max(CHUNK_BYTES // max(dtype.itemsize * int(np.prod(shape[1:])), 1), 1)
            chunks = (min(rows, shape[0]), *shape[1:])
        self._file.create_dataset(
            name,
            shape,
            dtype,
            chunks=chunks,
            compression=compression,
            shuffle=compression is not None,
            track_times=False,
        )
        self._disk.check()

    def add(self, name: str, values: np.ndarray | np.generic) -> None:
        """Add a whole array."""
        self._file.create_dataset(name, data=values, track_times=False)
        self._disk.check()

    def write(self, name: str, start: int, values: np.ndarray) -> None:
        """Write rows of a declared array, from `start` on."""
        dataset = self._file[name]
        assert isinstance(dataset, h5py.Dataset)
        dataset[start : start + len(values)] = values
        self._disk.check()

    def describe(self, name: str, value: np.generic) -> None:
        """Add an attribute of the file."""
        self._file.attrs[name] = value
        self._disk.check()


class _Disk(io.RawIOBase):
    """A file whose writes always succeed as far as HDF5 can see.

    What the disk refused is kept in memory, and `check` raises the error.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor, self._position, self._end = descriptor, 0, 0
        self._error: OSError | None = None
        self._refused: list[tuple[int, bytes]] = []

    def check(self) -> None:
        """Raise the first error of the disk, if there was one."""
        if self._error is not None:
            raise self._error

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = (
            offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        )
        return self._position

    def write(self, content) -> int:
        piece = bytes(content)
        start = self._position
        if self._error is None:
            try:
                os.lseek(self._descriptor, start, os.SEEK_SET)
                write_all(self._descriptor, piece)
            except OSError as error:
                self._error = error
        if self._error is not None:
            self._refused.append((start, piece))
        self._position = start + len(piece)
        self._end = max(self._end, self._position)
        return len(piece)

    def readinto(self, buffer) -> int:
        target = memoryview(buffer).cast("B")
        count = max(min(len(target), self._end - self._position), 0)
        content = bytearray(count)
        try:
            got = os.pread(self._descriptor, count, self._position)
            content[: len(got)] = got
        except OSError as error:
            self._error = self._error or error
        for start, piece in self._refused:
            first, last = (
                max(start, self._position),
                min(start + len(piece), self._position + count),
            )
            if first < last:
                content[first - self._position : last - self._position] = piece[
                    first - start : last - start
                ]
        target[:count] = content
        self._position += count
        return count

    def truncate(self, size: int | None = None) -> int:
        self._end = self._position if size is None else size
        if self._error is None:
            try:
                os.ftruncate(self._descriptor, self._end)
            except OSError as error:
                self._error = error
        return self._end
