"""Labels from the columns of a table: classes, several labels a row, or numbers to predict."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.table import Table


def read_labels(
    parts: Sequence[Table], columns: Sequence[str]
) -> tuple[list[np.ndarray], tuple[str, ...] | None]:
    """The labels of each part, and the names of the classes where the table knows them.

    One column of strings or whole numbers gives classes, and one of other numbers a regression
    target. One column of lists gives zeros and ones (N, K) for the K labels that occur in them, in
    sorted order. Several columns of zeros and ones give such labels too, and several of other
    numbers give targets (N, K). Raises FeatalignError, naming the row, for a label that is missing
    or of another type.
    """
    if len(columns) > 1:
        return _stacked(parts, columns), None
    column = columns[0]
    first = next((value for part in parts for value in part.values(column)), None)
    if isinstance(first, list | tuple | np.ndarray):
        return _several(parts, column), None
    labels = [
        [read_label(part, row, column, value) for row, value in part.numbered(column)]
        for part in parts
    ]
    array = as_array([label for part in labels for label in part])
    ends = np.cumsum([len(part) for part in labels])[:-1]
    return np.split(array, ends), parts[0].class_names.get(column)


def read_label(table: Table, row: int, column: str, value: Any) -> str | int | float:
    """One label.

    Raises FeatalignError, naming the row, for a label that is missing or of another type.
    """
    label = value.strip() if isinstance(value, str) else value
    if label is None or label == "" or (isinstance(label, float) and not math.isfinite(label)):
        raise FeatalignError(
            f"{table.at(row)}: expected a label as {column!r}, got none; drop the row or fill it in"
        )
    if not isinstance(label, str | int | float):
        raise FeatalignError(
            f"{table.at(row)}: expected a string or a number as {column!r}, got "
            f"{type(label).__name__}; one label in each row"
        )
    return label


def _several(parts: Sequence[Table], column: str) -> list[np.ndarray]:
    """Lists of labels as zeros and ones; lists of zeros and ones stay as they are."""
    lists = [
        [_list(part, row, column, value) for row, value in part.numbered(column)] for part in parts
    ]
    everything = [labels for part in lists for labels in part]
    lengths, found = (
        {len(labels) for labels in everything},
        {label for labels in everything for label in labels},
    )
    repeated = any(
        len(set(labels)) < len(labels) for labels in everything
    )  # a list of names names each once
    if found <= {0, 1} and len(lengths) == 1 and repeated:
        return [np.array(part, np.int64) for part in lists]
    names = {
        label: place
        for place, label in enumerate(
            sorted(found, key=lambda label: (isinstance(label, str), label))
        )
    }
    if len(names) < 2:
        raise FeatalignError(
            f"{parts[0].place}: expected at least two labels in the lists of {column!r}, got "
            f"{len(names)}; add rows"
        )
    return [
        np.array([[int(name in labels) for name in names] for labels in part], np.int64)
        for part in lists
    ]


def _list(table: Table, row: int, column: str, value: Any) -> list[str | int]:
    labels = list(value) if isinstance(value, list | tuple | np.ndarray) else None
    if labels is None or not all(isinstance(label, str | int | np.integer) for label in labels):
        raise FeatalignError(
            f"{table.at(row)}: expected a list of strings or whole numbers as {column!r}, as in "
            f"the rows before, got {value!r:.40}; mend the row"
        )
    if _holds_tokens(table, row, column, len(labels)):
        raise FeatalignError(
            f"{table.at(row)}: expected one label or a set of labels for the whole row as "
            f"{column!r}, got one for each of its {len(labels)} tokens; "
            "name their column with text='tokens', so that each of them is a row of its own"
        )
    return labels


def _holds_tokens(table: Table, row: int, column: str, count: int) -> bool:
    """Whether these are labels of tokens: another column then holds a list of as many tokens."""
    if count < 1 or "tokens" not in table.columns or column == "tokens":
        return False
    tokens = table.columns["tokens"][row]
    return isinstance(tokens, list | tuple | np.ndarray) and len(tokens) == count


def _stacked(parts: Sequence[Table], columns: Sequence[str]) -> list[np.ndarray]:
    """Several columns of numbers (N, K), as integers where all are zeros and ones."""
    found = [
        np.array(
            [
                [_number(part, row, column, value) for row, value in part.numbered(column)]
                for column in columns
            ]
        ).T
        for part in parts
    ]
    are_labels = all(np.isin(part, (0, 1)).all() for part in found)
    return [part.astype(np.int64) if are_labels else part for part in found]


def _number(table: Table, row: int, column: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise FeatalignError(
            f"{table.at(row)}: expected a number as {column!r}, one of several label columns, got "
            f"{value!r:.40}; mend the row"
        )
    return number


def as_array(labels: list[str | int | float]) -> np.ndarray:
    """Labels as one array: whole numbers as integers, so that 10 comes after 9.

    Other numbers become floats, and all else strings.
    """
    if all(isinstance(label, bool) for label in labels):
        return np.array(labels)
    try:
        numbers = [float(label) for label in labels]
    except (ValueError, OverflowError):
        return np.array([str(label) for label in labels])
    if all(map(math.isfinite, numbers)) and not all(number.is_integer() for number in numbers):
        return np.array(numbers)
    # 007 and 7 may be two classes, and so may 1.0 and 1
    if all(
        not isinstance(label, str) or (label.lstrip("-").isdecimal() and str(int(label)) == label)
        for label in labels
    ):
        return np.array([int(label) for label in labels])
    return np.array([str(label) for label in labels])
