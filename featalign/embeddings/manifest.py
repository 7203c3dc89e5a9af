"""The manifest of an embedding: what it is and which shards make it complete."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from featalign.embeddings.durable import commit
from featalign.embeddings.key import Identity, canonical_json, key
from featalign.embeddings.stored_type import numpy_type
from featalign.errors import FeatalignError

FILE_NAME = "manifest.json"
FORMAT = "featalign-manifest/1"
SHARD_ROWS = 4096
SHARD_BYTES = 64 << 20


@dataclass(frozen=True)
class Manifest:
    """What an embedding is, and how its rows are cut into shards.

    It also holds the names of source and target, for people to read.
    """

    identity: Identity
    num_rows: int
    num_features: int
    rows_per_shard: int
    source_name: str
    target_name: str

    @property
    def key(self) -> str:
        """The name of the embedding's folder."""
        return key(self.identity)

    @property
    def num_shards(self) -> int:
        """The number of shards that make the embedding complete."""
        return -(-self.num_rows // self.rows_per_shard)

    def shard_name(self, index: int) -> str:
        """The file name of a shard."""
        return f"shard-{index:05d}.h5"

    def shard_rows(self, index: int) -> range:
        """The positions of a shard's rows within the embedding."""
        return range(
            index * self.rows_per_shard, min((index + 1) * self.rows_per_shard, self.num_rows)
        )


def rows_per_shard(num_features: int, dtype: str) -> int:
    """4096 rows, or the largest power of two below it that keeps a shard within 64 MiB.

    >>> rows_per_shard(768, "float32"), rows_per_shard(16384, "float32")
    (4096, 1024)
    """
    rows = SHARD_ROWS
    while rows > 1 and rows * num_features * numpy_type(dtype).itemsize > SHARD_BYTES:
        rows //= 2
    return rows


def to_bytes(manifest: Manifest) -> bytes:
    """The file's bytes: JSON with its own SHA-256, always the same for the same manifest."""
    record = {
        "format": FORMAT,
        "key": manifest.key,
        "identity": manifest.identity.to_record(),
        "num_rows": manifest.num_rows,
        "num_features": manifest.num_features,
        "rows_per_shard": manifest.rows_per_shard,
        "shards": [manifest.shard_name(index) for index in range(manifest.num_shards)],
        "source": manifest.source_name,
        "target": manifest.target_name,
    }
    record["sha256"] = hashlib.sha256(canonical_json(record).encode()).hexdigest()
    return (json.dumps(record, indent=1, sort_keys=True) + "\n").encode()


def from_bytes(content: bytes) -> Manifest | None:
    """The manifest, or None unless the bytes are exactly those that were written."""
    try:
        record = json.loads(content)
        identity = Identity(**record["identity"])
        num_rows, num_features, shard_rows = (
            record["num_rows"],
            record["num_features"],
            record["rows_per_shard"],
        )
        if not all(type(size) is int and size > 0 for size in (num_rows, num_features, shard_rows)):
            return None
        manifest = Manifest(
            identity,
            num_rows,
            num_features,
            shard_rows,
            str(record["source"]),
            str(record["target"]),
        )
        return manifest if to_bytes(manifest) == content else None
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ):  # FeatalignError is a ValueError
        return None


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a folder, or None where it is missing, damaged, or of another key."""
    path = folder / FILE_NAME
    if not path.is_file() or path.is_symlink():
        return None
    try:
        manifest = from_bytes(path.read_bytes())
    except OSError:
        return None
    return manifest if manifest is not None and manifest.key == folder.name else None


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Commit a manifest and return the one that is there, which is the first writer's.

    A damaged manifest is set aside.
    """
    commit(folder / FILE_NAME, [to_bytes(manifest)], is_valid=_reads_back(folder))
    winner = read_manifest(folder)
    if winner is None:
        raise FeatalignError(
            f"cache: the manifest in {folder} cannot be read back; check the disk and run again"
        )
    return winner


def _reads_back(folder: Path) -> Callable[[], bool]:
    return lambda: read_manifest(folder) is not None
