"""Records of really trained arms, as JSON lines.

They survive an interruption, and several processes may write at once.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from featalign.errors import FeatalignError
from featalign.forecasting.shift import Shift
from featalign.records.evidence import Evidence
from featalign.records.plain import from_plain

SCHEMA = 1
KEY = ("source", "target", "size", "seed", "arm")

try:
    import fcntl
except ImportError:  # some systems lack it; one process at a time must do there
    fcntl = None  # type: ignore[assignment]


def read_records(path: Path, *, key: Iterable[str] = KEY) -> list[dict[str, Any]]:
    """All records of a file, the last one of each key; there are none where there is no file.

    A last line that an interruption cut short is left out. Raises FeatalignError for a broken line
    in the middle, a record without one of its names, or one of a newer schema.
    """
    if not path.exists():
        return []
    names, found = tuple(key), {}
    lines = path.read_bytes().split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict):
            if number == len(lines):
                continue
            raise FeatalignError(
                f"{path}: expected a record in JSON in line {number}, got "
                f"{line[:40].decode(errors='replace')!r}; remove the line"
            )
        missing = [name for name in ("schema", *names) if name not in record]
        if missing:
            raise FeatalignError(
                f"{path}: expected {missing[0]!r} in the record of line {number}, got "
                f"{', '.join(record)}; mend or remove the line"
            )
        if record["schema"] > SCHEMA:
            raise FeatalignError(
                f"{path}: line {number} is of schema {record['schema']}, this featalign reads up "
                f"to {SCHEMA}; install a newer one"
            )
        found[tuple(record[name] for name in names)] = record
    return list(found.values())


def append_record(path: Path, record: dict[str, Any]) -> None:
    """Add a record as a line, which is on disk when this returns, whoever else writes."""
    line = json.dumps({"schema": SCHEMA, **record}, allow_nan=False).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        if fcntl is not None:
            fcntl.flock(file, fcntl.LOCK_EX)
        _cut_torn_line(file)
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def _cut_torn_line(file: IO[bytes]) -> None:
    """Remove an unfinished line that a killed writer left, and go to the end."""
    end = file.seek(0, os.SEEK_END)
    start = end
    while start > 0:
        begin = max(0, start - 65536)
        file.seek(begin)
        place = file.read(start - begin).rfind(b"\n")
        if place >= 0:
            start = begin + place + 1
            break
        start = begin
    if start < end:
        file.truncate(start)
    file.seek(0, os.SEEK_END)


class Claims:
    """Claims of units by processes that share a folder.

    A claim ends with its process, however that ends.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open(
            "a+b"
        )  # it is opened once, because closing any handle gives up all claims of the process

    @contextmanager
    def claim(self, place: int) -> Iterator[bool]:
        """Whether the unit of this number is ours until the block ends."""
        if fcntl is None:
            yield True
            return
        try:
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except OSError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, place)

    def close(self) -> None:
        """Give up all claims."""
        self._file.close()


def evidence_in(record: Mapping[str, Any]) -> Evidence:
    """The evidence that a line of `validate evidence` holds.

    Raises FeatalignError for evidence of another form.
    """
    return from_plain(Evidence, record["evidence"])


def shift_in(record: Mapping[str, Any]) -> float:
    """The clear shift of held-out rows, in log-odds, that a line of `validate evidence` holds."""
    stated = record.get("shift")
    return 0.0 if stated is None else Shift(**stated).clear
