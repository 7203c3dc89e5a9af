"""Progress bars: one per source, on a terminal only."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Report = Callable[[str, int, int, int], None]


def _silent(description: str, found: int, done: int, total: int) -> None:
    """Reports nothing."""


@contextmanager
def progress_bar(*, show: bool | None = None) -> Iterator[Report]:
    """A function `report(description, found, done, total)` that draws one bar per description.

    A bar shows the rows found in the cache and the rows done. `show` None means: when standard
    error is a terminal.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield _silent
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

        def report(description: str, found: int, done: int, total: int) -> None:
            if description not in tasks:
                tasks[description] = progress.add_task(description, total=total, found="")
            progress.update(
                tasks[description],
                completed=found + done,
                total=total,
                found=f"{found} in the cache" if found else "",
            )

        yield report
