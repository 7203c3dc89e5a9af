"""Damage of each kind to a cache of two embeddings.

It is noticed, set aside, and mended by the next extraction.
"""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from featalign.embeddings.extract import extract
from featalign.embeddings.store import Store
from featalign.errors import FeatalignError
from tests.embeddings.examples import CountingSource, filled, make_target, snapshot
from tests.embeddings.examples import small_shards as small_shards

FILES = ["shard-00000.h5", "shard-00003.h5", "shard-00006.h5", "labels.h5", "manifest.json"]


def flip_bit(path: Path, other: Path, generator: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    content[generator.integers(len(content))] ^= 1 << generator.integers(8)
    path.write_bytes(content)


def zero_block(path: Path, other: Path, generator: np.random.Generator) -> None:
    content = bytearray(path.read_bytes())
    nonzero = np.flatnonzero(np.frombuffer(content, np.uint8))
    start = max(int(generator.choice(nonzero)) - 255, 0)
    length = len(content[start : start + 512])
    content[start : start + 512] = bytes(length)
    path.write_bytes(content)


def truncate(path: Path, other: Path, generator: np.random.Generator) -> None:
    path.write_bytes(path.read_bytes()[: generator.integers(path.stat().st_size)])


def append(path: Path, other: Path, generator: np.random.Generator) -> None:
    path.write_bytes(path.read_bytes() + generator.bytes(int(generator.integers(1, 600))))


def swap(path: Path, other: Path, generator: np.random.Generator) -> None:
    content = path.read_bytes()
    path.write_bytes(other.read_bytes())
    other.write_bytes(content)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    """A sound cache with two layers."""
    root = tmp_path_factory.mktemp("pristine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("featalign.embeddings.extract.rows_per_shard", lambda num_features, dtype: 16)
        found = filled(root, layers=("deep", "shallow"))
    return root, {layer: embedding.key for layer, embedding in found.items()}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", [flip_bit, zero_block, truncate, append, swap])
@pytest.mark.parametrize("seed", range(2))
def test_damage_is_noticed_and_mended(tmp_path, small_shards, pristine, name, damage, seed):
    root, keys = pristine
    shutil.copytree(root, tmp_path / "cache")
    store = Store(tmp_path / "cache")
    folder, generator = store.root / keys["deep"], np.random.default_rng([seed, FILES.index(name)])
    within = folder / ("shard-00001.h5" if name.startswith("shard") else "shard-00002.h5")
    between = store.root / keys["shallow"] / name
    damage(folder / name, within if seed % 2 else between, generator)

    embedding = store.open(keys["deep"])
    if embedding is not None:  # a damaged manifest is no manifest
        assert not embedding.verify().is_complete
    counting = CountingSource()
    mended = extract(counting.source, make_target(), ("deep", "shallow"), store, batch_size=10)
    assert counting.calls or name in ("labels.h5", "manifest.json")
    for layer, key in keys.items():
        assert mended[layer].verify().is_complete
        assert {k: v for k, v in snapshot(store.root / key).items() if k != "used"} == {
            k: v for k, v in snapshot(root / key).items() if k != "used"
        }


def test_a_reader_refuses_a_damaged_shard_and_sets_it_aside(tmp_path, small_shards):
    embedding = filled(tmp_path)["deep"]
    path = embedding.folder / "shard-00002.h5"
    flip_bit(path, path, np.random.default_rng(0))
    with pytest.raises(FeatalignError, match=r"shard-00002\.h5 .* was damaged"):
        embedding.read_all()
    assert not path.exists()
    assert len(list(embedding.folder.glob("shard-00002.h5.*.corrupt"))) == 1
    with pytest.raises(FeatalignError, match=r"shard-00002\.h5 .* is missing"):
        embedding.read_all()
    counting = CountingSource()
    again = extract(counting.source, make_target(), None, Store(tmp_path), batch_size=10)["deep"]
    assert len(again.read_all()) == 100
    assert len(counting.calls) == 2  # rows 30 to 49 hold the rows 32 to 47 of the shard


def test_what_is_no_regular_file_is_set_aside(tmp_path, small_shards):
    embedding = filled(tmp_path)["deep"]
    sound = embedding.read_all()
    elsewhere = tmp_path / "elsewhere.h5"
    first, second, third = (
        embedding.folder / embedding.manifest.shard_name(index) for index in range(3)
    )
    first.rename(elsewhere)
    first.symlink_to(elsewhere)
    second.unlink()
    second.mkdir()
    third.unlink()
    os.mkfifo(third)
    survey = embedding.verify()
    assert [index for index, _ in survey.damaged] == [0, 1, 2]
    filled(tmp_path)
    assert np.array_equal(embedding.read_all(), sound)
    assert elsewhere.exists()
    assert not first.is_symlink()
