"""Shared array names and the checks at the package's boundary."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from featalign.errors import FeatalignError
from featalign.nearest import did_you_mean

FLOATING = ("float16", "bfloat16", "float32", "float64")
Task = Literal["classification", "multilabel", "regression"]
Named = TypeVar("Named")


@dataclass(frozen=True)
class Labels:
    """Labels as the scorers read them.

    They are class indices (N,), zeros and ones (N, K) uint8 for multi-label, or float targets
    (N, K). `classes` are the original values in the order of the indices; they are empty unless the
    task is classification. Rows of one of the `groups` (N,) come into one fold together.
    """

    values: np.ndarray
    classes: tuple[str, ...]
    groups: np.ndarray | None = None

    @property
    def task(self) -> Task:
        """What there is to predict: a class, several labels a row, or numbers."""
        return (
            "classification"
            if self.classes
            else "multilabel"
            if self.values.dtype.kind == "u"
            else "regression"
        )

    @property
    def num_classes(self) -> int:
        """Number of classes that occur; 0 for multi-label and regression."""
        return len(self.classes)


def choose(known: Mapping[str, Named], names: Iterable[str], what: str) -> tuple[Named, ...]:
    """The values of these names, in their order, each once.

    `what` says in the plural what the names stand for. Raises FeatalignError for a name that does
    not exist, and for no name at all.

    >>> choose({"a": 1, "b": 2}, ["b", "a", "b"], "letters")
    (2, 1)
    """
    wanted = [names] if isinstance(names, str) else list(names)
    if not wanted:
        raise FeatalignError(
            f"{what}: expected at least one name, got none; choose from {', '.join(known)}"
        )
    for name in wanted:
        if name not in known:
            raise FeatalignError(
                f"{what}: there is no {what.removesuffix('s')} {name!r}; "
                f"{did_you_mean(name, known)}choose from {', '.join(known)}"
            )
    return tuple(known[name] for name in dict.fromkeys(wanted))


def check_features(features: object, *, name: str = "features") -> np.ndarray:
    """Features as an array (N, D) of floats.

    Integers become floats: float32 up to 16 bits, otherwise float64. Values are not checked here.

    Raises FeatalignError when the shape or the type cannot be used.
    """
    array = _as_array(features, name)
    if array.ndim != 2 or 0 in array.shape:
        raise FeatalignError(
            f"{name}: expected an array of shape (N, D) with at least one row and one column, got "
            f"shape {array.shape}; reshape it"
        )
    if array.dtype.kind in "iub":
        return array.astype(np.float32 if array.dtype.itemsize <= 2 else np.float64)
    check_real(array, name=name)
    return array if array.dtype.name in FLOATING else array.astype(np.float64)


def check_real(array: np.ndarray, *, name: str) -> None:
    """Raise FeatalignError for what holds no real numbers: complex ones, words, objects.

    >>> check_real(np.zeros(2, complex), name="features")
    Traceback (most recent call last):
    featalign.errors.FeatalignError: features: expected numbers ..., got complex128; convert them
    """
    if array.dtype.kind not in "iubf" and array.dtype.name not in FLOATING:
        raise FeatalignError(
            f"{name}: expected numbers of type {', '.join(FLOATING)} or integers, got "
            f"{array.dtype.name}; convert them"
        )


def check_labels(labels: object, num_rows: int, *, name: str = "labels") -> Labels:
    """Labels as the scorers read them, from the user's.

    They become class indices 0..C-1 without gaps, columns of zeros and ones, or float targets.
    Integers (gaps and negative values allowed), strings and booleans are classes, also in shape (N,
    1). Booleans, or integers 0 and 1, in shape (N, K) are multi-label: any number of labels a row.
    Floats are regression targets, in shape (N,) or (N, K). Raises FeatalignError for other shapes,
    one-hot rows, missing values or a length that differs.

    >>> check_labels([[1, 0], [1, 1], [0, 0]], 3).task
    'multilabel'
    """
    array = _as_array(labels, name)
    if array.dtype.kind == "U" and not isinstance(labels, np.ndarray):
        # without this type numpy turns a missing value among strings into the class "nan" or "None"
        array = np.asarray(labels, dtype=object)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if (
        array.ndim not in (1, 2)
        or 0 in array.shape
        or (array.ndim == 2 and array.dtype.kind not in "fiub")
    ):
        raise FeatalignError(
            f"{name}: expected class labels of shape (N,), zeros and ones of shape (N, K) for "
            "multi-label, or float targets of shape (N,) or (N, K), "
            f"got {array.dtype.name} of shape {array.shape}"
        )
    if len(array) != num_rows:
        raise FeatalignError(
            f"{name}: expected one label for each of the {num_rows} rows, got {len(array)}; check "
            "that both come from the same data"
        )
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            bad = int(np.flatnonzero(~np.isfinite(array.reshape(num_rows, -1)).all(axis=1))[0])
            raise FeatalignError(
                f"{name}: expected finite values, got {array[bad]} in row {bad}; drop the rows "
                "without a label"
            )
        return Labels(array.astype(np.float64).reshape(num_rows, -1), ())
    if array.ndim == 2:
        return _multilabel(array, name)
    if array.dtype.kind == "O":
        missing = [row for row, value in enumerate(array) if _is_missing(value)]
        if missing:
            raise FeatalignError(
                f"{name}: expected a label in every row, got none in row {missing[0]}; drop the "
                "rows without a label"
            )
        array = array.astype(str)
    elif array.dtype.kind not in "iubU":
        raise FeatalignError(
            f"{name}: expected integers, strings or floats, got {array.dtype.name}; convert them"
        )
    classes, values = np.unique(array, return_inverse=True)
    return Labels(values.reshape(-1).astype(np.int64), tuple(str(value) for value in classes))


def _multilabel(array: np.ndarray, name: str) -> Labels:
    if array.min() < 0 or array.max() > 1:
        raise FeatalignError(
            f"{name}: expected zeros and ones in integer labels of shape (N, K), got values from "
            f"{array.min()} to {array.max()}; "
            "pass regression targets as floats"
        )
    if (array.sum(axis=1) == 1).all():
        raise FeatalignError(
            f"{name}: every row has exactly one label of {array.shape[1]}, which makes them "
            "classes; pass their argmax"
        )
    return Labels(array.astype(np.uint8), ())


def _as_array(values: object, name: str) -> np.ndarray:
    try:
        return np.asarray(values)
    except ValueError:
        raise FeatalignError(
            f"{name}: expected rows of one length, got rows of different lengths; pad or drop them"
        ) from None


def _is_missing(value: object) -> bool:
    """Whether a value is None, NaN, NaT or pandas.NA, which has no truth value."""
    return value is None or type(value).__name__ == "NAType" or bool(value != value)
