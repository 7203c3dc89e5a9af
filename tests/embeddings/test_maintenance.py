import os
import time
from pathlib import Path

import pytest

from featalign.embeddings.location import default_cache
from featalign.embeddings.maintenance import (
    chosen,
    collect_garbage,
    entries,
    limit_size,
    remove,
    verify,
)
from featalign.embeddings.store import Store
from featalign.errors import FeatalignError
from tests.embeddings.examples import NUM_ROWS, filled
from tests.embeddings.examples import small_shards as small_shards


def aged(path: Path, seconds: float) -> Path:
    """A file or folder as if it had been changed so long ago."""
    changed = time.time() - seconds
    os.utime(path, (changed, changed))
    return path


def test_ls_says_what_is_there(tmp_path, small_shards):
    found = filled(tmp_path, layers=("deep", "shallow"))
    (found["shallow"].folder / "shard-00002.h5").unlink()
    listed = {entry.layer: entry for entry in entries(Store(tmp_path))}
    assert set(listed) == {"deep", "shallow"}
    deep, shallow = listed["deep"], listed["shallow"]
    assert (deep.key, deep.source, deep.target, deep.dtype) == (
        found["deep"].key,
        "counting",
        "numbers",
        "float32",
    )
    assert (deep.num_rows, deep.num_features, deep.shards_present, deep.shards_expected) == (
        NUM_ROWS,
        5,
        7,
        7,
    )
    assert deep.is_complete
    assert not shallow.is_complete
    assert deep.num_bytes == sum(path.stat().st_size for path in found["deep"].folder.iterdir())
    assert abs(time.time() - deep.used) < 60
    assert abs(time.time() - deep.created) < 60


def test_verify_reports_and_sets_aside(tmp_path, small_shards):
    found = filled(tmp_path, layers=("deep", "shallow"))
    path = found["deep"].folder / "shard-00002.h5"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    surveys = verify(Store(tmp_path))
    assert surveys[found["shallow"].key].is_complete
    damaged = surveys[found["deep"].key]
    assert damaged.damaged == ((2, "its content does not agree with its checksum"),)
    assert verify(Store(tmp_path), key=found["deep"].key[:6])[found["deep"].key].missing == (2,)


def test_gc_removes_leftovers_and_nothing_else(tmp_path, small_shards):
    folder = filled(tmp_path)["deep"].folder
    store, keep = Store(tmp_path), {"README.md", "notes"}
    (tmp_path / "README.md").write_text("mine")
    (tmp_path / "notes").mkdir()
    sound = set(folder.iterdir())
    fresh = folder / "shard-00000.h5.1-a.tmp"
    old, corrupt = folder / "shard-00001.h5.1-a.tmp", folder / "shard-00001.h5.ff.corrupt"
    for path in (fresh, old, corrupt):
        path.write_bytes(b"123")
    aged(old, 7200)
    ahead = folder / "labels.h5.1-a.tmp"
    ahead.write_bytes(b"")
    aged(ahead, -7200)  # the clock was put back
    headless, young = tmp_path / ("0" * 32), tmp_path / ("1" * 32)
    for path in (headless, young):
        path.mkdir()
        (path / "shard-00000.h5").write_bytes(b"12345")
    aged(headless / "shard-00000.h5", 7200)
    aged(headless, 7200)
    gone = tmp_path / f"{'2' * 32}.ab.removed"
    gone.mkdir()
    collected = collect_garbage(store)
    assert set(collected.paths) == {old, corrupt, ahead, headless, gone}
    assert collected.num_bytes == 3 + 3 + 5
    assert set(folder.iterdir()) == {*sound, fresh}
    assert {path.name for path in tmp_path.iterdir()} == {*keep, folder.name, young.name}
    assert collect_garbage(store).paths == ()
    assert collect_garbage(Store(tmp_path / "absent")).paths == ()


def test_rm_by_key_source_and_target(tmp_path, small_shards):
    found = filled(tmp_path, layers=("deep", "shallow"))
    filled(tmp_path, revision="2")
    store = Store(tmp_path)
    assert len(chosen(store, source="count*", target="numbers")) == 3
    assert [entry.key for entry in remove(store, key=found["shallow"].key[:8])] == [
        found["shallow"].key
    ]
    with pytest.raises(FeatalignError, match="nothing in"):
        remove(store, source="counting", target="letters")
    with pytest.raises(FeatalignError, match="expected one that says what to remove"):
        remove(store)
    assert len(entries(store)) == 2
    assert len(remove(store, source="counting")) == 2
    assert list(tmp_path.iterdir()) == []


def test_the_least_recently_used_goes_first(tmp_path, small_shards):
    embeddings = [filled(tmp_path, revision=str(number))["deep"] for number in range(4)]
    for number, embedding in enumerate(embeddings):
        aged(embedding.folder / "used", 1000 - 100 * number)
    embeddings[0].read_all()  # now the most recently used
    store = Store(tmp_path)
    size = entries(store)[0].num_bytes
    assert limit_size(store, 4 * size) == ()
    assert [entry.key for entry in limit_size(store, 3 * size)] == [embeddings[1].key]
    assert [entry.key for entry in limit_size(store, 2 * size, keep=[embeddings[2].key])] == [
        embeddings[3].key
    ]
    assert {entry.key for entry in entries(store)} == {embeddings[0].key, embeddings[2].key}
    assert len(limit_size(store, 0)) == 2
    with pytest.raises(FeatalignError, match="max_bytes"):
        limit_size(store, -1)


def test_the_default_cache(tmp_path):
    assert default_cache(environment={"FEATALIGN_CACHE": "/somewhere"}, folder=tmp_path) == Path(
        "/somewhere"
    )
    assert default_cache(environment={}, folder=tmp_path) != tmp_path / "cache"
    (tmp_path / "featalign" / "embeddings").mkdir(parents=True)
    (tmp_path / "cache").mkdir()
    assert default_cache(environment={}, folder=tmp_path) != tmp_path / "cache"
    (tmp_path / "pyproject.toml").write_text("")
    assert default_cache(environment={"FEATALIGN_CACHE": ""}, folder=tmp_path) == tmp_path / "cache"
