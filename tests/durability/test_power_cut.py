"""R3.

The recorded calls of a run, replayed as far as a power cut may have left them: the old state or the
new one, never another.

The shim writes down every call of a worker. From that log a state of the disk is made up: a prefix
of the calls; a prefix whose last write is torn; or a prefix in which what no fsync had yet put on
disk happened or not, call by call. A file's content is on disk for certain after the fsync of the
file, a name after the fsync of its folder, and nothing else ever is.
"""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from tests.durability.server import Server
from tests.durability.sizes import size
from tests.durability.workload import Reference, Tally, make_reference, resume_and_check, snapshot

pytestmark = pytest.mark.slow

BLOCK = 512


@dataclass(frozen=True)
class Call:
    """One line of the shim's log."""

    what: str
    descriptor: int
    offset: int
    first: str
    second: str
    content: bytes


@dataclass
class File:
    """What is in one file.

    That is all writes since it was made, and how many of them an fsync has put on disk.
    """

    writes: list[tuple[int, bytes]] = field(default_factory=list)
    safe: int = 0


def read_log(path: Path) -> list[Call]:
    """The calls in the order in which they were made."""
    content, position, calls = path.read_bytes(), 0, []
    while position < len(content):
        end = content.index(b"\n", position)
        what, descriptor, offset, count, first, second = content[position:end].decode().split("\t")
        position = end + 1
        written = content[position : position + int(count)] if what == "write" else b""
        position += len(written)
        calls.append(Call(what, int(descriptor), int(offset), first, second, written))
    return calls


@dataclass
class Disk:
    """Names and files after a number of calls.

    `safe_names` are those that would be there after a power cut for certain.
    """

    names: dict[str, File | None] = field(default_factory=dict)  # None: a folder
    pending: list[tuple[str, Call, File | None]] = field(
        default_factory=list
    )  # changes of names no fsync has put on disk, with their folder
    safe_names: dict[str, File | None] = field(default_factory=dict)
    opened: dict[int, str] = field(default_factory=dict)
    files: list[File] = field(default_factory=list)
    noted: set[int] = field(default_factory=set)

    def apply(self, call: Call) -> None:
        """Make one call."""
        if call.what in ("create", "open"):
            self.opened[call.descriptor] = call.first
            if call.what == "create" and call.first not in self.names:
                self.files.append(File())
                self._rename(call, call.first, self.files[-1])
        elif call.what == "close":
            del self.opened[call.descriptor]
        elif call.what in ("write", "truncate"):
            assert call.what == "write", "nothing in the cache is truncated"
            file = self.names[self.opened[call.descriptor]]
            assert file is not None
            file.writes.append((call.offset, call.content))
        elif call.what == "sync":
            path = self.opened[call.descriptor]
            file = self.names.get(path)
            if file is not None:
                file.safe = len(file.writes)
            else:
                done = [change for change in self.pending if change[0] == path]
                self.pending = [change for change in self.pending if change[0] != path]
                for _, change, file in done:
                    rename(self.safe_names, change, file)
        elif call.what == "note":
            self.noted.add(int(call.first))
        elif call.what == "rename":
            self._rename(call, call.second, self.names[call.first])
        elif call.what == "link":
            self._rename(call, call.second, self.names[call.first])
        else:
            self._rename(call, call.first, None)

    def _rename(self, call: Call, path: str, file: File | None) -> None:
        rename(self.names, call, file)
        self.pending.append((str(Path(path).parent), call, file))


def rename(names: dict[str, File | None], call: Call, file: File | None) -> None:
    """Change names by one call."""
    if call.what == "unlink":
        names.pop(call.first, None)
    elif call.what == "rename":
        names.pop(call.first, None)
        names[call.second] = file
    else:
        names[call.second if call.what == "link" else call.first] = file


def content_of(file: File, generator: np.random.Generator | None) -> bytes:
    """The bytes of a file.

    With a generator, those that are not on disk for certain are there or not, block by block.
    """
    content = bytearray()
    for number, (offset, written) in enumerate(file.writes):
        certain = generator is None or number < file.safe
        for start in range(0, len(written), BLOCK):
            piece, place = written[start : start + BLOCK], offset + start
            fate = (
                0 if certain or generator is None else generator.integers(3)
            )  # there, not there, its length there and its bytes not
            if fate == 1:
                continue
            content.extend(bytes(max(place + len(piece) - len(content), 0)))
            if fate == 0:
                content[place : place + len(piece)] = piece
    return bytes(content)


def put_on_disk(
    names: dict[str, File | None], root: Path, recorded: Path, generator: np.random.Generator | None
) -> None:
    """Make the files in a real folder; a name whose folder is missing is missing too."""
    for path in sorted(names):
        place = root / Path(path).relative_to(recorded)
        file = names[path]
        if not place.parent.is_dir():
            continue
        if file is None:
            place.mkdir()
        else:
            place.write_bytes(content_of(file, generator))


def crash(
    calls: list[Call], start: dict[str, File | None], kind: str, generator: np.random.Generator
) -> tuple[Disk, dict[str, File | None]]:
    """The disk after a cut at random, and the names on it."""
    end = int(generator.integers(len(calls) + 1)) if generator.random() < 0.7 else len(calls)
    if kind == "torn":
        end = (
            int(
                generator.choice(
                    [number for number, call in enumerate(calls) if call.what == "write"]
                )
            )
            + 1
        )
    disk = Disk(names=dict(start), safe_names=dict(start))
    for call in calls[:end]:
        disk.apply(call)
    if kind == "torn":
        file = disk.names[disk.opened[calls[end - 1].descriptor]]
        assert file is not None
        offset, written = file.writes[-1]
        file.writes[-1] = offset, written[: generator.integers(len(written))]
    if kind != "reordered":
        return disk, disk.names
    names = dict(disk.safe_names)
    for _, change, file in disk.pending:
        if generator.random() < 0.5:
            rename(names, change, file)
    return disk, names


def record(
    scenario: str, folder: Path, server: Server, reference: Reference, *, at: int
) -> tuple[list[Call], dict[str, File | None]]:
    """The calls of an extraction in `folder / "above" / "cache"`, and what was there before.

    A resumed one has the calls of two runs.
    """
    root, log = folder / "above" / "cache", folder.with_suffix(".log")
    folder.mkdir()
    start: dict[str, File | None] = {}
    if scenario == "damaged":
        for name, content in reference.files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(
                content[:-9] + bytes(9)
                if name.endswith(("2.h5", "7.h5", "labels.h5", "manifest.json"))
                else content
            )
        start = {
            str(path): File([(0, path.read_bytes())], 1) if path.is_file() else None
            for path in folder.rglob("*")
        }
    job = {"work": "extract", "root": root, "watched": folder, "seed": reference.seed, "log": log}
    if scenario == "resumed":
        assert server.run(**job, at=at, action="kill before").status == -9
    outcome = server.run(**job)
    assert outcome.status == 0, outcome.output
    calls = read_log(log)
    whole = Disk(names=dict(start))
    for call in calls:
        whole.apply(call)
    again = folder.with_suffix(".again")
    again.mkdir()
    put_on_disk(whole.names, again, folder, None)
    assert snapshot(again) == snapshot(folder)  # the log is complete
    assert snapshot(root) == reference.files
    return calls, start


@pytest.mark.parametrize("scenario", ["fresh", "damaged", "resumed"])
def test_replays(quick_folder, server, count, scenario):
    reference, trial = make_reference(quick_folder / "reference", 0), quick_folder / "trial"
    tally, other, num_calls = Tally(), 0, []
    trials = size(100, 3400)
    logs = size(20, 100) if scenario == "resumed" else 1
    (quick_folder / "counted").mkdir()
    job = {
        "work": "extract",
        "root": quick_folder / "counted" / "above" / "cache",
        "watched": quick_folder / "counted",
        "seed": 0,
    }
    total = server.run(
        **job
    ).calls  # a run killed before the last of them has everything, and nobody has said so yet
    for number in range(logs):
        recorded = quick_folder / f"recorded-{number}"
        calls, start = record(
            scenario, recorded, server, reference, at=total - number * (total - 1) // logs
        )
        num_calls.append(len(calls))
        old = {
            name.removeprefix("above/cache/"): content
            for name, content in (
                (str(Path(path).relative_to(recorded)), content_of(file, None))
                for path, file in start.items()
                if file is not None
            )
        }
        for seed in range(trials // logs):
            kind = ("prefix", "torn", "reordered", "reordered")[seed % 4]
            generator = np.random.default_rng([number, seed])
            disk, names = crash(calls, start, kind, generator)
            shutil.rmtree(trial, ignore_errors=True)
            trial.mkdir()
            put_on_disk(names, trial, recorded, generator if kind == "reordered" else None)
            root = trial / "above" / "cache"
            other += sum(
                content not in (reference.files[name], old.get(name))
                for name, content in snapshot(root).items()
            )
            resume_and_check(root, reference, disk.noted, tally)
    count(
        f"R3 power cuts: {scenario} cache, {tally.trials} replays of {min(num_calls)} to "
        f"{max(num_calls)} recorded calls (prefix, torn, reordered): "
        f"{other} files neither old nor new; {tally}"
    )
    assert other == 0
    assert tally.is_clean


def test_an_unsynced_protocol_is_caught(quick_folder):
    """The replay can fail: a file renamed into place without an fsync is found torn."""
    path = str(quick_folder / "cache")
    calls = [
        Call("mkdir", -1, 0, path, "", b""),
        Call("create", 3, 0, f"{path}/a.tmp", "", b""),
        Call("write", 3, 0, "", "", b"x" * 5000),
        Call("close", 3, 0, "", "", b""),
        Call("rename", -1, 0, f"{path}/a.tmp", f"{path}/a", b""),
    ]
    states = set()
    for seed in range(200):
        generator = np.random.default_rng(seed)
        _, names = crash(calls, {}, "reordered", generator)
        file = names.get(f"{path}/a")
        states.add(None if file is None else content_of(file, generator))
    assert len(states) > 10
