"""R5.

The disk is full, or fails, at every place: one clean sentence, exit status 1, nothing left over,
and the next run goes on.
"""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.durability.server import REPOSITORY, Outcome, Server, need_shim
from tests.durability.sizes import LONG, size
from tests.durability.workload import Tally, leftovers, make_reference, resume_and_check, snapshot

pytestmark = pytest.mark.slow


def check_sentence(outcome: Outcome) -> None:
    """The process ended as it should: no signal, no traceback, one sentence."""
    assert outcome.status == 1, outcome
    assert len(outcome.sentences) == 1, outcome
    assert outcome.sentences[0].startswith(("featalign: cache: ", "featalign: path: ")), outcome


@pytest.mark.parametrize("name", ["EIO", "ENOSPC", "EINTR"])
@pytest.mark.parametrize("seed", range(size(1, 10)))
def test_every_call_fails_once(quick_folder, server, count, name, seed):
    """A failure of the call that clears away a temporary file may leave it.

    Of everything else nothing is left.
    """
    reference, root = make_reference(quick_folder / "reference", seed), quick_folder / "cache"
    calls = server.run(work="extract", root=root, seed=seed).calls
    tally, said, passed, left = Tally(), 0, 0, 0
    for at in range(1, calls + 1):
        shutil.rmtree(root)
        outcome = server.run(
            work="extract", root=root, seed=seed, at=at, action="fail", errno=getattr(errno, name)
        )
        if outcome.status:
            check_sentence(outcome)
            said += 1
        else:
            passed += 1
        left += len(leftovers(root)) > 0
        assert len(leftovers(root)) <= (
            outcome.status == 0
        )  # only where removing it was the call that failed, and all else went well
        resume_and_check(root, reference, outcome.acknowledged, tally)
        if name == "EINTR":
            assert outcome.status == 0, outcome
    count(
        f"R5 refusals: {name} at each of {calls} calls, seed {seed}: {said} sentences with exit "
        f"status 1, {passed} runs that went on, "
        f"{left} with a temporary file left (its removal was what failed); {tally}"
    )
    assert tally.is_clean
    assert left <= (0 if name == "EINTR" else 14)
    assert said > (-1 if name == "EINTR" else 60)


@pytest.mark.parametrize("limit", ["largest_file", "budget"])
def test_full_at_every_size(quick_folder, server, count, limit):
    """A disk that is full after so many bytes, in one of two ways.

    One is a limit on the size of each file (RLIMIT_FSIZE), the other a disk with so many bytes left
    (the shim says ENOSPC).
    """
    reference, root = make_reference(quick_folder / "reference", 0), quick_folder / "cache"
    sizes = [len(content) for content in reference.files.values()]
    most = max(sizes) if limit == "largest_file" else sum(sizes)
    tally, trials = Tally(), size(40, 400)
    for number in range(trials):
        shutil.rmtree(root, ignore_errors=True)
        outcome = server.run(work="extract", root=root, seed=0, **{limit: most * number // trials})
        check_sentence(outcome)
        assert leftovers(root) == []
        resume_and_check(root, reference, outcome.acknowledged, tally)
    count(
        f"R5 disk full: extraction, {limit} of {trials} sizes to {most} bytes: {trials} sentences "
        f"with exit status 1, nothing left over; {tally}"
    )
    assert tally.is_clean


@pytest.mark.parametrize("limit", ["largest_file", "budget"])
def test_full_during_an_export(quick_folder, server, count, limit):
    """HDF5 crashes at exit after a failed write; an export never shows it one."""
    make_reference(quick_folder / "cache", 0)
    (quick_folder / "out").mkdir()
    path = quick_folder / "out" / "export.h5"
    job = {"work": "export", "root": quick_folder / "cache", "watched": path.parent, "path": path}
    whole = server.run(**job)
    new, trials = path.read_bytes(), size(40, 400)
    for number in range(trials):
        path.write_bytes(b"old")
        check_sentence(server.run(**job, **{limit: len(new) * number // trials}))
        assert os.listdir(path.parent) == ["export.h5"]
        assert path.read_bytes() == b"old"
    name = "EIO" if limit == "budget" else "ENOSPC"
    for at in range(1, whole.calls + 1):
        path.write_bytes(b"old")
        check_sentence(server.run(**job, at=at, action="fail", errno=getattr(errno, name)))
        assert os.listdir(path.parent) == ["export.h5"]
        assert path.read_bytes() in (b"old", new)
    said = trials + whole.calls
    count(
        f"R5 disk full: export, {limit} of {trials} sizes, then {name} at each of {whole.calls} "
        f"calls: {said} sentences, 0 crashes at exit"
    )
    assert server.run(**job).status == 0
    assert path.read_bytes() == new


def test_a_small_disk(tmp_path, shim, count):
    """A real file system that is really full.

    It is a tmpfs in a mount namespace of its own, grown afterwards.
    """
    need_shim(shim)
    private = ("unshare", "--mount", "--propagation", "private")
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            [*private, "mount", "-t", "tmpfs", "none", disk], capture_output=True, check=False
        ).returncode
    ):
        pytest.skip("needs the right to mount a file system")
    reference, trials = make_reference(tmp_path / "reference", 0), size(6, 14)
    for pages in range(1, 1 + trials):
        server = Server(
            shim,
            prefix=(
                *private,
                "sh",
                "-c",
                f'mount -t tmpfs -o size={4 * pages}k none "{disk}" && exec "$@"',
                "sh",
            ),
        )
        root = disk / "cache"
        outcome = server.run(work="extract", root=root, seed=0)
        check_sentence(outcome)
        seen = Path(f"/proc/{server.process.pid}/root") / root.relative_to(
            "/"
        )  # the test is outside of the namespace
        assert leftovers(seen) == []
        enter = [
            "nsenter",
            f"--mount=/proc/{server.process.pid}/ns/mnt",
            "mount",
            "-o",
            "remount,size=1m",
            str(disk),
        ]
        assert subprocess.run(enter, capture_output=True, check=False).returncode == 0
        again = server.run(work="extract", root=root, seed=0)
        assert again.status == 0, again
        assert not outcome.acknowledged & again.acknowledged
        assert outcome.acknowledged | again.acknowledged == set(range(12))
        assert snapshot(seen) == reference.files
        server.close()
    count(
        f"R5 disk full: {trials} file systems of 4 to {4 * trials} KiB: a sentence, nothing left "
        "over, resumed after they were grown"
    )


@pytest.mark.parametrize("blocks", [0, 1, 3] if not LONG else range(8))
def test_the_real_command_line(tmp_path, blocks):
    """`ulimit -f` around the installed program, whose own exit must be clean too."""
    make_reference(tmp_path / "cache", 0)
    command = [
        sys.executable,
        "-m",
        "featalign.cli",
        "cache",
        "export",
        "",
        str(tmp_path / "out" / "export.h5"),
        "--cache",
        str(tmp_path / "cache"),
    ]
    program = (
        "import sys; from featalign.cli import main; "
        "sys.argv = ['featalign', *sys.argv[1:]]; main()"
    )
    command = [
        "sh",
        "-c",
        f'ulimit -f {blocks}; exec "$@"',
        "sh",
        sys.executable,
        "-c",
        program,
        *command[3:],
    ]
    (tmp_path / "out").mkdir()
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done
    assert done.stderr.startswith("featalign: path: the disk is full or a limit is reached"), done
    assert done.stderr.count("\n") == 1
    assert os.listdir(tmp_path / "out") == []
