"""Several labels in one string: `a|b` with a sign that is named, or a list as Python writes it."""

import ast
import re
from collections import Counter
from collections.abc import Sequence

SURE, POSSIBLE = ("|", ";"), (",", "/", "+", "&", " ")
BRACKETS = ("[]", "()", "{}")
_BETWEEN_QUOTES = re.compile(r"(?<=['\"])\s+(?=['\"])")
_WHOLE_NUMBERS = re.compile(r"\[\s*-?\d+(\s+-?\d+)+\s*\]")


def read_list(text: str) -> list[str | int] | None:
    """The labels in a list as Python, JSON or NumPy writes it; None where the text is no such list.

    >>> read_list("['a', 'b']"), read_list('["a"]'), read_list("[1, 2]"), read_list("[a]")
    (['a', 'b'], ['a'], [1, 2], None)
    >>> read_list("['a' 'b']"), read_list("[0 3]"), read_list("{'a'}"), read_list("{'a': 1}")
    (['a', 'b'], [0, 3], ['a'], None)
    """
    if text[:1] + text[-1:] not in BRACKETS:
        return None
    if "," not in text:  # NumPy writes none, and Python joins strings beside each other
        text = _BETWEEN_QUOTES.sub(", ", text)
    if _WHOLE_NUMBERS.fullmatch(text):
        text = re.sub(r"(?<=\d)\s+(?=[-\d])", ", ", text)
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(found, list | tuple | set):
        return None
    labels = list(found) if not isinstance(found, set) else sorted(found, key=str)
    fitting = all(isinstance(label, str | int) and not isinstance(label, bool) for label in labels)
    return labels if fitting else None


def split_labels(text: str, separator: str) -> list[str]:
    """The labels of a text, each once.

    >>> split_labels("a| b|a|", "|")
    ['a', 'b']
    """
    parts = [part.strip() for part in text.split(separator)]
    return list(dict.fromkeys(part for part in parts if part))


def likely_separator(texts: Sequence[str]) -> str | None:
    """A sign that seems to part several labels: what stands between it comes again elsewhere.

    A comma and the like, which names hold too, must part all labels so, or labels each part of
    which stands alone elsewhere. A blank is in so many names that labels must also differ in their
    number of words.

    >>> likely_separator(["a|b", "a", "b|c"]), likely_separator(["Rome, IT", "Bonn, DE"])
    ('|', None)
    >>> likely_separator(["a, b", "b", "a", "a, c"]), likely_separator(["0 3", "1", "0 1 5"])
    (',', ' ')
    >>> likely_separator(["red cat", "red dog", "blue cat", "blue dog"])
    """
    distinct = sorted(set(texts))
    for sign in (*SURE, *POSSIBLE):
        split = [split_labels(text, sign) for text in distinct]
        combined = [labels for labels in split if len(labels) > 1]
        parts = Counter(label for labels in split for label in labels)
        again = [all(parts[label] > 1 for label in labels) for labels in combined]
        alone = {labels[0] for labels in split if len(labels) == 1}
        if sign in SURE:
            enough = any(again)
        else:
            enough = all(again) or any(alone.issuperset(labels) for labels in combined)
        if sign == " ":
            lengths = {len(labels) for labels in split}
            enough = all(again) and len(lengths) > 2
            if len(lengths) > 1 and all(label.isdecimal() for label in parts):
                return sign
        if combined and enough and len(parts) < len(distinct) + (sign in SURE):
            return sign
    return None
