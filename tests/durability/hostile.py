"""More hostile files, beside those of `tests/embeddings/test_foreign.py`.

Each maker writes one and returns what the refusal says.
"""

import gzip
import pickle
import struct
import zipfile
from pathlib import Path

import h5py
import numpy as np

from tests.embeddings.test_foreign import CASES, VALUES, lying_header, npy, npz_of, with_features

UNREADABLE = "cannot be parsed|crashed"


def link_in_a_group(path: Path) -> str:
    with with_features(path) as file:
        file["deeper/still/other"] = h5py.ExternalLink("secret.h5", "/x")
    return "a link to another place"


def dangling_soft_link(path: Path) -> str:
    with with_features(path) as file:
        file["labels"] = h5py.SoftLink("/nowhere/at/all")
    return "a link to another place"


def external_storage_above(path: Path) -> str:
    with with_features(path) as file:
        file.create_dataset("labels", (4,), "i8", external=[("../secret.bin", 0, 32)])
    return "another file"


def external_storage_of_a_device(path: Path) -> str:
    with h5py.File(path, "w") as file:
        file.create_dataset(
            "features", (4, 3), "f8", external=[("/dev/zero", 0, h5py.h5f.UNLIMITED)]
        )
    return "another file"


def virtual_dataset_of_itself(path: Path) -> str:
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout((4, 3), "f8")
        layout[:] = h5py.VirtualSource(".", "features", (4, 3))
        file.create_virtual_dataset("features", layout)
    return "put together from other files"


def region_references(path: Path) -> str:
    with with_features(path) as file:
        file.create_dataset(
            "regions", data=[file["features"].regionref[0]], dtype=h5py.regionref_dtype
        )
    return "objects"


def complex_numbers(path: Path) -> str:
    with h5py.File(path, "w") as file:
        file["features"] = VALUES * 1j
    return "compound|not numbers"


def long_doubles(path: Path) -> str:
    with h5py.File(path, "w") as file:
        file["features"] = VALUES.astype(np.longdouble)
    return "not numbers"


def no_rows(path: Path) -> str:
    with h5py.File(path, "w") as file:
        file["features"] = np.zeros((0, 10))
    return r"not \(N, D\)"


def a_group_for_features(path: Path) -> str:
    with h5py.File(path, "w") as file:
        file.create_group("features")
    return "it has no array"


def empty_hdf5(path: Path) -> str:
    path.write_bytes(b"")
    return UNREADABLE


def short_hdf5(path: Path) -> str:
    with with_features(path):
        pass
    path.write_bytes(path.read_bytes()[:-200])
    return UNREADABLE


def gzipped_hdf5(path: Path) -> str:
    path.write_bytes(gzip.compress(bytes(100 << 20)))
    return UNREADABLE


def spoiled_chunk(path: Path) -> str:
    with h5py.File(path, "w") as file:
        features = file.create_dataset(
            "features",
            data=np.random.default_rng(0).standard_normal((100, 100)),
            chunks=(100, 100),
            compression="gzip",
        )
        place = features.id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place : place + 200] = b"\xff" * 200
    path.write_bytes(content)
    return UNREADABLE


def negative_shape(path: Path) -> str:
    path.write_bytes(lying_header("(-4, -3)") + VALUES.tobytes())
    return "promises|cannot be parsed"


def overflowing_shape(path: Path) -> str:
    path.write_bytes(lying_header("(4, 4611686018427387907)") + VALUES.tobytes())
    return "promises"


def program_in_the_header(path: Path) -> str:
    path.write_bytes(lying_header("__import__('os').system('touch evil')") + VALUES.tobytes())
    return UNREADABLE


def nested_header(path: Path) -> str:
    header = ("(" * 3900 + "\n").encode()
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    return f"{UNREADABLE}|memory"


def later_version(path: Path) -> str:
    path.write_bytes(
        b"\x93NUMPY\x03\x00"
        + struct.pack("<I", 118)
        + lying_header("(4, 3)")[10:]
        + VALUES.tobytes()
    )
    return "version"


def pickled_labels(path: Path) -> str:
    np.savez(path, features=VALUES, labels=np.array([print] * 4, object), allow_pickle=True)
    return "pickled|Object arrays"


def encrypted_npz(path: Path) -> str:
    npz_of(path, [("features.npy", npy(VALUES))])
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    return "encrypted"


def lzma_npz(path: Path) -> str:
    npz_of(path, [("features.npy", npy(np.zeros((5000, 1000))))], packing=zipfile.ZIP_LZMA)
    return "packed in a way that is not read"


def lying_zip_size(path: Path) -> str:
    npz_of(path, [("features.npy", npy(VALUES))])
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02")
    content[place + 20 : place + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)
    path.write_bytes(content)
    return "more bytes than the file has"


def plain_pickle(path: Path) -> str:
    path.write_bytes(pickle.dumps({"features": print}))
    return "expected an HDF5, .npz or .npy file"


EXTRA_HDF5 = [
    link_in_a_group,
    dangling_soft_link,
    external_storage_above,
    external_storage_of_a_device,
    virtual_dataset_of_itself,
    region_references,
    complex_numbers,
    long_doubles,
    no_rows,
    a_group_for_features,
    empty_hdf5,
    short_hdf5,
    gzipped_hdf5,
    spoiled_chunk,
]
EXTRA_NPY = [
    negative_shape,
    overflowing_shape,
    program_in_the_header,
    nested_header,
    later_version,
    plain_pickle,
]
EXTRA_NPZ = [pickled_labels, encrypted_npz, lzma_npz, lying_zip_size]
ALL = [
    *CASES,
    *((make, ".h5") for make in EXTRA_HDF5),
    *((make, ".npy") for make in EXTRA_NPY),
    *((make, ".npz") for make in EXTRA_NPZ),
]
