"""Several labels in one string: `a|b` with a sign that is named, or a list as Python writes it."""

import ast
from collections import Counter
from collections.abc import Sequence

SURE, POSSIBLE = ("|", ";"), (",", "/", "+")


def read_list(text: str) -> list[str | int] | None:
    """The labels in a list as Python or JSON writes it; None where the text is no such list.

    >>> read_list("['a', 'b']"), read_list('["a"]'), read_list("[1, 2]"), read_list("[a]")
    (['a', 'b'], ['a'], [1, 2], None)
    """
    if not (text[:1] == "[" and text[-1:] == "]") and not (text[:1] == "(" and text[-1:] == ")"):
        return None
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    if not isinstance(found, list | tuple):
        return None
    labels = list(found)
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

    >>> likely_separator(["a|b", "a", "b|c"]), likely_separator(["Rome, IT", "Bonn, DE"])
    ('|', None)
    """
    distinct = sorted(set(texts))
    for sign in (*SURE, *POSSIBLE):
        combined = [text for text in distinct if len(split_labels(text, sign)) > 1]
        parts = Counter(part for text in distinct for part in split_labels(text, sign))
        again = [all(parts[part] > 1 for part in split_labels(text, sign)) for text in combined]
        enough = any(again) if sign in SURE else all(again)
        if combined and enough and len(parts) < len(distinct) + (sign in SURE):
            return sign
    return None
