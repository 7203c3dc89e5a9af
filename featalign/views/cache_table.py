"""The cache as a table."""

import time
from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table
from rich.text import Text

from featalign.embeddings.maintenance import Entry
from featalign.views.names import short_name

WHOLE = 130  # columns from which each thing has its own


def cache_table(
    entries: Sequence[Entry], root: Path, *, now: float | None = None, width: int = 120
) -> Table:
    """One line per embedding, the most recently used first.

    Below 130 columns source, layer and target share a column, and the type goes.
    """
    now = time.time() if now is None else now
    total = sum(entry.num_bytes for entry in entries)
    title = f"{len(entries)} embeddings, {format_bytes(total)}"
    table = Table(title=title, caption=escape(str(root)))
    (_whole if width >= WHOLE else _narrow)(table, entries, now)
    return table


def _whole(table: Table, entries: Sequence[Entry], now: float) -> None:
    table.add_column("key", no_wrap=True)
    for name in ("source", "layer", "target"):
        table.add_column(name, overflow="fold")
    for name in ("rows x features", "type", "size", "used"):
        table.add_column(name, justify="right", no_wrap=True)
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
            _lack(entry),
        )


def _narrow(table: Table, entries: Sequence[Entry], now: float) -> None:
    table.add_column("key", no_wrap=True)
    table.add_column("source, layer, target", overflow="fold")
    for name in ("rows x features", "size", "used"):
        table.add_column(name, justify="right", no_wrap=True)
    for entry in entries:
        lines = [short_name(entry.source), entry.layer, f"on {entry.target}", _lack(entry)]
        table.add_row(
            entry.key[:8],
            Text("\n".join(line for line in lines if line)),
            f"{entry.num_rows} x {entry.num_features}",
            format_bytes(entry.num_bytes),
            f"{format_age(now - entry.used)} ago",
        )


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
