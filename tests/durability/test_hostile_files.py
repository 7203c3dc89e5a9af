"""S1.

Malicious files: refused within 5 seconds and 512 MB, and nothing else opened, by audit hooks and by
the shim under the C library.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.durability.hostile import ALL
from tests.durability.server import REPOSITORY
from tests.durability.sizes import size

pytestmark = pytest.mark.slow

SECONDS, BYTES = 5.0, 512 << 20
BAIT = b"TOPSECRET" * 100


def watch(folder: Path, shim: Path | None, files: dict[str, Path]) -> dict[str, dict]:
    """What `refuse.py` says about each file."""
    os.mkfifo(folder / "pipe")
    (folder / "files.json").write_text(
        json.dumps({name: str(path) for name, path in files.items()})
    )
    command = [
        sys.executable,
        "-m",
        "tests.durability.refuse",
        str(folder / "pipe"),
        str(shim or ""),
        str(folder / "files.json"),
    ]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {record["name"]: record for record in map(json.loads, done.stdout.splitlines())}


def may_be_opened(record: dict, path: Path) -> bool:
    """Whether each process opened no more than it may.

    This process may open the file itself and what starting another process takes, and the reading
    one nothing at all.
    """
    return (
        set(record["opened"]) <= {str(path), "/dev/null", *(str(number) for number in range(1024))}
        and record["tried"] == []
    )


@pytest.fixture(scope="module")
def refused(tmp_path_factory, shim):
    """Every hostile file, made and opened under watch: name to record, path and expected reason."""
    folder = tmp_path_factory.mktemp("hostile")
    files, reasons = {}, {}
    for make, suffix in ALL:
        place = folder / make.__name__ / "inner"
        place.mkdir(parents=True)
        for bait in (place / "secret.h5", place / "secret.bin", place.parent / "secret.bin"):
            bait.write_bytes(BAIT)
        files[make.__name__] = place / f"hostile{suffix}"
        reasons[make.__name__] = make(files[make.__name__])
    records = watch(folder, shim, files)
    return {name: (records[name], files[name], reasons[name]) for name in files}


@pytest.mark.parametrize("name", [make.__name__ for make, _ in ALL])
def test_refused(refused, name):
    record, path, reason = refused[name]
    assert re.search(reason, record["said"]), record
    assert record["seconds"] < SECONDS, record
    assert record["peak"] < BYTES, record
    assert may_be_opened(record, path), record


def test_count(refused, shim, count):
    records = [record for record, _, _ in refused.values()]
    outside = sum(not may_be_opened(record, path) for record, path, _ in refused.values())
    how = "audit hooks and the shim" if shim else "audit hooks"
    count(
        f"S1 hostile files: {sum(bool(record['said']) for record in records)} of {len(records)} "
        "refused, the slowest in "
        f"{max(record['seconds'] for record in records):.1f} s, at most "
        f"{max(record['peak'] for record in records) / 1e6:.0f} MB, "
        f"{outside} opened anything else ({how})"
    )
    assert len(records) >= 40
    assert outside == 0


def test_the_watch_notices(tmp_path, shim, count):
    """The hooks can catch something.

    A reading process opens the bait, from Python and from C.
    """
    path, bait = tmp_path / "sound.npy", tmp_path / "secret.h5"
    np.save(path, np.ones((4, 3)))
    bait.write_bytes(BAIT)
    program = (
        "import sys; from featalign.embeddings import foreign_numpy; import h5py\n"
        "def inspect(file, size, request):\n"
        f"    for attempt in (lambda: open({str(bait)!r}), lambda: h5py.File({str(bait)!r})):\n"
        "        try: attempt()\n"
        "        except OSError: pass\n"
        "    raise foreign_numpy.Refused('done')\n"
        "foreign_numpy.inspect = inspect\n"
    )
    patch = tmp_path / "patched.py"
    patch.write_text(
        "import runpy, sys\nfrom featalign.embeddings import foreign\ncommand = foreign._command\n"
        f"spoiled = {program!r}\n"
        "def spoil(request):\n"
        "    *head, given, last = command(request)\n"
        "    return [*head, given.replace('from featalign', spoiled + 'from featalign', 1), last]\n"
        "foreign._command = spoil\n"
        "sys.argv = sys.argv[1:]\nrunpy.run_module('tests.durability.refuse', "
        "run_name='__main__')\n"
    )
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "files.json").write_text(json.dumps({"sound": str(path)}))
    command = [
        sys.executable,
        str(patch),
        "refuse",
        str(tmp_path / "pipe"),
        str(shim or ""),
        str(tmp_path / "files.json"),
    ]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    record = json.loads(done.stdout)
    assert sum(str(bait) in line for line in record["tried"]) >= (3 if shim else 1), record


def test_mutated_files(tmp_path, shim, count):
    """Random damage to files of every kind.

    A file is read or refused, never slow, large, or led elsewhere.
    """
    sources = []
    with h5py.File(tmp_path / "plain.h5", "w", libver="latest") as file:
        file["features"] = np.random.default_rng(0).standard_normal((20, 5))
        file["labels"] = np.arange(20)
        file.create_dataset("packed", data=np.zeros((50, 50)), chunks=(10, 10), compression="gzip")
    sources.append(tmp_path / "plain.h5")
    np.savez_compressed(tmp_path / "plain.npz", features=np.ones((20, 5)), labels=np.arange(20))
    sources.append(tmp_path / "plain.npz")
    files = {}
    for seed in range(size(40, 4000)):
        generator = np.random.default_rng(seed)
        source = sources[int(generator.random() < 0.25)]
        content = bytearray(source.read_bytes())
        for _ in range(generator.integers(1, 8)):
            place = int(generator.integers(len(content)))
            content[place : place + int(generator.choice([1, 1, 2, 8]))] = generator.bytes(
                int(generator.choice([1, 1, 2, 8]))
            )
        files[str(seed)] = tmp_path / f"{seed}{source.suffix}"
        files[str(seed)].write_bytes(content)
    records = watch(tmp_path, shim, files)
    refused = sum(bool(record["said"]) for record in records.values())
    count(
        f"S1 mutated files: {len(records)}, {refused} refused and {len(records) - refused} read, "
        "the slowest in "
        f"{max(record['seconds'] for record in records.values()):.1f} s, at most "
        f"{max(record['peak'] for record in records.values()) / 1e6:.0f} MB"
    )
    for name, record in records.items():
        assert record["seconds"] < SECONDS, record
        assert record["peak"] < BYTES, record
        assert may_be_opened(record, files[name]), record
