"""Groups of rows that belong together (patients, videos, pages), as they came and as they are kept.

All rows of a group come into one fold and one part of a split.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.label_names import clean
from featalign.targets.missing import is_missing

GROUPS = "groups"


@dataclass(frozen=True, eq=False)
class Groups:
    """The group of each row: places (N,) int64 among names that all parts of a target share."""

    values: np.ndarray
    names: tuple[str, ...]

    def take(self, rows: np.ndarray) -> "Groups":
        """The groups of these rows alone, with the same names."""
        return Groups(self.values[rows], self.names)

    @property
    def count(self) -> int:
        """The number of groups that occur."""
        return len(np.unique(self.values))


def read_groups(
    parts: Sequence[Any], lengths: Sequence[int], *, name: str = GROUPS
) -> tuple[Groups | None, ...]:
    """The groups of each part, from a value for each of its rows; None where there are none.

    Values are strings or whole numbers, which are compared as they are written. Raises
    FeatalignError for a length that differs, values that are missing or no names, and fewer than
    two groups.

    >>> read_groups([["ann", "bob", "ann"]], [3])[0].values
    array([0, 1, 0])
    """
    listed: list[list[str] | None] = []
    for place, (part, length) in enumerate(zip(parts, lengths, strict=True)):
        which = name if place == 0 else f"held-out {name}"
        listed.append(None if part is None else _names(part, length, which))
    if not listed or listed[0] is None:
        if any(part is not None for part in listed):
            raise FeatalignError(
                f"{name}: expected groups of the training rows beside those of the held-out rows, "
                "got none; give both"
            )
        return tuple(None for _ in listed)
    names = tuple(dict.fromkeys(each for part in listed if part is not None for each in part))
    places = {each: place for place, each in enumerate(names)}
    found = tuple(
        None if part is None else Groups(np.array([places[each] for each in part], np.int64), names)
        for part in listed
    )
    if len(set(listed[0])) < 2:
        raise FeatalignError(
            f"{name}: expected at least two groups, got {names[0]!r} in every row; name smaller "
            "groups, or leave them out"
        )
    return found


def group_name(value: Any) -> str | None:
    """A value as the name of a group; None for what is no name.

    >>> group_name(" p1"), group_name(3.0), group_name(2.5)
    ('p1', '3', None)
    """
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    # dates and identifiers are as they are written
    is_name = not isinstance(value, float | complex | list | tuple | dict | set | np.ndarray)
    return str(value) if is_name else None


def _names(part: Any, length: int, which: str) -> list[str]:
    if isinstance(part, str | bytes | dict) or not hasattr(part, "__len__"):
        raise FeatalignError(
            f"{which}: expected a list with the group of each row, got {type(part).__name__}; in "
            "a table the name of a column goes to load_target or --groups"
        )
    values = part if isinstance(part, list | tuple) else np.asarray(part)
    if isinstance(values, np.ndarray) and values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if isinstance(values, np.ndarray) and values.ndim != 1:
        raise FeatalignError(
            f"{which}: expected one group for each row, (N,), got shape {values.shape}"
        )
    if len(values) != length:
        raise FeatalignError(
            f"{which}: expected the group of each of {length} rows, got {len(values)}; check that "
            "both come from the same data"
        )
    found = []
    for row, value in enumerate(values):
        named = None if is_missing(value, classes_said=True) else group_name(value)
        if named is None:
            came = "nothing" if is_missing(value, classes_said=True) else repr(value)[:40]
            raise FeatalignError(
                f"{which}: expected a string or a whole number in every row, got {came} in row "
                f"{row}; fill it in, drop the row, or give it a group of its own"
            )
        found.append(named)
    return found
