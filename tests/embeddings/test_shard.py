import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import h5py
import numpy as np
import pytest

from featalign.embeddings.key import Identity
from featalign.embeddings.manifest import Manifest, from_bytes, rows_per_shard, to_bytes
from featalign.embeddings.sealed import BLOCK, Damaged
from featalign.embeddings.shard import Shard, build_shard, commit_shard, read_shard
from featalign.embeddings.stored_type import numpy_type, to_stored

DTYPES = ["float16", "bfloat16", "float32", "float64"]


def make_manifest(dtype="float32", *, num_rows=10, num_features=3, shard_rows=4):
    return Manifest(
        Identity("weights", {}, "deep", "ab12", dtype=dtype),
        num_rows,
        num_features,
        shard_rows,
        "source",
        "target",
    )


def make_shard(manifest, index=0, *, seed=0):
    rows = manifest.shard_rows(index)
    values = (
        np.random.default_rng(seed)
        .standard_normal((len(rows), manifest.num_features))
        .astype(numpy_type(manifest.identity.dtype))
    )
    return Shard(values, np.arange(rows.start, rows.stop) + 100, 1, 2)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("index", [0, 2])
def test_round_trip(tmp_path, dtype, index):
    manifest = make_manifest(dtype)
    shard = make_shard(manifest, index)
    commit_shard(tmp_path, manifest, index, shard)
    found = read_shard(tmp_path, manifest, index)
    assert found.features.dtype == numpy_type(dtype)
    assert found.features.tobytes() == shard.features.tobytes()
    assert found.row_id.tolist() == shard.row_id.tolist()
    assert (found.nonfinite_count, found.overflow_count) == (1, 2)
    assert not found.features.flags.writeable
    assert os.listdir(tmp_path) == [manifest.shard_name(index)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_plain_h5py_opens_it(tmp_path, dtype):
    manifest = make_manifest(dtype)
    shard = make_shard(manifest)
    commit_shard(tmp_path, manifest, 0, shard)
    with h5py.File(tmp_path / "shard-00000.h5") as file:
        features: Any = file["features"]
        assert file.userblock_size == BLOCK
        assert features.attrs["dtype"] == dtype.encode()
        assert features.dtype == (np.uint16 if dtype == "bfloat16" else np.dtype(dtype))
        assert features[()].tobytes() == shard.features.tobytes()


def test_images_repeat_here_and_in_another_process():
    program = (
        "import hashlib; from tests.embeddings.test_shard import *; m = make_manifest(); h, b = "
        "build_shard(m, 0, make_shard(m)); "
        "print(hashlib.sha256(h + bytes(b)).hexdigest())"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    manifest = make_manifest()
    images = {
        header + bytes(body)
        for header, body in (build_shard(manifest, 0, make_shard(manifest)) for _ in range(3))
    }
    assert len(runs) == len(images) == 1


def test_threads_build_and_read_at_the_same_time(tmp_path):
    manifest = make_manifest(num_rows=400)
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda index: commit_shard(tmp_path, manifest, index, make_shard(manifest, index)),
                range(100),
            )
        )
        found = list(
            pool.map(
                lambda index: read_shard(tmp_path, manifest, index).row_id.tolist(), range(100)
            )
        )
    assert [row for rows in found for row in rows] == list(range(100, 500))


def test_the_first_writer_wins(tmp_path):
    manifest = make_manifest()
    first, second = make_shard(manifest, seed=1), make_shard(manifest, seed=2)
    commit_shard(tmp_path, manifest, 0, first)
    kept = commit_shard(tmp_path, manifest, 0, second)
    assert (
        kept.features.tobytes()
        == first.features.tobytes()
        == read_shard(tmp_path, manifest, 0).features.tobytes()
    )
    assert os.listdir(tmp_path) == ["shard-00000.h5"]


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (make_manifest("float16"), "another key"),
        (make_manifest(shard_rows=2), "rows"),
        (make_manifest(num_features=4), "shape"),
    ],
)
def test_a_sound_shard_of_something_else_is_not_read(tmp_path, other, reason):
    manifest = make_manifest()
    commit_shard(tmp_path, manifest, 0, make_shard(manifest))
    with pytest.raises(Damaged, match=reason):
        read_shard(tmp_path, other, 0)


def test_overflow_and_nonfinite_values_are_counted():
    stored = to_stored(
        np.array([[1e6, 1.0, -1e6], [np.inf, np.nan, 65504.0]], np.float32), "float16"
    )
    assert (stored.nonfinite_count, stored.overflow_count) == (2, 2)
    assert to_stored(np.array([[1e300]]), "float32").overflow_count == 1
    assert to_stored(np.array([[1e30, np.nan]], np.float32), "bfloat16").overflow_count == 0
    assert to_stored(np.array([[3.4e38]], np.float32), "bfloat16").overflow_count == 1


def test_wide_shards_have_fewer_rows():
    assert rows_per_shard(4096, "float32") == 4096
    assert rows_per_shard(4097, "float32") == 2048
    assert rows_per_shard(4097, "float16") == 4096
    assert rows_per_shard(1 << 25, "float32") == 1


def test_every_changed_byte_of_a_manifest_is_noticed():
    content = to_bytes(make_manifest())
    assert from_bytes(content) == make_manifest()
    changed = 0
    for position in range(len(content)):
        for flip in (1, 16, 32):
            altered = bytearray(content)
            altered[position] ^= flip
            assert from_bytes(bytes(altered)) is None
            changed += 1
    print(f"{changed} changed manifests, all refused")
    assert from_bytes(content[:-1]) is None
    assert from_bytes(b"") is None
    assert from_bytes(b"[" * 100_000) is None
