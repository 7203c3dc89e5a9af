"""The cache as a table."""

import time
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from featalign.embeddings.maintenance import Entry


def cache_table(entries: Sequence[Entry], root: Path, *, now: float | None = None) -> Table:
    """One line per embedding, the most recently used first."""
    now = time.time() if now is None else now
    total = sum(entry.num_bytes for entry in entries)
    table = Table(title=f"{root}: {len(entries)} embeddings, {format_bytes(total)}")
    for name in ("key", "source", "layer", "target"):
        table.add_column(name, no_wrap=True)
    for name in ("rows x features", "type", "size", "used"):
        table.add_column(name, justify="right")
    table.add_column("")
    for entry in entries:
        table.add_row(
            entry.key[:12],
            entry.source,
            entry.layer,
            entry.target,
            f"{entry.num_rows} x {entry.num_features}",
            entry.dtype,
            format_bytes(entry.num_bytes),
            f"{format_age(now - entry.used)} ago",
            ""
            if entry.is_complete
            else f"{entry.shards_present} of {entry.shards_expected} shards",
        )
    return table


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
