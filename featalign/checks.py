"""One check of a whole number, one of a number, and one of a name.

Their errors name the argument, what was expected, what came and what to do.
"""

from collections.abc import Callable, Collection
from numbers import Integral
from typing import Any

from featalign.errors import FeatalignError
from featalign.nearest import did_you_mean


def is_whole(value: object, least: int = 1) -> bool:
    """Whether a value is a whole number of at least `least`.

    >>> is_whole(3), is_whole(0), is_whole(3.0), is_whole(True)
    (True, False, False, False)
    """
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= least


def check_whole(
    value: Any, name: str, least: int = 1, *, expected: str = "", remedy: str = ""
) -> int:
    """The value, if it is a whole number of at least `least`.

    Raises FeatalignError otherwise; `expected` replaces the message's words for what would do.

    >>> check_whole(0, "folds", 2)
    Traceback (most recent call last):
    featalign.errors.FeatalignError: folds: expected a whole number of at least 2, got 0
    """
    if not is_whole(value, least):
        expected = expected or f"a whole number of at least {least}"
        raise _unfit(name, expected, value, remedy)
    return int(value)


def check_number(
    value: Any, name: str, expected: str, fits: Callable[[float], bool], *, remedy: str = ""
) -> float:
    """The value, if it is a number that fits; `expected` says in words which numbers fit.

    Raises FeatalignError for a number that does not fit, and for anything else.

    >>> check_number(2, "share", "a number from 0 to 1", lambda share: 0 <= share <= 1)
    Traceback (most recent call last):
    featalign.errors.FeatalignError: share: expected a number from 0 to 1, got 2
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not fits(value):
        raise _unfit(name, expected, value, remedy)
    return float(value)


def check_one_of(
    value: Any, known: Collection[Any], name: str, *, expected: str = "", remedy: str = ""
) -> None:
    """Raise FeatalignError for a value that is not known; the message lists those that are.

    >>> check_one_of("c", ("a", "b"), "letter")
    Traceback (most recent call last):
    featalign.errors.FeatalignError: letter: expected one of a, b, got 'c'
    """
    if value not in known:
        suggested = did_you_mean(value, [each for each in known if isinstance(each, str)])
        remedy = f"{suggested}{remedy}" or remedy
        raise _unfit(name, expected or f"one of {', '.join(known)}", value, remedy.rstrip())


def _unfit(name: str, expected: str, value: Any, remedy: str) -> FeatalignError:
    told = f"; {remedy}" if remedy else ""
    return FeatalignError(f"{name}: expected {expected}, got {value!r}{told}")
