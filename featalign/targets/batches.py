"""A target in batches of one size, of which the last one is padded."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from featalign.checks import check_whole
from featalign.targets.target import Target, check_rows

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Batch:
    """`batch_size` raw inputs with their labels (B,) or (B, K).

    `valid` (B,) says which of them count, and `rows` (B,) are their row numbers.
    """

    inputs: np.ndarray | list
    labels: np.ndarray
    valid: np.ndarray
    rows: np.ndarray


def batches(target: Target, batch_size: int, *, rows: np.ndarray | None = None) -> Iterator[Batch]:
    """Batches of a target, or of some of its rows, in order; each is read when it is asked for.

    Every batch has exactly `batch_size` inputs, so that a function compiled for one fits all. The
    last batch repeats its last row, with `valid` False there. Raises FeatalignError for a batch
    size below 1 or rows out of range.

    >>> target = Target.from_arrays("numbers", np.arange(6.0).reshape(3, 2), [0, 1, 1])
    >>> [batch.valid.tolist() for batch in batches(target, 2)]
    [[True, True], [True, False]]
    """
    batch_size = check_whole(batch_size, "batch_size")
    chosen = np.arange(target.num_rows) if rows is None else check_rows(rows, target.num_rows)
    return (
        _batch(target, chosen[start : start + batch_size], batch_size)
        for start in range(0, len(chosen), batch_size)
    )


def read_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items; a thread makes the next one while the caller works on this one.

    >>> list(read_ahead(iter("abc")))
    ['a', 'b', 'c']
    """
    end = object()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, items, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, items, end)
            yield item  # type: ignore[misc]


def _batch(target: Target, rows: np.ndarray, batch_size: int) -> Batch:
    inputs = target.inputs.read(rows)
    places = np.minimum(np.arange(batch_size), len(rows) - 1)
    if len(rows) < batch_size:
        inputs = (
            inputs[places]
            if isinstance(inputs, np.ndarray)
            else [inputs[place] for place in places]
        )
    padded = rows[places]
    return Batch(inputs, target.labels[padded], np.arange(batch_size) < len(rows), padded)
