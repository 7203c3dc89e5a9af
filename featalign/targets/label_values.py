"""One column of labels as it was written: classes, numbers to predict, or several labels a row.

The one place that decides it, for arrays, tables and `datasets`.
"""

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from featalign.arrays import Task
from featalign.errors import FeatalignError
from featalign.targets.label_doubts import DATES, are_fractions, as_numbers, check_classes
from featalign.targets.label_meaning import Label, Meaning, Refuse
from featalign.targets.label_names import clean
from featalign.targets.missing import WORDS_OF_CLASSES, is_missing
from featalign.targets.several import likely_separator, read_list, split_labels
from featalign.targets.written_numbers import read_numbers

TRUTH = {"true": True, "false": False}


@dataclass(frozen=True)
class Read:
    """The labels of each part as one kind of array, what they are, and what is to be said."""

    parts: tuple[np.ndarray, ...]
    task: Task
    remarks: tuple[str, ...] = ()


def read_values(parts: Sequence[Sequence[Any]], meaning: Meaning, refuse: Refuse) -> Read:
    """The labels of the parts, decided by all of them together.

    `refuse` makes the error for a row. Raises it for a label that is missing or is not what was
    said, for dates, for several labels in a string without a separator that is named, and for
    labels nearly all of which occur once, where nobody said that they are classes.
    """
    cleaned = [
        [_cleaned(value, meaning, refuse, part, row) for row, value in enumerate(values)]
        for part, values in enumerate(parts)
    ]
    everything = [label for values in cleaned for label in values]
    texts = [label for label in everything if isinstance(label, str)]
    if meaning.task == "regression":
        return _regression(cleaned, meaning, refuse)
    lists = [read_list(text) for text in texts]
    are_lists = len(texts) == len(everything) and None not in lists and bool(texts)
    if meaning.separator is not None and not any(meaning.separator in text for text in texts):
        likely = likely_separator(texts)
        hint = f"{likely!r} may be it" if likely else "leave it out for one label a row"
        raise FeatalignError(
            f"separator: expected a sign that stands in {meaning.called}, got "
            f"{meaning.separator!r}, which is in none of them; {hint}"
        )
    if meaning.separator is not None or (are_lists and meaning.task != "classification"):
        return _several(cleaned, meaning, refuse)
    if meaning.task == "multilabel":
        raise FeatalignError(
            f"{meaning.called}: expected several labels in a row, got {everything[0]!r:.40}; name "
            "the sign between them, as separator='|', or several columns"
        )
    array, task, remarks = _as_array(everything, meaning)
    if task == "classification" and not meaning.is_sure:
        check_classes(cleaned, array, meaning, refuse)
    ends = np.cumsum([len(values) for values in cleaned])[:-1]
    return Read(tuple(np.split(array, ends)), task, remarks)


def indicators(parts: Sequence[Sequence[Sequence[Label]]], called: str) -> list[np.ndarray]:
    """Zeros and ones (N, K) for the K labels that occur in lists of labels, in sorted order.

    >>> indicators([[["b", "a"], []], [["b"]]], "labels")[0].tolist()
    [[1, 1], [0, 0]]
    """
    found = {label for part in parts for labels in part for label in labels}
    names = sorted(found, key=lambda label: (isinstance(label, str), label))
    if len(names) < 2:
        raise FeatalignError(
            f"expected at least two labels in the lists of {called.removeprefix('the column ')}, "
            f"got {len(names)}; add rows"
        )
    places = {name: place for place, name in enumerate(names)}
    arrays = [np.zeros((len(part), len(names)), np.int64) for part in parts]
    for array, part in zip(arrays, parts, strict=True):
        for row, labels in enumerate(part):
            array[row, [places[label] for label in labels]] = 1
    return arrays


def from_lists(parts: Sequence[Sequence[Sequence[Label]]], meaning: Meaning) -> Read:
    """Lists of labels: classes where each has one label and nobody said otherwise."""
    arrays = indicators(parts, meaning.called)
    said = meaning.task == "multilabel" or meaning.separator is not None
    if said or not all(len(labels) == 1 for part in parts for labels in part):
        return Read(tuple(arrays), "multilabel")
    flat = [[labels[0] for labels in part] for part in parts]
    strings = any(isinstance(label, str) for part in flat for label in part)
    kind = str if strings else np.int64
    alone = tuple(
        np.array([str(label) if strings else label for label in part], kind) for part in flat
    )
    return Read(alone, "classification", (f"{meaning.called}: one in each list, taken as classes",))


def _cleaned(value: Any, meaning: Meaning, refuse: Refuse, part: int, row: int) -> Label:
    """A label without what cannot be seen, as a plain string or number."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    label = clean(value) if isinstance(value, str) else value
    named = isinstance(label, str) and label != ""
    allowed = named and (meaning.are_names or label in meaning.names)
    if isinstance(label, str) and label == "" and meaning.separator is not None:
        return ""  # no label at all
    if is_missing(label, classes_said=meaning.is_sure) and not allowed:
        if not named:
            raise refuse(part, row, "a label", "none", "drop the row or fill it in")
        word = label.lower() in WORDS_OF_CLASSES
        hint = "; where it is a class, say task='classification'"
        raise refuse(
            *(part, row, "a label", f"{label!r}, which stands for none"),
            f"drop the row or fill it in{hint if word else ''}",
        )
    if isinstance(label, datetime.date | datetime.time | datetime.timedelta):
        raise refuse(part, row, "a class or a number", f"the date {label}", DATES)
    if isinstance(label, Decimal):
        label = int(label) if label == label.to_integral_value() else float(label)
    if not isinstance(label, str | int | float):
        came = type(label).__name__
        several = isinstance(label, list | tuple)
        remedy = "one label in each row" + (
            ", or task='multilabel' where each has several" if several and meaning.typed else ""
        )
        raise refuse(part, row, "a string or a number", came, remedy)
    if isinstance(label, float) and not math.isfinite(label):
        raise refuse(part, row, "a finite number", str(label), "drop the row or mend it")
    return label


def _regression(parts: Sequence[Sequence[Label]], meaning: Meaning, refuse: Refuse) -> Read:
    """Labels of any form as numbers."""
    texts = [str(label) for part in parts for label in part]
    written = as_numbers([label for part in parts for label in part]) or read_numbers(texts)
    if written is None:
        numbered = [
            (part, row, label)
            for part, labels in enumerate(parts)
            for row, label in enumerate(labels)
        ]
        part, row, label = next(
            (each for each in numbered if read_numbers([str(each[2])]) is None), numbered[0]
        )
        remedy = "write all of them in one form, such as 1234.5, or drop the row"
        raise refuse(part, row, "a number", repr(label)[:40], remedy)
    ends = np.cumsum([len(part) for part in parts])[:-1]
    values = np.array(written if isinstance(written, list) else written.values, np.float64)
    return Read(tuple(np.split(values, ends)), "regression", ())


def _several(parts: Sequence[Sequence[Label]], meaning: Meaning, refuse: Refuse) -> Read:
    """Several labels in each string."""
    lists = []
    for part, labels in enumerate(parts):
        lists.append([])
        for row, label in enumerate(labels):
            listed = read_list(label) if isinstance(label, str) else None
            if listed is None and meaning.separator is not None:
                listed = split_labels(str(label), meaning.separator)
            if listed is None:
                came = repr(label)[:40]
                raise refuse(part, row, "a list such as ['a', 'b']", came, "mend the row")
            lists[-1].append([clean(each) if isinstance(each, str) else each for each in listed])
    kinds = {isinstance(label, str) for part in lists for labels in part for label in labels}
    if len(kinds) > 1:
        lists = [[[str(label) for label in labels] for labels in part] for part in lists]
    return from_lists(lists, meaning)


def _as_array(
    labels: Sequence[Label], meaning: Meaning
) -> tuple[np.ndarray, Task, tuple[str, ...]]:
    """Labels as one array: whole numbers as integers, so that 10 comes after 9.

    Other numbers as floats; else as strings.
    """
    if all(isinstance(label, bool) for label in labels):
        return np.array(labels), "classification", ()
    truths = [
        label if isinstance(label, bool) else TRUTH.get(str(label).lower()) for label in labels
    ]
    if None not in truths and any(isinstance(label, bool) for label in labels):
        return np.array(truths, bool), "classification", ()
    spelled = {label for label in labels if isinstance(label, str)}
    if None not in truths and len({label.lower() for label in spelled}) < len(spelled):
        labels = [str(label).lower() for label in labels]  # True beside true
    texts = np.array([str(label) for label in labels])
    strings = any(isinstance(label, str) for label in labels)
    numbers = None if meaning.typed and strings else as_numbers(labels)
    classes = meaning.task == "classification"
    if numbers is None or (classes and not all(number.is_integer() for number in numbers)):
        written = None if meaning.typed or meaning.is_sure else read_numbers(texts.tolist())
        if written is None or not (written.are_amounts or are_fractions(written.values)):
            return texts, "classification", ()
        example = next((text for text in texts if as_numbers([text]) is None), texts[0])
        value = written.values[texts.tolist().index(example)]
        said = (
            f"{meaning.called}: read as numbers to predict, such as {str(example)!r} as {value:g}"
        )
        return np.array(written.values), "regression", (said,)
    if are_fractions(numbers):
        return np.array(numbers), "regression", ()
    if meaning.typed and strings:
        return texts, "classification", ()
    # 007 and 7 may be two classes; 1 and 1.0 are one
    if all(_is_plain(label) for label in labels) or _are_mixed(labels):
        return np.array([int(float(label)) for label in labels]), "classification", ()
    return texts, "classification", ()


def _is_plain(label: Label) -> bool:
    """Whether a label is a whole number in its usual form."""
    return not isinstance(label, str) or (
        label.lstrip("-").isdecimal() and str(int(label)) == label
    )


def _are_mixed(labels: Sequence[Label]) -> bool:
    """Whether whole numbers are written with and without a decimal point, and as usual else."""
    cut = [
        label.rstrip("0").removesuffix(".") or "0"
        if isinstance(label, str) and "." in label
        else label
        for label in labels
    ]
    return all(map(_is_plain, cut)) and any(map(_is_plain, labels))
