"""Labels from the columns of a table: classes, several labels a row, or numbers to predict."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featalign.arrays import Task
from featalign.errors import FeatalignError
from featalign.targets.choice import Choice
from featalign.targets.label_arrays import UNLABELLED
from featalign.targets.label_meaning import Label, Meaning
from featalign.targets.label_names import clean
from featalign.targets.label_values import TRUTH, Read, from_lists, read_values
from featalign.targets.missing import is_missing
from featalign.targets.table import Table


@dataclass(frozen=True)
class TableLabels:
    """The labels of each part, what they are, the names of the classes, and what is to be said."""

    parts: tuple[np.ndarray, ...]
    task: Task
    class_names: tuple[str, ...] | None = None
    remarks: tuple[str, ...] = ()


def read_labels(parts: Sequence[Table], columns: Sequence[str], choice: Choice) -> TableLabels:
    """The labels of each part, and the names of the classes where the table knows them.

    One column is read as `label_values.py` says; one of lists is (N, K) zeros and ones for the K
    labels that occur in them, in sorted order, or classes where each list has one. Several columns
    of zeros and ones are such labels too, but classes named by the columns where every row has
    exactly one 1; several of other numbers are targets (N, K). Raises FeatalignError, naming the
    row, for a label that is missing or of another type.
    """
    if len(columns) > 1:
        return _stacked(parts, columns, choice.task)
    column = columns[0]
    if isinstance(parts[0].example(column), list | tuple | np.ndarray):
        return _several(parts, column, choice.task)
    read = read_column(parts, column, [part.values(column) for part in parts], choice)
    names = parts[0].class_names.get(column) if read.task == "classification" else None
    return TableLabels(read.parts, read.task, names, read.remarks)


def read_column(
    parts: Sequence[Table], column: str, values: Sequence[Sequence[Any]], choice: Choice
) -> Read:
    """One column, with errors that name the line."""

    def refuse(part: int, row: int, expected: str, came: str, remedy: str) -> FeatalignError:
        at = parts[part].at(parts[part].rows[row])
        return FeatalignError(f"{at}: expected {expected} as {column!r}, got {came}; {remedy}")

    names = parts[0].class_names.get(column, ())
    called = f"the column {column!r}"
    meaning = Meaning(task=choice.task, separator=choice.separator, called=called, names=names)
    return read_values(values, meaning, refuse)


def is_unlabelled(part: Table, train: Table, columns: Sequence[str]) -> bool:
    """Whether held-out rows came without labels, as test rows of competitions do.

    The column is not there, or nothing is in it, or the same mark (-1, -100) in every row that no
    training row has.
    """
    if not any(column in part.columns for column in columns):
        return True
    found = [label for column in columns for label in _flat(part.values(column))]
    marks = {str(label) for label in found if not is_missing(label)}
    if not marks:
        return bool(found)  # lists of nothing are labels
    if len(marks) > 1 or not marks <= UNLABELLED:
        return False
    return not marks & {str(label) for column in columns for label in _flat(train.values(column))}


def _flat(values: Sequence[Any]) -> list[Any]:
    return [
        label
        for value in values
        for label in (value if isinstance(value, list | tuple | np.ndarray) else [value])
    ]


def _several(parts: Sequence[Table], column: str, task: Task | None) -> TableLabels:
    """Lists of labels as zeros and ones; lists that are zeros and ones already, as they are."""
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
    names = parts[0].class_names.get(column)
    called = f"the column {column!r}"
    alike = len(lengths) == 1 and max(lengths) > 1
    if found <= {0, 1} and alike and (repeated or not names):
        arrays = tuple(np.array(part, np.int64) for part in lists)
        return _columns(arrays, called, task, names)
    if any(isinstance(label, float) for label in found) or (task == "regression" and alike):
        if not alike or any(isinstance(label, str) for label in found):
            raise FeatalignError(
                f"{parts[0].place}: expected as many numbers in every list of {column!r}, got "
                f"{min(lengths)} to {max(lengths)} values, some of them no numbers; mend the rows"
            )
        return _columns(tuple(np.array(part, np.float64) for part in lists), called, task, names)
    read = from_lists(lists, Meaning(task=task, called=called))
    named = names if read.task == "classification" else None
    return TableLabels(read.parts, read.task, named, read.remarks)


def _columns(
    parts: tuple[np.ndarray, ...],
    called: str,
    task: Task | None,
    names: tuple[str, ...] | None = None,
) -> TableLabels:
    """Numbers (N, K): classes, several labels or numbers to predict."""
    classes = _one_hot(parts, called, task, names)
    if classes is not None:
        return classes
    are_labels = all(np.isin(part, (0, 1)).all() for part in parts)
    if task == "classification" or (task == "multilabel" and not are_labels):
        wanted = "exactly one 1 in every row" if task == "classification" else "zeros and ones"
        raise FeatalignError(
            f"expected {wanted} in {called}, since the task is {task}, got other numbers; name "
            "other columns or another task"
        )
    if are_labels and task != "regression":
        return TableLabels(tuple(part.astype(np.int64) for part in parts), "multilabel")
    return TableLabels(tuple(part.astype(np.float64) for part in parts), "regression")


def _one_hot(
    parts: Sequence[np.ndarray], called: str, task: Task | None, names: tuple[str, ...] | None
) -> TableLabels | None:
    """Zeros and ones with exactly one 1 in every row as classes; None for others."""
    one_each = all(np.isin(part, (0, 1)).all() and (part.sum(axis=1) == 1).all() for part in parts)
    if task not in (None, "classification") or not one_each:
        return None
    said = f"{called}: exactly one 1 in every row, so these are classes"
    places = tuple(part.argmax(axis=1) for part in parts)
    return TableLabels(places, "classification", names, (said,))


def _list(table: Table, row: int, column: str, value: Any) -> list[Label]:
    labels = list(value) if isinstance(value, list | tuple | np.ndarray) else None
    if labels is not None:
        labels = [clean(label) if isinstance(label, str) else label for label in labels]
    if (
        labels is None
        or not all(isinstance(label, str | int | float | np.integer) for label in labels)
        or any(is_missing(label, classes_said=True) for label in labels)
    ):
        raise FeatalignError(
            f"{table.at(row)}: expected a list of strings or whole numbers as {column!r}, as in "
            f"the other rows, got {value!r:.40}; mend the row"
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


def _stacked(parts: Sequence[Table], columns: Sequence[str], task: Task | None) -> TableLabels:
    """Several columns of numbers (N, K), as integers where all are zeros and ones."""
    by_column = [_numbers(parts, column) for column in columns]
    found = [
        np.stack([each[place] for each in by_column], axis=1).astype(np.float64)
        for place in range(len(parts))
    ]
    called = f"the columns {', '.join(columns[:5])}{', ...' if len(columns) > 5 else ''}"
    return _columns(tuple(found), called, task, tuple(columns))


def _numbers(parts: Sequence[Table], column: str) -> list[np.ndarray]:
    """The numbers of one of several label columns, as people write them; truth is 1."""

    def refuse(part: int, row: int, expected: str, came: str, remedy: str) -> FeatalignError:
        del expected, remedy
        at = parts[part].at(parts[part].rows[row])
        return FeatalignError(
            f"{at}: expected a number as {column!r}, one of several label columns, got "
            f"{repr(parts[part].values(column)[row])[:40] if came == 'none' else came}; mend the "
            "row"
        )

    values = [
        [
            TRUTH.get(value.strip().lower(), value) if isinstance(value, str) else value
            for value in part.values(column)
        ]
        for part in parts
    ]
    return list(read_values(values, Meaning(task="regression", called=column), refuse).parts)
