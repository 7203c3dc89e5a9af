"""Inspection of an HDF5 file from outside.

It runs in the limited process only, and looks at everything before it reads a value.
"""

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np
from h5py import h5o  # pyright: ignore[reportAttributeAccessIssue] - its stubs lack it

from featalign.embeddings.foreign_child import (
    PARTS,
    Found,
    Refused,
    blocks_of_rows,
    check_parts,
    check_size,
    named,
)

MAX_DEPTH = 8
MAX_OBJECTS = 1000
MAX_ATTRIBUTES = 100
MAX_CHUNK = 32 << 20
FILTERS = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_LZF,
}
CLASSES = {h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.STRING, h5py.h5t.ENUM}


def inspect(file: Any, file_size: int, request: dict[str, Any]) -> list[Found]:
    """The arrays asked for, once every object of the file has passed; otherwise raises Refused."""
    datasets = _walk(h5py.File(file, "r"), file_size)
    parts = named(request, set(datasets))
    check_parts(
        {part: (_shape(datasets[name]), datasets[name].dtype) for part, name in parts.items()}
    )
    wanted = [(part, datasets[parts[part]]) for part in PARTS if part in parts]
    return [
        Found(part, _shape(dataset), dataset.dtype, _blocks(dataset)) for part, dataset in wanted
    ]


def _walk(file: Any, file_size: int) -> dict[str, Any]:
    datasets: dict[str, Any] = {}
    seen = {h5o.get_info(file.id).addr}
    stored, waiting = 0, [("", file["/"], 0)]
    while waiting:
        path, group, depth = waiting.pop()
        _check_object(path or "/", group)
        if depth > MAX_DEPTH:
            raise Refused(f"its groups are nested more than {MAX_DEPTH} deep")
        if len(seen) + group.id.get_num_objs() > MAX_OBJECTS:
            raise Refused(f"it holds more than {MAX_OBJECTS} objects")
        for name in group:
            full = f"{path}/{name}".removeprefix("/")
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise Refused(f"{full[:100]!r} is a link to another place ({type(link).__name__})")
            kind = h5o.get_info(group.id, name.encode("utf-8", errors="surrogateescape"))
            if kind.addr in seen:
                raise Refused(f"{full[:100]!r} is there under two names")
            seen.add(kind.addr)
            if kind.type == h5o.TYPE_GROUP:
                waiting.append((full, group[name], depth + 1))
            elif kind.type == h5o.TYPE_DATASET:
                datasets[full] = dataset = group[name]
                _check_object(full, dataset)
                stored += _check_dataset(full, dataset, file_size)
            else:
                raise Refused(f"{full[:100]!r} is neither a group nor an array")
    if stored > file_size:
        raise Refused(f"its arrays claim {stored} bytes of a file that has {file_size}")
    return datasets


def _check_object(name: str, item: Any) -> None:
    count = h5py.h5a.get_num_attrs(item.id)
    if count > MAX_ATTRIBUTES:
        raise Refused(f"{name[:100]!r} has {count} attributes, more than {MAX_ATTRIBUTES}")


def _check_dataset(name: str, dataset: Any, file_size: int) -> int:
    """The number of bytes that the dataset takes in the file, once it has passed."""
    creation, kind = dataset.id.get_create_plist(), dataset.id.get_type()
    if creation.get_external_count() > 0:
        raise Refused(f"{name[:100]!r} keeps its values in another file")
    if creation.get_layout() == h5py.h5d.VIRTUAL:
        raise Refused(f"{name[:100]!r} is put together from other files")
    if kind.get_class() not in CLASSES or (
        isinstance(kind, h5py.h5t.TypeStringID) and kind.is_variable_str()
    ):
        raise Refused(f"{name[:100]!r} holds objects, compound, opaque or variable-length values")
    filters = {creation.get_filter(index)[0] for index in range(creation.get_nfilters())}
    if filters - FILTERS:
        raise Refused(
            f"{name[:100]!r} is packed with filter {min(filters - FILTERS)}; gzip, lzf, shuffle "
            "and fletcher32 are read"
        )
    stored, shape = dataset.id.get_storage_size(), _shape(dataset)
    check_size(name[:100], shape, dataset.dtype, stored, file_size)
    if creation.get_layout() == h5py.h5d.CHUNKED:
        _check_chunks(name, dataset)
    elif stored != dataset.dtype.itemsize * int(np.prod(shape, dtype=object)):
        raise Refused(f"{name[:100]!r} of shape {shape} was declared and not written")
    return stored


def _check_chunks(name: str, dataset: Any) -> None:
    chunks = dataset.chunks or ()
    if dataset.dtype.itemsize * int(np.prod(chunks, dtype=object)) > MAX_CHUNK:
        raise Refused(f"{name[:100]!r} is cut into chunks of more than {MAX_CHUNK} bytes")
    expected = int(
        np.prod(
            [-(-length // chunk) for length, chunk in zip(dataset.shape, chunks, strict=True)],
            dtype=object,
        )
    )
    written = dataset.id.get_num_chunks()
    if written != expected:
        raise Refused(
            f"{name[:100]!r} has {written} of its {expected} chunks: it was declared and not "
            "wholly written"
        )


def _shape(dataset: Any) -> tuple[int, ...]:
    shape = dataset.shape
    if shape is None:
        raise Refused(f"{str(dataset.name)[:100]!r} is empty")
    return tuple(int(length) for length in shape)


def _blocks(dataset: Any) -> Iterator[np.ndarray]:
    if dataset.shape == ():
        yield np.asarray(dataset[()], dtype=dataset.dtype)
        return
    for rows in blocks_of_rows(_shape(dataset), dataset.dtype):
        yield dataset[rows]
