"""One column of labels as it was written: classes, numbers to predict, or several labels a row.

The one place that decides it, for arrays, tables and `datasets`.
"""

import datetime
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from featalign.arrays import Task
from featalign.errors import FeatalignError
from featalign.targets.label_names import clean
from featalign.targets.missing import WORDS_OF_CLASSES, is_missing
from featalign.targets.several import likely_separator, read_list, split_labels
from featalign.targets.written_numbers import looks_like_date, read_numbers

Label = str | int | float
# part, row, what was expected, what came, what to do
Refuse = Callable[[int, int, str, str, str], FeatalignError]
MANY, NEARLY_ALL = 20, 0.9  # rows from which on labels that occur once are no classes
TRUTH = {"true": True, "false": False}


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What is said of labels: by the user, or by where they come from.

    `names` are the names of the classes where they are known; `are_names` says that the labels
    themselves are sure to be names, as those of folders are. `called` is the labels' name in
    errors. `typed` labels are what they are: a string is no number.
    """

    task: Task | None = None
    separator: str | None = None
    called: str = "labels"
    names: tuple[str, ...] = ()
    are_names: bool = False
    typed: bool = False

    @property
    def is_sure(self) -> bool:
        """Whether there are classes for sure."""
        return self.task == "classification" or self.are_names or bool(self.names)


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
    if meaning.separator is not None or (are_lists and meaning.task != "classification"):
        return _several(cleaned, meaning, refuse)
    if meaning.task == "multilabel":
        raise FeatalignError(
            f"{meaning.called}: expected several labels in a row, got {everything[0]!r:.40}; name "
            "the sign between them, as separator='|' (--separator '|'), or several columns"
        )
    array, task, remarks = _as_array(everything, meaning)
    if task == "classification" and not meaning.is_sure:
        _check_classes(cleaned, array, meaning, refuse)
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
    label = clean(value) if isinstance(value, str) else value
    named = isinstance(label, str) and label != ""
    allowed = named and (meaning.are_names or label in meaning.names)
    if label == "" and meaning.separator is not None:
        return ""  # no label at all
    if is_missing(label, classes_said=meaning.is_sure) and not allowed:
        if not named:
            raise refuse(part, row, "a label", "none", "drop the row or fill it in")
        word = label.lower() in WORDS_OF_CLASSES
        hint = "; where it is a class, say task='classification' (--task classification)"
        raise refuse(
            *(part, row, "a label", f"{label!r}, which stands for none"),
            f"drop the row or fill it in{hint if word else ''}",
        )
    if isinstance(label, datetime.date | datetime.time | datetime.timedelta):
        raise refuse(part, row, "a class or a number", f"the date {label}", _DATES)
    if isinstance(label, Decimal):
        label = int(label) if label == label.to_integral_value() else float(label)
    if not isinstance(label, str | int | float):
        came = type(label).__name__
        raise refuse(part, row, "a string or a number", came, "one label in each row")
    if isinstance(label, float) and not math.isfinite(label):
        raise refuse(part, row, "a label", "none", "drop the row or fill it in")
    return label


_DATES = (
    "write it as a number, such as days since a first day, or name another column; where dates "
    "are classes, say task='classification' (--task classification)"
)


def _regression(parts: Sequence[Sequence[Label]], meaning: Meaning, refuse: Refuse) -> Read:
    """Labels of any form as numbers."""
    texts = [str(label) for part in parts for label in part]
    written = _numbers([label for part in parts for label in part]) or read_numbers(texts)
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


def _numbers(labels: Sequence[Label]) -> list[float] | None:
    """The numbers that labels are as they stand; None where one is none."""
    try:
        numbers = [float(label) for label in labels]
    except (ValueError, OverflowError):
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


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
    texts = np.array([str(label) for label in labels])
    strings = any(isinstance(label, str) for label in labels)
    numbers = None if meaning.typed and strings else _numbers(labels)
    classes = meaning.task == "classification"
    if numbers is None or (classes and not all(number.is_integer() for number in numbers)):
        written = None if meaning.typed or meaning.is_sure else read_numbers(texts.tolist())
        if written is None or not (written.are_amounts or _are_fractions(written.values)):
            return texts, "classification", ()
        example = next((text for text in texts if _numbers([text]) is None), texts[0])
        value = written.values[texts.tolist().index(example)]
        said = (
            f"{meaning.called}: read as numbers to predict, such as {str(example)!r} as {value:g}"
        )
        return np.array(written.values), "regression", (said,)
    if _are_fractions(numbers):
        return np.array(numbers), "regression", ()
    if meaning.typed and strings:
        return texts, "classification", ()
    # 007 and 7 may be two classes; 1 and 1.0 are one
    if all(_is_plain(label) for label in labels) or _are_mixed(labels):
        return np.array([int(float(label)) for label in labels]), "classification", ()
    return texts, "classification", ()


def _are_fractions(numbers: Sequence[float]) -> bool:
    return not all(float(number).is_integer() for number in numbers)


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


def _check_classes(
    parts: Sequence[Sequence[Label]], array: np.ndarray, meaning: Meaning, refuse: Refuse
) -> None:
    """Raise the error for labels that seem to be something else than classes."""
    first: dict[Label, tuple[int, int]] = {}
    for part, labels in enumerate(parts):
        for row, label in enumerate(labels):
            first.setdefault(label, (part, row))
    counts = Counter(label for labels in parts for label in labels)
    total = counts.total()
    texts = [label for label in first if isinstance(label, str)]
    dates = [label for label in texts if looks_like_date(label)]
    if sum(counts[label] for label in dates) > total / 2:
        raise refuse(*first[dates[0]], "a class or a number", f"the date {dates[0]!r}", _DATES)
    separator = likely_separator(texts)
    if separator is not None:
        label = next(text for text in texts if len(split_labels(text, separator)) > 1)
        remedy = (
            f"say separator={separator!r} (--separator '{separator}') to have several labels a "
            "row, or task='classification' (--task classification) where these are classes"
        )
        raise refuse(*first[label], "one label", f"several in {label!r:.40}", remedy)
    numbers = [label for label in first if read_numbers([str(label)]) is not None]
    stray = sorted(set(first) - set(numbers), key=lambda label: first[label])
    many = sum(counts[label] for label in numbers)
    if stray and many > total / 2 and _are_fractions(_numbers(numbers) or []):
        remedy = (
            f"{many} of {total} labels are numbers: mend the row, or say "
            "task='classification' (--task classification)"
        )
        raise refuse(*first[stray[0]], "a number", repr(stray[0])[:40], remedy)
    check_repeats(array, many > total / 2, meaning)


def check_repeats(array: np.ndarray, are_numbers: bool, meaning: Meaning) -> None:
    """Raise FeatalignError where nearly all of many labels occur once: these are no classes.

    >>> check_repeats(np.arange(30), True, Meaning())
    Traceback (most recent call last):
    featalign.errors.FeatalignError: labels: 30 of 30 labels occur once: they look like numbers; \
say task='regression' (--task regression), or task='classification' (--task classification)
    """
    once = sum(1 for count in Counter(array.tolist()).values() if count == 1)
    if len(array) < MANY or once < NEARLY_ALL * len(array):
        return
    seems = (
        "numbers; say task='regression' (--task regression)"
        if are_numbers
        else ("no classes; name another column of labels")
    )
    raise FeatalignError(
        f"{meaning.called}: {once} of {len(array)} labels occur once: they look like {seems}, "
        "or task='classification' (--task classification)"
    )
