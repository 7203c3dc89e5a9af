"""A table of any origin, or some of its rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from featalign.errors import FeatalignError
from featalign.targets.missing import is_missing
from featalign.targets.splits import Splits


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length, and which of their rows are taken; None takes all of them.

    Errors name the `place`, with the `unit` and the number of the row (`numbers`). Paths of images
    are relative to `folder`. `class_names` are the names of the classes for columns that hold their
    places.
    """

    place: str
    columns: Mapping[str, Sequence[Any]]
    numbers: Sequence[int]
    unit: str = "line"
    folder: Path = Path()
    class_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    taken: Sequence[int] | None = None

    @property
    def rows(self) -> Sequence[int]:
        """The numbers of the rows that are taken."""
        return range(len(self.numbers)) if self.taken is None else self.taken

    def take(self, rows: Sequence[int]) -> "Table":
        """These rows of the columns alone."""
        return replace(self, taken=rows)

    def whole(self, column: str) -> Sequence[Any]:
        """A column with all its rows; raises FeatalignError where the table does not have it."""
        if column not in self.columns:
            raise FeatalignError(
                f"{self.place}: expected a column {column!r} as in the training rows, got "
                f"{', '.join(self.columns)}; add it"
            )
        return self.columns[column]

    def values(self, column: str) -> list[Any]:
        """The values of a column in the rows that are taken."""
        whole = list(self.whole(column))
        return [whole[row] for row in self.rows]

    def numbered(self, column: str) -> list[tuple[int, Any]]:
        """The values of a column in the rows that are taken, each with the number of its row."""
        return list(zip(self.rows, self.values(column), strict=True))

    def example(self, column: str) -> Any:
        """The first value of a column that is not missing; None where all are."""
        return next((value for value in self.columns[column] if not is_missing(value)), None)

    def at(self, row: int) -> str:
        """The place of a row of the columns, for an error."""
        return f"{self.place}, {self.unit} {self.numbers[row]}"

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class Tables:
    """A target as it came in tables of the same columns: the training rows, and held-out rows.

    `held_out` are the parts that could be held out, by their names, in order of preference; the
    first that has labels is taken. Without any, a column `split` may say which rows are held out.
    `left_out` are sentences on parts that are none of these.
    """

    train: Table
    held_out: tuple[tuple[str, Table], ...] = ()
    left_out: tuple[str, ...] = ()


def parted(splits: Splits, read: Callable[[str], Table], count: Callable[[str], int]) -> Tables:
    """The tables that the splits name; of what is in none of the parts the rows are counted."""
    left_out = tuple(
        f"left out: {name} ({count(name)} rows), which is no part of {splits.train}"
        for name in splits.others
    )
    held_out = tuple((name, read(name)) for name in splits.held_out)
    return Tables(read(splits.train), held_out, left_out)
