"""What stands for a label that is missing: the one list of such words."""

from typing import Any

# words that nobody gives a class, and words that a class may well have
WORDS = (
    *("nan", "-nan", "n/a", "#n/a", "#na", "<na>", "nat", "null", "#null!", "missing"),
    *("n.a.", "n.a", "(null)", "#n/a n/a", "not available", "undefined", "[null]", "\\n"),
    *("1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan", "#value!", "#ref!", "#div/0!"),
)
WORDS_OF_CLASSES = (
    *("none", "na", "nil", "?", "-", "--", "---", "\u2013", "\u2014", ".", "...", "\u2026", "*"),
    *("unlabelled", "unlabeled", "not labelled", "not labeled", "no label", "not applicable"),
)


def is_missing(value: Any, *, classes_said: bool = False) -> bool:
    """Whether a value stands for nothing: None, NaN, NaT, blanks, or a word for that.

    Where the user said that there are classes (`classes_said`), words such as "none" may be one.

    >>> [is_missing(value) for value in (None, float("nan"), " ", "N/A", "None", "0", 0)]
    [True, True, True, True, True, False, False]
    >>> is_missing("none", classes_said=True), is_missing("NaN", classes_said=True)
    (False, True)
    """
    if isinstance(value, str):
        word = value.strip().lower()
        return not word or word in WORDS or (not classes_said and word in WORDS_OF_CLASSES)
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return False  # an array
