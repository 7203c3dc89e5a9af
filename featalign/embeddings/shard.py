"""A shard: an immutable HDF5 file with a fixed range of an embedding's rows."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featalign.embeddings.durable import commit, quarantine
from featalign.embeddings.manifest import Manifest
from featalign.embeddings.sealed import (
    Damaged,
    add_array,
    array_view,
    build_image,
    open_image,
    read_image,
    text,
)
from featalign.embeddings.stored_type import from_bits, numpy_type, to_bits


@dataclass(frozen=True)
class Shard:
    """Features (rows, D) in the embedding's type, with the target's row ids (rows,).

    Two counts say how many values are not finite, and how many overflowed.
    """

    features: np.ndarray
    row_id: np.ndarray
    nonfinite_count: int
    overflow_count: int


def build_shard(manifest: Manifest, index: int, shard: Shard) -> tuple[bytes, memoryview]:
    """The file as header and body; the same shard always gives the same bytes."""
    rows = manifest.shard_rows(index)

    def fill(file) -> None:
        features = add_array(file, "features", to_bits(shard.features))
        features.attrs["dtype"] = np.bytes_(manifest.identity.dtype)
        add_array(file, "row_id", shard.row_id.astype("<i8"))
        file.attrs["key"] = np.bytes_(manifest.key)
        file.attrs["first_row"] = np.int64(rows.start)
        file.attrs["stop_row"] = np.int64(rows.stop)
        file.attrs["nonfinite_count"] = np.int64(shard.nonfinite_count)
        file.attrs["overflow_count"] = np.int64(shard.overflow_count)

    return build_image(fill)


def read_shard(folder: Path, manifest: Manifest, index: int) -> Shard:
    """A shard whose checksum, key, range, shape and type have been verified.

    Raises Damaged, or FileNotFoundError when it is missing.
    """
    image = read_image(folder / manifest.shard_name(index))
    rows = manifest.shard_rows(index)
    try:
        with open_image(image) as file:
            dataset, attributes = file["features"], file.attrs
            if text(attributes["key"]) != manifest.key:
                raise Damaged("it belongs to another key")
            if (int(attributes["first_row"]), int(attributes["stop_row"])) != (
                rows.start,
                rows.stop,
            ):
                raise Damaged(
                    f"it holds the rows {attributes['first_row']} to {attributes['stop_row']} "
                    f"instead of {rows.start} to {rows.stop}"
                )
            dtype = text(dataset.attrs["dtype"])
            expected = (len(rows), manifest.num_features)
            if dtype != manifest.identity.dtype or dataset.shape != expected:
                raise Damaged(
                    f"it holds {dtype} features of shape {dataset.shape} instead of "
                    f"{manifest.identity.dtype} of shape {expected}"
                )
            features = from_bits(array_view(image, dataset), dtype)
            if features.dtype != numpy_type(dtype):
                raise Damaged(f"its features are {features.dtype} instead of {dtype}")
            row_id = array_view(image, file["row_id"])
            if row_id.shape != (len(rows),):
                raise Damaged(f"it holds {row_id.size} row ids for {len(rows)} rows")
            counts = int(attributes["nonfinite_count"]), int(attributes["overflow_count"])
            return Shard(features, row_id, *counts)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise Damaged(f"it lacks what a shard holds ({error})") from error


def commit_shard(folder: Path, manifest: Manifest, index: int, shard: Shard) -> Shard:
    """Put a shard on disk for good and return the one that is there.

    It is another writer's where theirs came first.
    """
    winner = shard

    def is_valid() -> bool:
        nonlocal winner
        theirs = read_sound(folder, manifest, index)
        winner = theirs or shard
        return theirs is not None

    ours = commit(
        folder / manifest.shard_name(index), build_shard(manifest, index, shard), is_valid=is_valid
    )
    return shard if ours else winner


def read_sound(folder: Path, manifest: Manifest, index: int) -> Shard | None:
    """A verified shard, or None when it is missing or damaged."""
    try:
        return read_shard(folder, manifest, index)
    except (Damaged, FileNotFoundError):
        return None


def set_shard_aside(folder: Path, manifest: Manifest, index: int) -> None:
    """Quarantine a damaged shard, unless somebody has put a good one in its place."""
    quarantine(
        folder / manifest.shard_name(index),
        is_valid=lambda: read_sound(folder, manifest, index) is not None,
    )
