import errno
import multiprocessing
import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from featalign.embeddings import durable
from featalign.embeddings.extract import extract
from featalign.embeddings.key import Identity, key
from featalign.embeddings.store import Store, read_ahead
from featalign.errors import FeatalignError
from featalign.sources.source import Source
from tests.embeddings.examples import NUM_ROWS, CountingSource, filled, make_target, snapshot
from tests.embeddings.examples import small_shards as small_shards


def test_nothing_is_found_in_an_empty_or_absent_cache(tmp_path):
    identity = Identity("weights", {}, "deep", "ab12")
    for root in (tmp_path, tmp_path / "absent"):
        assert Store(root).keys() == ()
        assert Store(root).find(identity) is None
    assert not (tmp_path / "absent").exists()


def test_find_wants_every_shard_sound(tmp_path, small_shards):
    embedding, store = filled(tmp_path)["deep"], Store(tmp_path)
    identity = embedding.manifest.identity
    found = store.find(identity)
    assert found is not None
    assert found.survey == embedding.survey
    (embedding.folder / "shard-00004.h5").unlink()
    assert store.find(identity) is None
    assert store.open(identity) is not None


def test_a_folder_under_another_key_is_never_read(tmp_path, small_shards):
    embedding = filled(tmp_path)["deep"]
    other = Identity(
        "other weights", {"size": 4}, "deep", embedding.manifest.identity.target_fingerprint
    )
    embedding.folder.rename(tmp_path / key(other))
    assert Store(tmp_path).open(other) is None
    counting = CountingSource(revision="other weights")
    extract(counting.source, make_target(), None, Store(tmp_path), batch_size=50)
    assert len(counting.calls) == 2


def test_blocks_are_read_ahead_of_the_consumer():
    started = []

    def read(index: int) -> int:
        started.append(index)
        return index

    blocks = read_ahead(read, 6, ahead=2)
    assert next(blocks) == 0
    deadline = time.monotonic() + 5
    while len(started) < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert sorted(started) == [0, 1, 2]
    del blocks
    assert not [
        thread for thread in threading.enumerate() if thread.name.startswith("featalign-read")
    ]


def _extract_slowly(root: Path, seed: int, start) -> None:
    """A writer whose features nobody else has: the seed is added to them."""
    from featalign.embeddings import extract as module

    module.rows_per_shard = lambda num_features, dtype: 16

    def embed(batch):
        time.sleep(0.002 * (seed + 1))
        return np.column_stack([batch[:, 0], np.full(len(batch), seed)])

    start.wait()
    extract(
        Source.from_function("noisy", embed, revision="1"),
        make_target(),
        None,
        Store(root),
        batch_size=8,
    )


def test_two_writers_of_different_bytes_have_one_winner_per_shard(tmp_path, small_shards):
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    writers = [
        context.Process(target=_extract_slowly, args=(tmp_path, seed, start)) for seed in range(2)
    ]
    for writer in writers:
        writer.start()
    start.set()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    (key,) = Store(tmp_path).keys()
    embedding = Store(tmp_path).open(key)
    assert embedding is not None
    assert embedding.verify().is_complete
    features = embedding.read_all()
    assert features[:, 0].tolist() == list(range(NUM_ROWS))
    assert all(len(set(features[start : start + 16, 1])) == 1 for start in range(0, NUM_ROWS, 16))
    assert list(tmp_path.rglob("*.tmp")) + list(tmp_path.rglob("*.corrupt")) == []


def test_without_links_files_are_renamed_and_still_the_first_wins(
    tmp_path, small_shards, monkeypatch
):
    def refuse(*arguments) -> None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))

    expected = snapshot(filled(tmp_path / "linked")["deep"].folder)
    monkeypatch.setattr(durable.os, "link", refuse)
    embedding = filled(tmp_path / "renamed")["deep"]
    assert snapshot(embedding.folder) == expected
    path = embedding.folder / "shard-00000.h5"
    assert not durable.commit(path, [b"another"], is_valid=lambda: True)
    assert snapshot(embedding.folder) == expected


@pytest.mark.parametrize(
    ("call", "code", "message"),
    [
        ("write", errno.ENOSPC, "disk is full .* MB were needed"),
        ("write", errno.EFBIG, "limit is reached"),
        ("write", errno.EIO, "refused"),
        ("fsync", errno.EIO, "refused"),
        ("open", errno.EROFS, "cannot be written"),
        ("open", errno.EACCES, "cannot be written"),
        ("link", errno.ENOSPC, "disk is full"),
    ],
)
@pytest.mark.parametrize("after", [0, 3, 8])
def test_what_the_disk_refuses_becomes_a_sentence_and_is_resumed(
    tmp_path, small_shards, monkeypatch, call, code, message, after
):
    real, calls = getattr(os, call), []

    def failing(*arguments, **options):
        if call != "open" or arguments[1] & os.O_CREAT:
            calls.append(arguments)
            if len(calls) > after:
                raise OSError(code, os.strerror(code))
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(durable.os, call, failing)
        with pytest.raises(FeatalignError, match=message):
            filled(tmp_path / "cache")
    assert list(tmp_path.rglob("*.tmp")) == []
    mended = filled(tmp_path / "cache")["deep"]
    assert snapshot(mended.folder) == snapshot(filled(tmp_path / "whole")["deep"].folder)


def test_a_short_or_interrupted_write_is_continued(tmp_path, small_shards, monkeypatch):
    real, calls = os.write, []

    def short(descriptor, content):
        calls.append(len(content))
        return real(descriptor, memoryview(content)[: max(len(content) // 2, 1)])

    monkeypatch.setattr(durable.os, "write", short)
    embedding = filled(tmp_path)["deep"]
    assert embedding.verify().is_complete
    assert len(calls) > 50


def test_a_full_cache_that_cannot_be_written_is_still_read(tmp_path, small_shards, monkeypatch):
    embedding = filled(tmp_path)["deep"]
    real = os.open

    def read_only(path, flags, *arguments, **options):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, *arguments, **options)

    monkeypatch.setattr(durable.os, "open", read_only)
    assert filled(tmp_path)["deep"].read_all().shape == (NUM_ROWS, 5)
    (embedding.folder / "shard-00001.h5").unlink()
    with pytest.raises(FeatalignError, match="cannot be written"):
        filled(tmp_path)


def test_a_symbolic_link_instead_of_a_folder_is_refused(tmp_path, small_shards):
    embedding = filled(tmp_path / "cache")["deep"]
    embedding.folder.rename(tmp_path / "elsewhere")
    embedding.folder.symlink_to(tmp_path / "elsewhere")
    assert Store(tmp_path / "cache").keys() == ()
    with pytest.raises(FeatalignError, match="symbolic link"):
        filled(tmp_path / "cache")


def test_a_file_in_the_place_of_the_cache_is_refused(tmp_path):
    (tmp_path / "cache").write_text("not a folder")
    with pytest.raises(FeatalignError, match="expected a folder"):
        filled(tmp_path / "cache")
