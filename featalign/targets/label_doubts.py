"""Labels that would be taken for classes and seem to be something else: what to say of them."""

import math
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.label_meaning import Label, Meaning, Refuse
from featalign.targets.several import likely_separator, split_labels
from featalign.targets.written_numbers import looks_like_date, read_numbers

MANY, NEARLY_ALL = 20, 0.9  # rows from which on labels that occur once are no classes
DATES = (
    "write it as a number, such as days since a first day, or name another column; where dates "
    "are classes, say task='classification'"
)


def as_numbers(labels: Sequence[Label]) -> list[float] | None:
    """The numbers that labels are as they stand; None where one is none."""
    try:
        numbers = [float(label) for label in labels]
    except (ValueError, OverflowError):
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def are_fractions(numbers: Sequence[float]) -> bool:
    """Whether numbers are not all whole."""
    return not all(float(number).is_integer() for number in numbers)


def check_classes(
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
        raise refuse(*first[dates[0]], "a class or a number", f"the date {dates[0]!r}", DATES)
    separator = likely_separator(texts)
    if separator is not None:
        label = next(text for text in texts if len(split_labels(text, separator)) > 1)
        remedy = (
            f"say separator={separator!r} to have several labels a "
            "row, or task='classification' where these are classes"
        )
        raise refuse(*first[label], "one label", f"several in {label!r:.40}", remedy)
    numbers = [label for label in first if read_numbers([str(label)]) is not None]
    stray = sorted(set(first) - set(numbers), key=lambda label: first[label])
    many = sum(counts[label] for label in numbers)
    if stray and many > total / 2 and are_fractions(as_numbers(numbers) or []):
        remedy = f"{many} of {total} labels are numbers: mend the row, or say task='classification'"
        raise refuse(*first[stray[0]], "a number", repr(stray[0])[:40], remedy)
    check_repeats(array, many > total / 2, meaning)


def check_repeats(array: np.ndarray, are_numbers: bool, meaning: Meaning) -> None:
    """Raise FeatalignError where nearly all of many labels occur once: these are no classes.

    Numbers need not be that many: beyond one for two rows they are no classes.

    >>> check_repeats(np.arange(30), True, Meaning())
    Traceback (most recent call last):
    featalign.errors.FeatalignError: labels: 30 of 30 labels occur once: they look like numbers; \
say task='regression', or task='classification'
    """
    counts = Counter(array.tolist())
    once = sum(1 for count in counts.values() if count == 1)
    too_many = are_numbers and len(counts) > len(array) / 2
    if len(array) < MANY or (once < NEARLY_ALL * len(array) and not too_many):
        return
    seems = "no classes; name another column of labels"
    if are_numbers:
        seems = "numbers; say task='regression'"
    elif sum(map(_has_unit, array.tolist())) > len(array) / 2:
        seems = "numbers with a unit; write them without it and say task='regression'"
    came = f"{once} of {len(array)} labels occur once"
    if once < NEARLY_ALL * len(array):
        came = f"there are {len(counts)} different labels in {len(array)} rows"
    raise FeatalignError(
        f"{meaning.called}: {came}: they look like {seems}, or task='classification'"
    )


def _has_unit(label: Label) -> bool:
    return re.fullmatch(r"[^\w]*\d[\d.,]*\s*[^\W\d]+", str(label)) is not None
