"""The surroundings of a command: the console, the cache, and compiled code."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from featalign.embeddings.store import Store
    from featalign.views.cells import Sheet


def store_at(cache: Path | None) -> "Store":
    """The cache at this place, or at the default one."""
    from featalign.embeddings.location import default_cache
    from featalign.embeddings.store import Store

    return Store(cache or default_cache())


def console() -> "Console":
    """Standard output, with a fixed width where it is no terminal."""
    from rich.console import Console

    from featalign.views.text import width_of

    return Console(width=width_of(sys.stdout))


def show(sheet: "Sheet", *, wide: bool = False) -> None:
    """Print an answer on standard output."""
    from featalign.views.text import print_sheet

    print_sheet(sheet, console(), wide=wide)


def prepare(cache: Path | None = None, *, needs_cache: bool = True) -> None:
    """What comes before work: a cache that cannot be made is said, and compiled code is kept.

    What JAX compiles is kept between runs of the shell, also for training and gradients.
    """
    from featalign.embeddings.location import ready_cache
    from featalign.jobs import compiled

    if needs_cache:
        ready_cache(cache)
    compiled.keep_compiled()
