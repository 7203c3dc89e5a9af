"""What the commands of the shell share: options, the console, the cache, what JAX compiles."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from featalign.embeddings.store import Store

Sources = Annotated[
    list[str],
    typer.Option(
        "--source",
        "-s",
        help="Address of a source, with wildcards; repeat for several. Example: 'zoo/*'.",
    ),
]
TargetAddress = Annotated[
    str,
    typer.Option(
        "--target",
        "-t",
        help="A folder of class folders, .npz, .csv, .jsonl, .parquet, hf:NAME, sklearn:NAME.",
    ),
]
Subset = Annotated[int | None, typer.Option(help="Use so many training rows, stratified by class.")]
Seed = Annotated[int, typer.Option(help="Draws subset, folds and samples.")]
Layers = Annotated[
    str | None,
    typer.Option(help="Layers, separated by commas, or 'all'; default: each source's own."),
]
Scorers = Annotated[str | None, typer.Option(help="Scorers, separated by commas; default: all.")]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the cache; default: FEATALIGN_CACHE, cache/ in a checkout, else the "
        "platform's."
    ),
]
Label = Annotated[
    str | None, typer.Option(help="The label column of a table; or several, separated by commas.")
]
Text = Annotated[
    str | None, typer.Option(help="The text column of a table, or two, separated by a comma.")
]
Image = Annotated[
    str | None, typer.Option(help="The column of images, or of their paths, of a table.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for machines instead of a table.")]
Intervals = Annotated[
    bool,
    typer.Option(
        "--intervals", help="Also the zero (labels permuted) and a 90% interval of each score."
    ),
]


def store_at(cache: Path | None) -> "Store":
    """The cache at this place, or where it lies by default."""
    from featalign.embeddings.location import default_cache
    from featalign.embeddings.store import Store

    return Store(cache or default_cache())


def console() -> "Console":
    """Standard output, of a fixed width where it is no terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120)


def keep_compiled() -> None:
    """Keep what JAX compiles between runs of the shell, training and gradients too."""
    from featalign.jobs import compiled

    compiled.keep_compiled()
