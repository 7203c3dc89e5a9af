"""How many threads linear algebra gets: one where matrices are small."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache

from threadpoolctl import ThreadpoolController

from featalign.statistics.process_setting import ProcessSetting

SMALL = 512**2  # entries of a matrix: see experiments/performance/README.md


def threads_for(rows: int, columns: int) -> AbstractContextManager[None]:
    """A context in which LAPACK and BLAS use one thread if matrices of so many rows and columns are small.

    Threads of OpenBLAS wait for each other in a loop: a decomposition of 240 x 240 gains nothing from a second one, and
    where other work holds the processor it costs many times as much. Numbers stay what they are but for rounding, and
    do not depend on what else runs.

    >>> import numpy as np
    >>> with threads_for(2, 2):
    ...     np.linalg.eigvalsh(np.eye(2))
    array([1., 1.])
    """
    return _ONE_THREAD if rows * columns <= SMALL else nullcontext()


@cache
def _controller() -> ThreadpoolController:
    """Looking the libraries up takes milliseconds, and is done once."""
    import scipy.linalg  # noqa: F401  (brings a library of its own, which JAX calls too)

    return ThreadpoolController()


def _make() -> Callable[[], None]:
    return _controller().limit(limits=1, user_api="blas").restore_original_limits


_ONE_THREAD = ProcessSetting(_make)
