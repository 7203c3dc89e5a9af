"""Inspection of .npy and .npz files from outside, without pickle.

It runs in the limited process only.
"""

import stat
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np

from featalign.embeddings.foreign_child import (
    PARTS,
    Found,
    Refused,
    blocks_of_rows,
    check_parts,
    check_size,
    named,
)

MAX_MEMBERS = 100
MAX_HEADER = 4096
PACKINGS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


def inspect(file: Any, file_size: int, request: dict[str, Any]) -> list[Found]:
    """The arrays asked for, once every member of the file has passed; otherwise raises Refused."""
    if request["kind"] == "npy":
        shape, dtype, start = _header("the array", file, file_size)
        if dtype.itemsize * int(np.prod(shape, dtype=object)) != file_size - start:
            raise Refused(
                f"its header promises shape {shape} of {dtype}, and {file_size - start} bytes "
                "follow"
            )
        check_parts({"features": (shape, dtype)})
        return [Found("features", shape, dtype, _rows(file, shape, dtype))]
    archive = zipfile.ZipFile(file)
    members = _members(archive, file_size)
    headers = {}
    for name, member in members.items():
        with archive.open(member) as stream:
            shape, dtype, start = _header(name, stream, member.file_size)
        declared = dtype.itemsize * int(np.prod(shape, dtype=object))
        if declared + start != member.file_size:
            raise Refused(
                f"{name!r} promises {declared} bytes in its header and holds "
                f"{member.file_size - start}"
            )
        check_size(name, shape, dtype, member.compress_size, file_size)
        headers[name] = shape, dtype
    parts = named(request, set(headers))
    check_parts({part: headers[name] for part, name in parts.items()})
    found = []
    for part in PARTS:
        if part in parts:
            shape, dtype = headers[parts[part]]
            found.append(
                Found(part, shape, dtype, _member_rows(archive, members[parts[part]], shape, dtype))
            )
    return found


def _members(archive: zipfile.ZipFile, file_size: int) -> dict[str, zipfile.ZipInfo]:
    entries = archive.infolist()
    if len(entries) > MAX_MEMBERS:
        raise Refused(f"the archive has {len(entries)} members, more than {MAX_MEMBERS}")
    if sum(entry.compress_size for entry in entries) > file_size:
        raise Refused("the members of the archive claim more bytes than the file has")
    members: dict[str, zipfile.ZipInfo] = {}
    for entry in entries:
        name = entry.filename.removesuffix(".npy")
        if name == entry.filename or "/" in name or "\\" in name or name.startswith("."):
            raise Refused(f"the archive holds {entry.filename[:100]!r}, which is not an array")
        if stat.S_IFMT(entry.external_attr >> 16) not in (0, stat.S_IFREG):
            raise Refused(
                f"the archive holds {entry.filename[:100]!r}, which is a link or a device"
            )
        if entry.compress_type not in PACKINGS or entry.flag_bits & 1:
            raise Refused(
                f"{entry.filename[:100]!r} is encrypted or packed in a way that is not read"
            )
        if name in members:
            raise Refused(f"the archive holds {entry.filename[:100]!r} twice")
        members[name] = entry
    return members


def _header(name: str, stream: Any, size: int) -> tuple[tuple[int, ...], np.dtype, int]:
    """The shape and the type that a header states, and where the header ends."""
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise Refused(f"{name[:100]!r} has a header of version {version}")
    shape, fortran, dtype = readers[version](stream, max_header_size=MAX_HEADER)
    if dtype.hasobject:
        raise Refused(f"{name[:100]!r} holds pickled objects")
    if fortran and len(shape) > 1:
        raise Refused(
            f"{name[:100]!r} is stored column by column; save it with np.ascontiguousarray"
        )
    if (
        any(length < 0 for length in shape)
        or dtype.itemsize * int(np.prod(shape, dtype=object)) > size
    ):
        raise Refused(
            f"{name[:100]!r} promises shape {shape} of {dtype} in its header, more than its {size} "
            "bytes hold"
        )
    return tuple(int(length) for length in shape), dtype, stream.tell()


def _member_rows(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, shape: tuple[int, ...], dtype: np.dtype
) -> Iterator[np.ndarray]:
    with archive.open(member) as stream:
        _header(member.filename, stream, member.file_size)
        yield from _rows(stream, shape, dtype)


def _rows(stream: Any, shape: tuple[int, ...], dtype: np.dtype) -> Iterator[np.ndarray]:
    for rows in blocks_of_rows(shape, dtype) if shape else (slice(0, 1),):
        count = (rows.stop - rows.start) * int(np.prod(shape[1:], dtype=object))
        content = bytearray()
        while len(content) < count * dtype.itemsize:
            piece = stream.read(count * dtype.itemsize - len(content))
            if not piece:
                raise Refused("it ends in the middle of an array")
            content += piece
        yield np.frombuffer(content, dtype, count)
