"""Prepared inputs, which are an array, or arrays by name as texts have them, and rows of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

MASK = "attention_mask"  # it says which places of a padded text are not padding
# words in their sentences: each row's sentence, and which pieces of it belong to the row's word
SENTENCE, PIECES = "sentence_of_row", "pieces_of_row"


@dataclass(frozen=True, eq=False)
class Named:
    """Arrays by name; rows of it are taken as from an array.

    Columns in which all these rows are padding are left out.

    >>> ids, mask = np.array([[5, 6, 7], [5, 0, 0]]), np.array([[1, 1, 1], [1, 0, 0]])
    >>> Named({"input_ids": ids, MASK: mask})[np.array([1])]["input_ids"]
    array([[5]])
    """

    arrays: Mapping[str, Any]

    def __len__(self) -> int:
        return count(self.arrays)

    @property
    def nbytes(self) -> int:
        """The size in memory."""
        return sum(getattr(array, "nbytes", 0) for array in self.arrays.values())

    def __getitem__(self, rows: np.ndarray) -> dict[str, Any]:
        if SENTENCE not in self.arrays:
            return _trimmed({name: _rows(array, rows) for name, array in self.arrays.items()})
        sentences, places = np.unique(self.arrays[SENTENCE][rows], return_inverse=True)
        return _trimmed(
            {
                name: _rows(array, rows if name == PIECES else sentences)
                for name, array in self.arrays.items()
                if name != SENTENCE
            }
            | {SENTENCE: places.reshape(-1)}
        )


def indexable(prepared: Any) -> Any:
    """Prepared inputs as something of which rows can be taken: an array, or `Named`."""
    if not isinstance(prepared, Mapping):
        return np.asarray(prepared)
    return Named({name: _as_array(value) for name, value in prepared.items()})


def count(prepared: Any) -> int:
    """The number of rows of prepared inputs."""
    if not isinstance(prepared, Mapping):
        return len(prepared)
    if SENTENCE in prepared:
        return len(prepared[SENTENCE])
    return next(len(value) for value in prepared.values() if np.ndim(value))


def _as_array(value: Any) -> Any:
    """A tensor or a list of numbers as an array; anything else as it is."""
    if isinstance(value, np.ndarray) or not hasattr(value, "__array__"):
        return value
    return np.asarray(value)


def _rows(array: Any, rows: np.ndarray) -> Any:
    return array[rows] if isinstance(array, np.ndarray) and array.ndim else array


def _trimmed(arrays: dict[str, Any]) -> dict[str, Any]:
    """The arrays without the columns in which all rows are padding."""
    mask = arrays.get(MASK)
    if mask is None or np.ndim(mask) != 2 or not mask.any():
        return arrays
    used = np.flatnonzero(mask.any(axis=0))
    columns = slice(used[0], used[-1] + 1)
    return {
        name: array[:, columns]
        if isinstance(array, np.ndarray) and array.ndim == 2 and array.shape[1] == mask.shape[1]
        else array
        for name, array in arrays.items()
    }
