"""How long work reports its progress, and the bars that show it on a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from featalign.log import is_quiet


class Report(Protocol):
    """A function that long work calls to report its progress."""

    def __call__(self, what: str, done: int, total: int, found: int = 0, /) -> None:
        """Report that of `total`, `found` were in the cache and `done` more are done."""
        ...


def silent(what: str, done: int, total: int, found: int = 0, /) -> None:
    """Report nothing."""


@contextmanager
def progress_bar(*, show: bool | None = None) -> Iterator[Report]:
    """A context whose report draws one bar for each piece of work.

    A bar shows the rows found in the cache and the rows done. With `show` None, bars are drawn
    where standard error is a terminal, unless the logger `featalign` is turned down to errors.
    """
    if not (sys.stderr.isatty() and not is_quiet() if show is None else show):
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
