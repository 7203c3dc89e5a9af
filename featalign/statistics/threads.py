"""How many threads linear algebra gets.

Small matrices get one thread each, and several of them are computed side by side.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from threading import RLock
from typing import TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

SMALL = 512**2  # entries of a matrix: see experiments/performance/README.md
MOST_WORKERS = 4
SIDE_BY_SIDE = 200  # rows from which a thread of Python costs less than it saves
Item = TypeVar("Item")
Found = TypeVar("Found")
# the number of threads is set for the whole process, so one thread at a time may set and restore it
_WITHIN = RLock()


@contextmanager
def threads_for(rows: int, columns: int) -> Iterator[None]:
    """A context in which LAPACK and BLAS use one thread if matrices of this size are small.

    Threads of OpenBLAS wait for each other in a loop. A decomposition of 240 x 240 gains nothing
    from a second thread, and costs many times as much where other work holds the processor. A
    thread that enters while another one is inside sets nothing, and uses the threads there are.
    Numbers change by no more than rounding.

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


def side_by_side(
    function: Callable[[Item], Found],
    items: Sequence[Item],
    rows: int,
    columns: int,
) -> list[Found]:
    """`function` of each item, in threads of Python where matrices are small.

    One item with large matrices gives work to all threads by itself. JAX's switches, such as that
    to float64, belong to each thread, so `function` has to set them itself.

    >>> side_by_side(abs, [-1, 2], 2, 2)
    [1, 2]
    """
    workers = min(MOST_WORKERS, _cores(), len(items)) if rows * columns <= SMALL else 1
    if workers < 2:
        return [function(item) for item in items]
    with threads_for(rows, columns), ThreadPoolExecutor(workers) as pool:
        return list(pool.map(function, items))


def decompositions(matrices: Sequence[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Eigenvalues (T,), ascending, and eigenvectors (T, T) of each of some symmetric matrices.

    The matrices should be of about one size.

    >>> [values.tolist() for values, _ in decompositions([np.eye(2), np.diag([3.0, 2.0])])]
    [[1.0, 1.0], [2.0, 3.0]]
    """
    cores, rows = _cores(), len(matrices[0])
    # where there are too few, each has work for several threads
    too_few = len(matrices) < cores and rows * rows > SMALL
    if rows < SIDE_BY_SIDE or too_few:
        with threads_for(rows, rows):
            found = [np.linalg.eigh(matrix) for matrix in matrices]
    else:
        with threads_for(0, 0), ThreadPoolExecutor(cores) as pool:
            found = list(pool.map(np.linalg.eigh, matrices))
    return [(each.eigenvalues, each.eigenvectors) for each in found]


def _cores() -> int:
    """The cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # some systems lack it
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1


@cache
def _controller() -> ThreadpoolController:
    """The controller of all libraries; to look them up takes milliseconds, so it is done once."""
    import scipy.linalg  # noqa: F401  (brings a library of its own, which JAX calls too)

    return ThreadpoolController()
