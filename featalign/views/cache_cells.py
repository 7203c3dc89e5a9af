"""The cache, laid out."""

import time
from collections.abc import Sequence
from pathlib import Path

from featalign.embeddings.maintenance import Entry
from featalign.views.cells import Cell, Column, Note, Sheet, Table, rows_of, words

COLUMNS = (
    Column(key="key", title="key", align="left"),
    Column(key="source", title="source", align="left", fit="name"),
    Column(key="layer", title="layer", align="left"),
    Column(key="target", title="target", align="left"),
    Column(key="num_rows", title="rows", priority=1),
    Column(key="num_features", title="features", priority=2),
    Column(key="dtype", title="type", priority=5),
    Column(key="num_bytes", title="size"),
    Column(key="used", title="used", priority=3),
    Column(key="lack", align="left", fit="words"),
)


def cache_sheet(entries: Sequence[Entry], root: Path, *, now: float | None = None) -> Sheet:
    """One line per embedding, the most recently used first."""
    now = time.time() if now is None else now
    total = sum(entry.num_bytes for entry in entries)
    rows = [
        (
            Cell(text=entry.key[:8], value=entry.key),
            words(entry.source),
            words(entry.layer),
            words(entry.target),
            Cell(text=str(entry.num_rows), value=entry.num_rows),
            Cell(text=str(entry.num_features), value=entry.num_features),
            words(entry.dtype),
            Cell(text=format_bytes(entry.num_bytes), value=entry.num_bytes),
            Cell(text=f"{format_age(now - entry.used)} ago", value=entry.used),
            words(_lack(entry), emphasis="warning"),
        )
        for entry in entries
    ]
    columns = COLUMNS if any(map(_lack, entries)) else COLUMNS[:-1]
    table = Table(
        name="cache",
        title=f"{len(entries)} embeddings, {format_bytes(total)}",
        columns=columns,
        rows=rows_of(row[: len(columns)] for row in rows),
    )
    return Sheet(blocks=(table, Note(text=str(root), emphasis="dim")), whole=table)


def _lack(entry: Entry) -> str:
    """What an embedding that is not whole has; nothing of others."""
    if entry.is_complete:
        return ""
    return f"{entry.shards_present} of {entry.shards_expected} shards"


def format_bytes(number: float) -> str:
    """A number of bytes as people read it.

    >>> format_bytes(12_345_678)
    '12.3 MB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def format_age(seconds: float) -> str:
    """A span of time as people read it.

    >>> format_age(7200)
    '2 h'
    """
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
