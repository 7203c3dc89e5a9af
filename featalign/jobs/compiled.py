"""Compiled code of JAX, kept on disk, because compiling would take most of a cached ranking."""

import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import jax
import platformdirs
from jax.experimental.compilation_cache import compilation_cache

FOLDER = "jax_compilation_cache_dir"
MOST_BYTES = 512 << 20


def keep_compiled() -> None:
    """Let JAX keep what it compiles, unless the user chose a place for it or turned it off."""
    for name, value in _settings().items():
        jax.config.update(name, value)


def _settings() -> dict[str, Any]:
    """What to set: nothing where the user has settings or the folder cannot be written."""
    enabled, own = (getattr(jax.config, name) for name in ("jax_enable_compilation_cache", FOLDER))
    folder = Path(platformdirs.user_cache_dir("featalign-compiled"))
    if own is not None or not enabled or not _is_usable(folder):
        return {}
    return {
        FOLDER: str(folder),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }


@cache
def _is_usable(folder: Path) -> bool:
    """Whether the folder can be written; the oldest files are removed where there are too many."""
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        return False
    with suppress(OSError):  # another process may remove them too
        stated = [(path, path.stat()) for path in folder.iterdir() if path.is_file()]
        size = sum(status.st_size for _, status in stated)
        for path, status in sorted(stated, key=lambda each: each[1].st_mtime):
            if size <= MOST_BYTES:
                break
            path.unlink(missing_ok=True)
            size -= status.st_size
    return True


def _make() -> Callable[[], None]:
    settings = _settings()
    before = {name: getattr(jax.config, name) for name in settings}
    for name, value in settings.items():
        jax.config.update(name, value)

    def take_back() -> None:
        for name, value in before.items():
            jax.config.update(name, value)
        if before:
            compilation_cache.reset_cache()  # without this JAX goes on with the folder it opened

    return take_back


class _Kept:
    """A context that the first thread to enter sets up and the last one to leave takes back.

    Threads may thus overlap.
    """

    def __init__(self) -> None:
        self.lock, self.within = Lock(), 0
        self.take_back: Callable[[], None] = lambda: None

    def __enter__(self) -> None:
        with self.lock:
            if self.within == 0:
                self.take_back = _make()
            self.within += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.within -= 1
            if self.within == 0:
                self.take_back()


# A context for our own functions. JAX's configuration belongs to the whole process, and is the
# user's again when no thread is inside. What other threads compile meanwhile is kept too.
compiled_code_kept = _Kept()
