"""Labels in arrays: what was said of them, or what they seem to be, before they are checked."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.label_doubts import check_repeats
from featalign.targets.label_meaning import Meaning
from featalign.targets.label_values import from_lists, read_values
from featalign.targets.missing import is_missing

IGNORED = -100  # the mark of PyTorch's losses for rows that do not count
FEW_VALUES = 20
SUM = 1e-2  # how far probabilities in half precision may be from adding up to 1
UNLABELLED = {"-1", "-1.0", "-100", "-100.0"}  # marks of rows without a label


@dataclass(frozen=True)
class Settled:
    """The labels of each part, the rows of each that count, and what is to be said."""

    parts: tuple[Any, ...]
    kept: tuple[np.ndarray | None, ...]
    remarks: tuple[str, ...] = ()


def settle(parts: Sequence[Any], meaning: Meaning) -> Settled:
    """Labels as they came, made into what was said of them.

    What is no array at all stays as it is, for the check of shapes says more of it. Rows labelled
    -100 among other whole numbers do not count. Raises FeatalignError for what does not fit what
    was said.
    """
    arrays = [_as_array(part) for part in parts]
    if any(array is None or not array.size for array in arrays):
        return Settled(tuple(parts), tuple(None for _ in parts))
    values = [array for array in arrays if array is not None]
    every_row = tuple(None for _ in parts)
    if meaning.task == "multilabel" and all(map(_holds_lists, values)):
        made = from_lists([array.tolist() for array in values], meaning)
        return Settled(made.parts, every_row, made.remarks)
    if all(array.ndim == 1 and array.dtype.kind in "OUSMm" for array in values):
        read = read_values([array.tolist() for array in values], meaning, _refuse(meaning))
        return Settled(read.parts, every_row, read.remarks)
    if any(array.dtype.kind not in "fiub" or array.ndim > 2 for array in values):
        return Settled(tuple(parts), every_row)
    counted = [_counted(array, meaning) for array in values]
    values = [
        array if rows is None else array[rows] for array, rows in zip(values, counted, strict=True)
    ]
    ignored = sum(
        len(whole) - len(part)
        for whole, part in zip(arrays, values, strict=True)
        if whole is not None
    )
    said = (f"left out: {ignored} rows with the label {IGNORED}, which says to ignore them",)
    made, remarks = _as_said(values, meaning)
    return Settled(tuple(made), tuple(counted), (*(said if ignored else ()), *remarks))


def has_no_labels(held_out: Any, training: Any) -> bool:
    """Whether held-out rows came without labels: nothing in all of them, or one mark.

    The mark is -1 or -100, where no training row has it.

    >>> has_no_labels([-1, -1], [0, 1]), has_no_labels([None, None], ["a", "b"])
    (True, True)
    >>> has_no_labels([-1, -1], [-1, 1])
    False
    """
    held, train = _as_array(held_out), _as_array(training)
    if held is None or train is None or held.ndim != 1 or train.ndim != 1 or not held.size:
        return False
    values = held.tolist()
    if all(is_missing(value) for value in values):
        return True
    marks = set(map(str, values))
    one_mark = len(marks) == 1 and marks <= UNLABELLED
    return one_mark and not marks & set(map(str, train.tolist()))


def _as_array(labels: Any) -> np.ndarray | None:
    """Labels as an array (N,) or (N, K); None where they are none."""
    if labels is None:
        return None
    if isinstance(labels, np.ma.MaskedArray) and np.ma.is_masked(labels):
        labels = labels.tolist()  # None where it is masked
    try:
        array = np.asarray(labels)
    except ValueError:
        if not isinstance(labels, Sequence) or isinstance(labels, str):
            return None
        array = np.empty(len(labels), object)
        array[:] = labels
    if array.dtype.kind == "U" and not isinstance(labels, np.ndarray):
        array = np.asarray(labels, dtype=object)  # else numpy writes a missing value out
    if array.ndim == 2 and array.shape[-1] == 1:
        array = array[:, 0]
    return array if array.ndim in (1, 2) else None


def _holds_lists(array: np.ndarray) -> bool:
    return array.dtype.kind in "OU" and all(
        isinstance(value, list | tuple) for value in array.tolist()
    )


def _refuse(meaning: Meaning):
    def refuse(part: int, row: int, expected: str, came: str, remedy: str) -> FeatalignError:
        which = f"held-out {meaning.called}" if part else meaning.called
        return FeatalignError(
            f"{which}: expected {expected} in every row, got {came} in row {row}; {remedy}"
        )

    return refuse


def _counted(array: np.ndarray, meaning: Meaning) -> np.ndarray | None:
    """The rows that count; None for all."""
    kinds = {"regression": "", "classification": "if"}.get(meaning.task or "", "i")
    whole = array.dtype.kind in tuple(kinds) and array.ndim == 1
    if not whole or not (array == IGNORED).any() or array.max() < 0:
        return None
    return np.flatnonzero(array != IGNORED)


def _as_said(parts: list[np.ndarray], meaning: Meaning) -> tuple[list[np.ndarray], tuple[str, ...]]:
    """Numbers as the task wants them, or as they are where none was said."""
    if meaning.task == "regression":
        return [part.astype(np.float64) for part in parts], ()
    if meaning.task == "multilabel":
        for place, part in enumerate(parts):
            if part.ndim != 2 or not np.isin(part, (0, 1)).all():
                which = f"held-out {meaning.called}" if place else meaning.called
                raise FeatalignError(
                    f"{which}: expected zeros and ones of shape (N, K), since the task is "
                    f"multilabel, got {part.dtype.name} of shape {part.shape}; give one column for "
                    "each label"
                )
        return [part.astype(np.uint8) for part in parts], ()
    if meaning.task == "classification":
        return [_classes(part, place, meaning) for place, part in enumerate(parts)], ()
    return parts, _seems(parts[0], meaning)


def _classes(part: np.ndarray, place: int, meaning: Meaning) -> np.ndarray:
    which = f"held-out {meaning.called}" if place else meaning.called
    if part.ndim == 2:
        if not _is_one_hot(part):
            raise FeatalignError(
                f"{which}: expected one class in each row, since the task is classification, got "
                f"{part.dtype.name} of shape {part.shape} without exactly one 1 in every row; "
                "give integers or strings (N,)"
            )
        return part.argmax(axis=1)
    if part.dtype.kind != "f" or not np.isfinite(part).all():
        return part
    broken = np.flatnonzero(part != np.round(part))
    if broken.size:
        raise FeatalignError(
            f"{which}: expected classes, since the task is classification, got "
            f"{part[broken[0]]:g} in row {broken[0]}; give whole numbers or strings, or say "
            "task='regression'"
        )
    return part.astype(np.int64)


def _is_one_hot(array: np.ndarray) -> bool:
    return array.ndim == 2 and bool(np.isin(array, (0, 1)).all() and (array.sum(axis=1) == 1).all())


def _are_soft(array: np.ndarray) -> bool:
    """Whether rows are probabilities that add up to 1, or 1 for one class and -1 for all others."""
    rows = array.astype(np.float64)
    if not np.isfinite(rows).all() or array.shape[1] < 2:
        return False
    shares = rows.min() >= 0 and np.abs(rows.sum(axis=1) - 1).max() < SUM
    signs = np.isin(rows, (-1, 1)).all() and ((rows == 1).sum(axis=1) == 1).all()
    return bool(shares or signs)


def _seems(array: np.ndarray, meaning: Meaning) -> tuple[str, ...]:
    """What numbers of which nothing was said seem to be.

    Raises FeatalignError where that is no fit for what they would be taken for.
    """
    called = meaning.called
    if array.ndim == 2 and _is_one_hot(array):
        raise FeatalignError(
            f"{called}: every row has exactly one 1 of {array.shape[1]}, which makes them classes; "
            "pass their argmax, or say task='classification', or "
            "'multilabel' or 'regression' where they are that"
        )
    if array.dtype.kind == "f":
        distinct = np.unique(array)
        if array.ndim == 2 and np.isin(distinct, (0, 1)).all():
            return (
                f"{called}: zeros and ones as floats are taken as numbers to predict; say "
                "task='multilabel' where they are labels",
            )
        if array.ndim == 2 and _are_soft(array):
            return (
                f"{called}: one number in each row for each of {array.shape[1]} classes, as "
                "probabilities or scores are, is taken as numbers to predict; give "
                "labels.argmax(axis=1) where they are classes",
            )
        whole = np.isfinite(distinct).all() and (distinct == np.round(distinct)).all()
        if array.ndim == 1 and whole and len(distinct) <= min(FEW_VALUES, len(array) / 2):
            return (
                f"{called}: whole numbers as floats, {len(distinct)} different ones in "
                f"{len(array)} rows, are taken as numbers to predict; say task='classification' "
                "where they are classes",
            )
        return ()
    if array.ndim == 1 and not meaning.is_sure:
        check_repeats(array, True, meaning)
    return ()


def negative_class(names: Sequence[str], called: str) -> tuple[str, ...]:
    """A sentence where a class -1 stands beside 0 to 2 or more, as a mark of what has no label.

    >>> negative_class(["-1", "0", "1"], "labels")
    ()
    >>> negative_class(["-1", "0", "1", "2"], "labels")[0][:44]
    'labels: -1 is taken as a class beside 0 to 2'
    """
    highest = len(names) - 2
    if highest < 2 or set(names) != {"-1", *map(str, range(highest + 1))}:
        return ()
    return (
        f"{called}: -1 is taken as a class beside 0 to {highest}; leave its rows out where it "
        "stands for no label",
    )
