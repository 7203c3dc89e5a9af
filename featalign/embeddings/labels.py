"""The labels of an embedding, kept once beside its shards.

Exports and later readers therefore need nothing but the cache.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featalign.embeddings.durable import commit
from featalign.embeddings.sealed import (
    Damaged,
    add_array,
    build_image,
    open_image,
    read_image,
    text,
)

FILE_NAME = "labels.h5"


@dataclass(frozen=True)
class StoredLabels:
    """Labels in the order of the embedding's rows, and the names of the classes.

    The labels are class indices (N,), or zeros and ones or float targets (N, K).
    """

    values: np.ndarray
    class_names: tuple[str, ...]


def write_labels(folder: Path, labels: StoredLabels) -> None:
    """Commit the labels of the embedding in `folder`; sound labels that are there stay."""
    commit(
        folder / FILE_NAME,
        build_labels(folder.name, labels),
        is_valid=lambda: labels_are_sound(folder, len(labels.values)),
    )


def build_labels(key: str, labels: StoredLabels) -> tuple[bytes, memoryview]:
    """The file of labels as header and body."""

    def fill(file) -> None:
        add_array(file, "labels", labels.values)
        if labels.class_names:
            add_array(file, "class_names", encode_names(labels.class_names))
        file.attrs["key"] = np.bytes_(key)

    return build_image(fill)


def read_labels(folder: Path, num_rows: int) -> StoredLabels:
    """The labels in `folder`; raises Damaged or FileNotFoundError without sound ones."""
    image = read_image(folder / FILE_NAME)
    try:
        with open_image(image) as file:
            if text(file.attrs["key"]) != folder.name:
                raise Damaged("they belong to another key")
            values = file["labels"][()]
            if len(values) != num_rows:
                raise Damaged(f"there are {len(values)} of them for {num_rows} rows")
            names = file["class_names"][()] if "class_names" in file else ()
            return StoredLabels(values, tuple(text(name) for name in names))
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise Damaged(f"the file lacks what it should hold ({error})") from error


def encode_names(names: tuple[str, ...]) -> np.ndarray:
    """Names as fixed-length UTF-8, which every reader of HDF5 knows."""
    return np.array(
        [name.encode("utf-8", errors="backslashreplace") for name in names], dtype=np.bytes_
    )


def labels_are_sound(folder: Path, num_rows: int) -> bool:
    """Whether the labels in `folder` are there and undamaged."""
    try:
        read_labels(folder, num_rows)
    except (Damaged, FileNotFoundError):
        return False
    return True
