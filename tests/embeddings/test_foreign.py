"""Hostile files: each is refused with its reason.

It is refused quickly, within bounds of memory, and without a look at any other file.
"""

import io
import os
import struct
import time
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from featalign.embeddings.foreign import open_foreign
from featalign.errors import FeatalignError

VALUES = np.arange(12.0).reshape(4, 3)


def with_features(path: Path) -> h5py.File:
    file = h5py.File(path, "w")
    file["features"] = VALUES
    return file


def external_link(path: Path) -> str:
    (path.parent / "secret.h5").write_bytes(b"TOPSECRET")
    with h5py.File(path, "w") as file:
        file["features"] = h5py.ExternalLink("secret.h5", "/features")
    return "a link to another place"


def soft_link_loop(path: Path) -> str:
    with with_features(path) as file:
        file["a"], file["b"] = h5py.SoftLink("/b"), h5py.SoftLink("/a")
    return "a link to another place"


def hard_link_loop(path: Path) -> str:
    with with_features(path) as file:
        file.create_group("a")["up"] = file["/"]
    return "under two names"


def external_storage(path: Path) -> str:
    (path.parent / "secret.bin").write_bytes(b"TOPSECRET" * 20)
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "features", (4, 3), "f8", external=[(str(path.parent / "secret.bin"), 0, 96)]
        )
    return "another file"


def virtual_dataset(path: Path) -> str:
    layout = h5py.VirtualLayout((4, 3), "f8")
    layout[:] = h5py.VirtualSource(str(path.parent / "secret.h5"), "x", (4, 3))
    with h5py.File(path, "w") as file:
        file.create_virtual_dataset("features", layout)
    return "put together from other files"


def shape_bomb(path: Path) -> str:
    with h5py.File(path, "w") as file:
        file.create_dataset("features", (1 << 20, 1 << 20), "f4")
    return "would take"


def small_shape_bomb(path: Path) -> str:
    with h5py.File(path, "w") as file:
        file.create_dataset("features", (1000, 1000), "f4")
    return "declared and not written"


def sparse_chunks(path: Path) -> str:
    with h5py.File(path, "w") as file:
        file.create_dataset("features", (1000, 1000), "f4", chunks=(100, 100))[0, 0] = 1
    return "chunks"


def gzip_bomb(path: Path) -> str:
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "features", data=np.zeros((20_000, 1000)), chunks=(1000, 1000), compression="gzip"
        )
    return "unpacks to more than"


def chunk_bomb(path: Path) -> str:
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "features", data=np.zeros((5000, 1000)), chunks=(5000, 1000), compression="gzip"
        )
    return "chunks of more than"


def deep_nesting(path: Path) -> str:
    with with_features(path) as file:
        file.create_group("/".join("abcdefghij"))
    return "nested"


def many_objects(path: Path) -> str:
    with with_features(path) as file:
        for number in range(1001):
            file.create_group(str(number))
    return "more than 1000 objects"


def many_attributes(path: Path) -> str:
    with h5py.File(path, "w", libver="latest") as file:
        file["features"] = VALUES
        for number in range(5000):
            file["features"].attrs[str(number)] = number
    return "5000 attributes"


def variable_length(path: Path) -> str:
    with with_features(path) as file:
        file.create_dataset("words", data=["a", "b"], dtype=h5py.string_dtype())
    return "variable-length"


def compound(path: Path) -> str:
    with with_features(path) as file:
        file["table"] = np.zeros(3, [("a", "f4"), ("b", "i4")])
    return "compound"


def opaque(path: Path) -> str:
    with with_features(path) as file:
        file["blob"] = np.zeros(3, "V7")
    return "opaque"


def references(path: Path) -> str:
    with with_features(path) as file:
        file.create_dataset("pointers", data=[file["features"].ref], dtype=h5py.ref_dtype)
    return "objects"


def named_type(path: Path) -> str:
    with with_features(path) as file:
        file["type"] = np.dtype("f4")
    return "neither a group nor an array"


def strange_filter(path: Path) -> str:
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=np.ones((4, 3), "i4"), chunks=(4, 3), scaleoffset=0)
    return "packed with filter 6"


def three_dimensions(path: Path) -> str:
    with h5py.File(path, "w") as file:
        file["features"] = np.ones((2, 3, 4))
    return r"shape \(2, 3, 4\), not \(N, D\)"


def broken_hdf5(path: Path) -> str:
    with with_features(path):
        pass
    content = bytearray(path.read_bytes())
    content[60:500] = b"\xff" * 440
    path.write_bytes(content)
    return "cannot be parsed|crashed"


def pickled_npz(path: Path) -> str:
    np.savez(path, features=np.array([{"a": 1}, print], object), allow_pickle=True)
    return "pickled|not read|Object arrays"


def pickled_npy(path: Path) -> str:
    with open(path, "wb") as file:
        np.save(file, np.array([[print]], object), allow_pickle=True)
    return "pickled"


def npz_of(
    path: Path, members: list[tuple[str, bytes]], *, packing: int = zipfile.ZIP_STORED
) -> None:
    with zipfile.ZipFile(path, "w", packing) as archive:
        for name, content in members:
            archive.writestr(name, content)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def lying_header(shape: str) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()


def lying_npz(path: Path) -> str:
    npz_of(path, [("features.npy", lying_header("(1000000, 1000000)") + b"\0" * 96)])
    return "promises"


def lying_npy(path: Path) -> str:
    path.write_bytes(lying_header("(1000000, 1000000)") + b"\0" * 96)
    return "promises"


def short_npz(path: Path) -> str:
    npz_of(path, [("features.npy", lying_header("(2, 3)") + b"\0" * 96)])
    return "promises 48 bytes"


def npz_bomb(path: Path) -> str:
    npz_of(path, [("features.npy", npy(np.zeros((20_000, 1000))))], packing=zipfile.ZIP_DEFLATED)
    return "unpacks to more than"


def zip_slip(path: Path) -> str:
    npz_of(path, [("features.npy", npy(VALUES)), ("../../evil.npy", npy(VALUES))])
    return "not an array"


def zip_symlink(path: Path) -> str:
    entry = zipfile.ZipInfo("labels.npy")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("features.npy", npy(VALUES))
        archive.writestr(entry, "/etc/passwd")
    return "a link or a device"


def zip_twice(path: Path) -> str:
    with pytest.warns(UserWarning, match="Duplicate"):
        npz_of(path, [("features.npy", npy(VALUES)), ("features.npy", npy(VALUES))])
    return "twice"


def zip_many(path: Path) -> str:
    npz_of(path, [(f"a{number}.npy", npy(VALUES)) for number in range(101)])
    return "101 members"


def zip_overlap(path: Path) -> str:
    """Both entries of the directory point to the first member's bytes."""
    npz_of(path, [("features.npy", npy(VALUES)), ("labels_.npy", npy(VALUES))])
    content = bytearray(path.read_bytes())
    second = content.rindex(b"PK\x01\x02")
    content[second + 42 : second + 46] = struct.pack("<I", 0)
    path.write_bytes(content)
    return "cannot be parsed"


def bad_checksum(path: Path) -> str:
    npz_of(path, [("features.npy", npy(VALUES))])
    content = path.read_bytes().replace(struct.pack("<d", 11.0), struct.pack("<d", 12.0))
    path.write_bytes(content)
    return "Bad CRC|crashed"


HDF5 = [
    external_link,
    soft_link_loop,
    hard_link_loop,
    external_storage,
    virtual_dataset,
    shape_bomb,
    small_shape_bomb,
    sparse_chunks,
    gzip_bomb,
    chunk_bomb,
    deep_nesting,
    many_objects,
    many_attributes,
    variable_length,
    compound,
    opaque,
    references,
    named_type,
    strange_filter,
    three_dimensions,
    broken_hdf5,
]
NUMPY = [
    lying_npz,
    short_npz,
    npz_bomb,
    zip_slip,
    zip_symlink,
    zip_twice,
    zip_many,
    zip_overlap,
    bad_checksum,
    pickled_npz,
]
NPY = [lying_npy, pickled_npy]
CASES = (
    [(make, ".h5") for make in HDF5]
    + [(make, ".npz") for make in NUMPY]
    + [(make, ".npy") for make in NPY]
)


@pytest.mark.parametrize(("make", "suffix"), CASES, ids=[make.__name__ for make, _ in CASES])
def test_hostile_files_are_refused(tmp_path, make, suffix):
    path = tmp_path / f"hostile{suffix}"
    reason = make(path)
    start = time.monotonic()
    with (
        pytest.raises(FeatalignError, match=f"it is refused: .*({reason})"),
        open_foreign(path) as foreign,
    ):
        list(foreign.blocks)
    assert time.monotonic() - start < 5


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    for path in (tmp_path / "pipe.h5", tmp_path):
        with pytest.raises(FeatalignError, match="expected a file"), open_foreign(path):
            pass


def test_a_reader_that_stops_early_leaves_no_process(tmp_path):
    path = tmp_path / "large.npy"
    np.save(path, np.zeros((200_000, 50)))
    with open_foreign(path) as foreign:
        assert next(foreign.blocks).shape[1] == 50
