"""R7.

Odd states of a cache, each with a defined result; those of `tests/embeddings` are not repeated
here.
"""

import errno
import os
import shutil
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from featalign.embeddings import sealed
from featalign.embeddings.durable import quarantine
from featalign.embeddings.key import key
from featalign.embeddings.maintenance import collect_garbage, limit_size
from featalign.embeddings.manifest import read_manifest, to_bytes
from featalign.embeddings.store import Embedding, Store
from featalign.errors import FeatalignError
from tests.durability.server import Server
from tests.durability.workload import NUM_ROWS, Reference, leftovers, make_reference, snapshot, work

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Scene:
    """A complete cache, and a way to run the extraction again."""

    root: Path
    reference: Reference

    @property
    def folder(self) -> Path:
        return self.root / self.reference.key

    def again(self) -> tuple[Embedding, list[int]]:
        """Extract again; the shards that were computed."""
        computed: list[int] = []
        return work(self.root, 0, computed.append), computed

    def is_whole(self) -> bool:
        return snapshot(self.root) == self.reference.files


@pytest.fixture
def scene(tmp_path):
    """A complete cache."""
    return Scene(tmp_path / "cache", make_reference(tmp_path / "cache", 0))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\0" * 700,
        b'{"format": "featalign-manifest/1"}',
        b"[" * 100_000,
        "nonsense ç".encode("latin-1"),
    ],
)
def test_a_manifest_that_is_none(scene, content):
    (scene.folder / "manifest.json").write_bytes(content)
    assert scene.again()[1] == list(range(12)) or scene.is_whole()
    assert scene.is_whole()


def test_a_manifest_that_is_a_folder(scene):
    (scene.folder / "manifest.json").unlink()
    (scene.folder / "manifest.json").mkdir()
    scene.again()
    assert scene.is_whole()


def test_a_manifest_behind_a_symbolic_link(scene):
    manifest, elsewhere = scene.folder / "manifest.json", scene.root.parent / "elsewhere.json"
    manifest.rename(elsewhere)
    manifest.symlink_to(elsewhere)
    assert Store(scene.root).open(scene.reference.key) is None
    scene.again()
    assert scene.is_whole()
    assert not manifest.is_symlink()
    assert elsewhere.exists()


def test_a_manifest_of_another_layout_version(scene):
    manifest = read_manifest(scene.folder)
    assert manifest is not None
    later = replace(manifest, identity=replace(manifest.identity, schema_version=2))
    assert key(later.identity) != scene.reference.key
    (scene.folder / "manifest.json").write_bytes(to_bytes(later))
    scene.again()
    assert scene.is_whole()


def test_a_manifest_with_other_rows(scene):
    manifest = read_manifest(scene.folder)
    assert manifest is not None
    (scene.folder / "manifest.json").write_bytes(
        to_bytes(replace(manifest, num_rows=NUM_ROWS - 20))
    )
    with pytest.raises(FeatalignError, match="rows"):
        scene.again()


def test_shards_cut_otherwise_are_kept(scene, monkeypatch):
    """A later version may cut shards otherwise; what is there stays as it is."""
    (scene.folder / "shard-00004.h5").unlink()
    monkeypatch.setattr("tests.durability.workload.SHARD_ROWS", 16)
    embedding, computed = scene.again()
    assert embedding.manifest.rows_per_shard == 8
    assert computed == [4]
    assert scene.is_whole()


def test_the_mark_of_use_behind_a_symbolic_link(scene):
    outside = scene.root.parent / "outside"
    outside.write_bytes(b"mine")
    os.utime(outside, (1, 1))
    (scene.folder / "used").unlink()
    (scene.folder / "used").symlink_to(outside)
    assert scene.again()[1] == []
    assert outside.read_bytes() == b"mine"
    assert outside.stat().st_mtime == 1


def test_the_mark_of_use_is_a_folder(scene):
    (scene.folder / "used").unlink()
    (scene.folder / "used").mkdir()
    assert scene.again()[1] == []


@pytest.mark.parametrize("year", [1971, 2100])
def test_the_clock_was_wrong(scene, year):
    moment = (year - 1970) * 365.25 * 86400
    for path in (scene.folder, *scene.folder.iterdir()):
        os.utime(path, (moment, moment))
    (scene.folder / "shard-00003.h5").unlink()
    assert collect_garbage(Store(scene.root)).paths == ()
    assert scene.again()[1] == [3]
    assert scene.is_whole()


def test_leftovers_of_an_interrupted_writer(scene):
    old, young = scene.folder / "shard-00001.h5.1-a.tmp", scene.folder / "shard-00002.h5.1-a.tmp"
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0.0, time.time() - 7200))
    assert scene.again()[1] == []
    assert leftovers(scene.root) == [young]


def test_a_shard_of_a_terabyte_that_is_not_there(scene):
    for name in ("shard-00005.h5", "labels.h5"):
        os.truncate(scene.folder / name, 1 << 40)
    assert scene.again()[1] == [5]
    assert scene.is_whole()


def test_a_block_the_disk_cannot_read(scene, monkeypatch):
    real, bad = os.readv, os.stat(scene.folder / "shard-00006.h5").st_ino

    def failing(descriptor, buffers):
        if os.fstat(descriptor).st_ino == bad:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor, buffers)

    monkeypatch.setattr(sealed.os, "readv", failing)
    assert scene.again()[1] == [6]
    assert scene.is_whole()


def test_reads_that_give_a_byte_at_a_time(scene, monkeypatch):
    real = os.readv
    monkeypatch.setattr(
        sealed.os,
        "readv",
        lambda descriptor, buffers: real(descriptor, [memoryview(buffers[0])[:7]]),
    )
    assert scene.again()[1] == []


def test_the_cache_behind_a_symbolic_link(scene):
    """The folder of the cache is the user's choice; only inside it no link is followed."""
    elsewhere = scene.root.parent / "elsewhere"
    scene.root.rename(elsewhere)
    scene.root.symlink_to(elsewhere)
    assert scene.again()[1] == []


def test_the_cache_behind_a_link_to_nowhere(scene):
    shutil.rmtree(scene.root)
    scene.root.symlink_to(scene.root.parent / "nowhere")
    with pytest.raises(FeatalignError, match="cache"):
        scene.again()


def test_a_file_in_the_place_of_an_embedding(scene):
    shutil.rmtree(scene.folder)
    scene.folder.write_bytes(b"a file")
    with pytest.raises(FeatalignError, match="expected a folder"):
        scene.again()
    assert scene.folder.read_bytes() == b"a file"


@pytest.mark.parametrize("name", ["with space", "line\nbreak", "ç ü 漢", "\udcff", "a" * 200])
def test_strange_names_of_the_cache(tmp_path, name):
    reference = make_reference(tmp_path / name, 0)
    assert Scene(tmp_path / name, reference).again()[1] == []


def test_a_name_too_long(tmp_path):
    with pytest.raises(FeatalignError, match="cache"):
        make_reference(tmp_path / ("a" * 300), 0)


def test_the_embedding_is_removed_while_it_is_written(tmp_path):
    def remove(index: int) -> None:
        if index == 4:
            limit_size(Store(tmp_path / "cache"), 0)

    with pytest.raises(FeatalignError, match="disappeared"):
        work(tmp_path / "cache", 0, remove)
    reference = make_reference(tmp_path / "reference", 0)
    assert Scene(tmp_path / "cache", reference).again()[1] == list(range(12))
    assert snapshot(tmp_path / "cache") == reference.files


def test_what_is_not_the_caches_own_stays(scene):
    (scene.folder / "notes.txt").write_text("mine")
    (scene.folder / "shard-00099.h5").write_bytes(b"of no manifest")
    scene.again()
    collect_garbage(Store(scene.root))
    assert (scene.folder / "notes.txt").read_text() == "mine"


def test_a_good_file_is_never_set_aside(scene):
    quarantine(scene.folder / "shard-00001.h5", is_valid=lambda: True)
    quarantine(scene.folder / "absent.h5", is_valid=lambda: False)
    assert scene.is_whole()
    assert list(scene.root.rglob("*.corrupt")) == []


def test_files_are_the_users_alone(tmp_path):
    before = os.umask(0)
    try:
        make_reference(tmp_path / "cache", 0)
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "cache").rglob("*.*")}
    assert modes == {0o600}


def test_a_file_system_that_is_read_only(tmp_path, shim, count):
    """A complete cache is read; a missing shard gives a sentence."""
    private = ("unshare", "--mount", "--propagation", "private")
    reference = make_reference(tmp_path / "cache", 0)
    bind = f'mount --bind "{tmp_path}" "{tmp_path}" && mount -o remount,ro,bind "{tmp_path}"'
    if (
        shutil.which("unshare") is None
        or subprocess.run([*private, "sh", "-c", bind], capture_output=True, check=False).returncode
    ):
        pytest.skip("needs the right to mount a file system")
    server = Server(shim, prefix=(*private, "sh", "-c", f'{bind} && exec "$@"', "sh"))
    whole = server.run(work="extract", root=tmp_path / "cache", seed=0)
    (tmp_path / "cache" / reference.key / "shard-00002.h5").unlink()
    part = server.run(work="extract", root=tmp_path / "cache", seed=0)
    server.close()
    assert (whole.status, whole.acknowledged) == (0, set())
    assert part.status == 1
    assert part.sentences[0].startswith("featalign: cache: ")
    assert "cannot be written: Read-only file system" in part.sentences[0]


def test_count(request, count):
    """How many odd cases this file has."""
    cases = [
        item
        for item in request.session.items
        if item.path == request.path and item.name != "test_count"
    ]
    count(f"R7 odd states: {len(cases)} cases in {request.path.name}")
    assert len(cases) >= 20 or request.session.items == [request.node]
