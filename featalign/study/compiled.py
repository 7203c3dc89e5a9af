"""Compiled functions leave memory before a process holds too many of them."""

from pathlib import Path

MAPS = Path("/proc/self/maps")
MOST_MAPS = 30_000  # Linux allows a process 65,530 mapped areas; each compiled function takes some


def forget_compiled(most: int = MOST_MAPS) -> bool:
    """Let compiled functions go where the process has many mapped areas; say whether it did.

    A long study compiles for each architecture, size and number of classes. At the limit of the
    system the next one cannot be compiled, and the process dies. Elsewhere than on Linux nothing is
    known of this, and nothing is done.
    """
    try:
        count = MAPS.read_bytes().count(b"\n")
    except OSError:
        return False
    if count <= most:
        return False
    import jax

    jax.clear_caches()
    return True
