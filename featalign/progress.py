"""What is told of long work, and its bars: one per source, on a terminal only."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Report(Protocol):
    """Is told of long work: what is done, how much of how much, and how much was found done."""

    def __call__(self, what: str, done: int, total: int, found: int = 0, /) -> None:
        """So much is done of so much in all, beside what was found in the cache."""
        ...


def silent(what: str, done: int, total: int, found: int = 0, /) -> None:
    """Reports nothing."""


@contextmanager
def progress_bar(*, show: bool | None = None) -> Iterator[Report]:
    """What draws one bar for each thing that is done.

    A bar shows the rows found in the cache and the rows done. `show` None means: when standard
    error is a terminal.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield silent
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[found]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def report(what: str, done: int, total: int, found: int = 0, /) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total, found="")
            progress.update(
                tasks[what],
                completed=found + done,
                total=total,
                found=f"{found} in the cache" if found else "",
            )

        yield report
