"""featalign validate run, evidence, short: each measures the pairs of a grid and adds to a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from featalign.cli.context import prepare
from featalign.cli.options import Cache, GridFile
from featalign.progress import progress_bar


def run(
    grid: GridFile,
    records: Annotated[
        Path | None,
        typer.Option(help="File of records to add to; default: records.jsonl beside the grid."),
    ] = None,
) -> None:
    """Train every arm of a grid that has no record yet.

    It can be stopped at any moment, and run in several processes.
    """
    from featalign.study.grid import read_grid
    from featalign.study.run import run_study

    prepare(needs_cache=False)
    stated, path = read_grid(grid), records or grid.with_name("records.jsonl")
    with progress_bar() as report:

        def told(what: str, done: int, total: int, found: int = 0, /) -> None:
            report(what if what == "units" else "this training", done, total, found)

        trained = run_study(stated, path, report=told)
    print(f"{trained} arms trained, records in {path}")


def evidence(
    grid: GridFile,
    path: Annotated[
        Path | None,
        typer.Option("--evidence", help="File to add to; default: evidence.jsonl beside the grid."),
    ] = None,
    cache: Cache = None,
) -> None:
    """Add what the cache says of each source on each part of a grid.

    That is the scores of source and twins, and tangent accuracies. Several processes may do it at
    once.
    """
    from featalign.study.gathering import run_evidence

    into = path or grid.with_name("evidence.jsonl")
    added = _gathered(run_evidence, grid, into, cache)
    print(f"{added} parts looked at, evidence in {into}")


def short(
    grid: GridFile,
    path: Annotated[
        Path | None,
        typer.Option("--short", help="File to add to; default: short.jsonl beside the grid."),
    ] = None,
    cache: Cache = None,
) -> None:
    """Add short runs of each source, and from scratch, on each part of a grid.

    A short run is half a training, looked at on the way. Several processes may do it at once.
    """
    from featalign.study.gathering import run_short

    into = path or grid.with_name("short.jsonl")
    added = _gathered(run_short, grid, into, cache)
    print(f"{added} short runs, records in {into}")


def _gathered(gather: Callable[..., int], grid: Path, into: Path, cache: Path | None) -> int:
    """Gather what is known of the pairs of a grid, and return the number of new records."""
    from featalign.study.grid import read_grid

    prepare(cache)
    stated = read_grid(grid)
    with progress_bar() as report:
        return gather(stated, into, cache=cache, report=report)
