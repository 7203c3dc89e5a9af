"""The surroundings of a command: the console, the cache, and compiled code."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from featalign.embeddings.store import Store


def store_at(cache: Path | None) -> "Store":
    """The cache at this place, or at the default one."""
    from featalign.embeddings.location import default_cache
    from featalign.embeddings.store import Store

    return Store(cache or default_cache())


def console() -> "Console":
    """Standard output, with a fixed width where it is no terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 120)


def keep_compiled() -> None:
    """Keep what JAX compiles between runs of the shell, also for training and gradients."""
    from featalign.jobs import compiled

    compiled.keep_compiled()
