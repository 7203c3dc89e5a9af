"""R1.

SIGKILL before, and in the middle of, every single call that changes the cache; then resume.
"""

import errno
import shutil
from pathlib import Path

import pytest

from featalign.embeddings.maintenance import collect_garbage
from featalign.embeddings.store import Store
from tests.durability.sizes import LONG, size
from tests.durability.workload import (
    Tally,
    make_reference,
    resume_and_check,
    snapshot,
    sound_shards,
    work,
)

pytestmark = pytest.mark.slow

SIGKILL = -9
SEEDS = range(size(3, 20))
SCENARIOS = [("fresh", "kill before", seed) for seed in SEEDS]
SCENARIOS += [
    (name, "kill amid", seed)
    for name in ("fresh", "damaged", "no links")
    for seed in (SEEDS if LONG else (0,))
]
SCENARIOS += (
    [(name, "kill before", seed) for name in ("damaged", "no links") for seed in SEEDS]
    if LONG
    else []
)


def prepare(scenario: str, pristine: Path, root: Path) -> None:
    """What is there before the run that is killed."""
    shutil.rmtree(root, ignore_errors=True)
    root.parent.mkdir(exist_ok=True)
    if scenario == "damaged":
        shutil.copytree(pristine, root)
        (folder,) = (path for path in root.iterdir() if path.is_dir())
        for name in ("shard-00002.h5", "shard-00007.h5", "labels.h5"):
            (folder / name).write_bytes((folder / name).read_bytes()[:-1] + b"?")
        for name in ("shard-00003.h5", "shard-00011.h5"):
            (folder / name).unlink()


@pytest.mark.parametrize(("scenario", "action", "seed"), SCENARIOS)
def test_every_call(quick_folder, server, count, scenario, action, seed):
    reference = make_reference(quick_folder / "reference", seed)
    root = quick_folder / "parent" / "cache"
    job = {
        "work": "extract",
        "root": root,
        "watched": quick_folder / "parent",
        "seed": seed,
        "no_links": errno.EOPNOTSUPP if scenario == "no links" else 0,
    }
    prepare(scenario, quick_folder / "reference", root)
    whole = server.run(**job)
    assert whole.status == 0, whole.output
    assert snapshot(root) == reference.files
    tally = Tally()
    for at in range(1, whole.calls + 1):
        prepare(scenario, quick_folder / "reference", root)
        outcome = server.run(**job, at=at, action=action)
        assert outcome.status == SIGKILL, outcome.output
        resume_and_check(root, reference, outcome.acknowledged, tally)
    count(f"R1 kills: {scenario} cache, seed {seed}, {action} each of {whole.calls} calls: {tally}")
    assert tally.is_clean
    assert whole.calls > (40 if scenario == "damaged" else 90)


def test_the_tally_notices(quick_folder):
    """The checks above can fail: a lost shard, a wrong one, one computed twice."""
    reference = make_reference(quick_folder / "reference", 0)
    other = make_reference(quick_folder / "other", 0)
    folder = quick_folder / "other" / other.key
    (folder / "shard-00004.h5").unlink()
    tally = Tally()
    resume_and_check(quick_folder / "other", reference, {3, 4}, tally)
    assert (tally.lost, tally.wrong, tally.unequal) == (8, 0, 0)
    shutil.rmtree(folder)
    work(quick_folder / "other", 0, lambda index: None, noise=1.0)
    resume_and_check(quick_folder / "other", reference, {3, 4}, tally)
    assert (tally.lost, tally.wrong, tally.unequal) == (8, 93, 1)


def test_export_is_old_or_new(quick_folder, server, count):
    """The file an export replaces is the old one or the new one, never another."""
    make_reference(quick_folder / "cache", 0)
    path = quick_folder / "out" / "export.h5"
    path.parent.mkdir()
    job = {"work": "export", "root": quick_folder / "cache", "watched": path.parent, "path": path}
    whole = server.run(**job)
    assert whole.status == 0, whole.output
    new, old = path.read_bytes(), b"the old file"
    seen = {old: 0, new: 0}
    for action in ("kill before", "kill amid"):
        for at in range(1, whole.calls + 1):
            path.write_bytes(old)
            outcome = server.run(**job, at=at, action=action)
            assert outcome.status == SIGKILL, outcome.output
            seen[path.read_bytes()] += 1  # a KeyError is a third state
    count(
        f"R1 kills: export over an old file, {2 * whole.calls} kills: {seen[old]} times the old "
        f"file, {seen[new]} times the new one, never another"
    )
    assert min(seen.values()) > 0


def test_removal_is_whole(quick_folder, server, count):
    """A removal that is killed leaves all of an embedding or none of it.

    Beside that it leaves at most a folder that garbage collection takes.
    """
    reference = make_reference(quick_folder / "pristine", 0)
    root = quick_folder / "parent" / "cache"
    job = {"work": "remove", "root": root, "watched": quick_folder / "parent"}
    shutil.copytree(quick_folder / "pristine", root)
    whole = server.run(**job)
    for at in range(1, whole.calls + 1):
        shutil.rmtree(root)
        shutil.copytree(quick_folder / "pristine", root)
        assert server.run(**job, at=at, action="kill before").status == SIGKILL
        there = len(sound_shards(root, reference)[0])
        assert there in (0, 12)
        collect_garbage(Store(root))
        assert snapshot(root) == (reference.files if there else {})
    count(
        f"R1 kills: removal, before each of {whole.calls} calls: all or nothing is left every time"
    )
