"""How many threads linear algebra gets: one where matrices are small, and then several matrices side by side."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import RLock

import numpy as np
from threadpoolctl import ThreadpoolController

SMALL = 512**2  # entries of a matrix: see experiments/performance/README.md
_WITHIN = RLock()  # the number of threads is the process's, so that one thread at a time may set it and put it back


@contextmanager
def threads_for(rows: int, columns: int) -> Iterator[None]:
    """Within it LAPACK and BLAS use one thread if matrices of so many rows and columns are small.

    Threads of OpenBLAS wait for each other in a loop: a decomposition of 240 x 240 gains nothing from a second one, and
    where other work holds the processor it costs many times as much. A thread that comes while another one is within
    sets nothing, and has what there is. Numbers stay what they are but for rounding.

    >>> with threads_for(2, 2):
    ...     np.linalg.eigvalsh(np.eye(2))
    array([1., 1.])
    """
    if rows * columns > SMALL or not _WITHIN.acquire(blocking=False):
        yield
        return
    try:
        with _controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        _WITHIN.release()


def decompositions(matrices: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Eigenvalues (T,), ascending, and eigenvectors (T, T) of each of some symmetric matrices of about one size.

    >>> [values.tolist() for values, _ in decompositions([np.eye(2), np.diag([3.0, 2.0])])]
    [[1.0, 1.0], [2.0, 3.0]]
    """
    rows, columns = matrices[0].shape
    side_by_side = min(len(matrices), os.cpu_count() or 1) if rows * columns <= SMALL else 1
    with threads_for(rows, columns), ThreadPoolExecutor(side_by_side) as pool:
        return [(found.eigenvalues, found.eigenvectors) for found in pool.map(np.linalg.eigh, matrices)]


@cache
def _controller() -> ThreadpoolController:
    """Looking the libraries up takes milliseconds, and is done once."""
    import scipy.linalg  # noqa: F401  (brings a library of its own, which JAX calls too)

    return ThreadpoolController()
