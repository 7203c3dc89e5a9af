"""What is shown of an answer, laid out once: tables of cells and the sentences around them.

Text, HTML, Markdown and data frames are made of these records, and of nothing else.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

Emphasis = Literal["", "strong", "dim", "good", "bad", "warning", "error"]
Value = float | int | str | None
CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    r"""A text without signs that steer a terminal or that no page may hold; line ends stay.

    >>> printable("a\x1b[2Jb")
    'a�[2Jb'
    """
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column: its name in a data frame (`key`), its title and unit for people.

    `priority` says how soon it goes where there is no room: 0 stays always, and the largest goes
    first. `fit` says how its cells get narrow: "whole" ones never do, "words" break between words,
    "ends" put the ends of an interval below its value, and the middle of a "name" is left out.
    `group` names what belongs together.
    """

    key: str
    title: str = ""
    unit: str = ""
    align: Literal["left", "right"] = "right"
    priority: int = 0
    fit: Literal["whole", "words", "ends", "name"] = "whole"
    group: str = ""
    tooltip: str = ""

    @property
    def heading(self) -> str:
        """The title with its unit.

        >>> Column(key="gain", title="gain", unit="points").heading
        'gain (points)'
        """
        return f"{self.title} ({self.unit})" if self.unit else self.title


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell: its text, the `ends` beside it, lines `below` it, and the number it stands for.

    A data frame holds `value` and `more`: numbers by what is added to the key of the column
    ("low", "high", "zero"). `shade` is a place within the column from 0 to 1, where 1 is best.
    """

    text: str = ""
    ends: str = ""
    value: Value = None
    more: Mapping[str, float] = field(default_factory=dict)
    below: tuple[str, ...] = ()
    tooltip: str = ""
    emphasis: Emphasis = ""
    shade: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", printable(self.text))
        object.__setattr__(self, "below", tuple(map(printable, self.below)))
        object.__setattr__(self, "tooltip", printable(self.tooltip))

    @property
    def lines(self) -> tuple[str, ...]:
        """The text and what is below it, line by line.

        >>> Cell(text="62%", ends="52 to 72").lines
        ('62% (52 to 72)',)
        """
        return (f"{self.text} ({self.ends})" if self.ends else self.text, *self.below)

    @property
    def narrow_lines(self) -> tuple[str, ...]:
        """The same with the ends below the text.

        >>> Cell(text="62%", ends="52 to 72").narrow_lines
        ('62%', '52 to 72')
        """
        return (self.text, *((self.ends,) if self.ends else ()), *self.below)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of cells; one that is `superseded` is shown beside a better informed one."""

    cells: tuple[Cell, ...]
    superseded: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of cells under columns; a `name` for addresses within a page, a title for people."""

    name: str
    title: str = ""
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    caption: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", printable(self.title))

    def with_columns(self, wanted: Callable[[Column], bool]) -> "Table":
        """The table of the columns that are wanted."""
        kept = [place for place, column in enumerate(self.columns) if wanted(column)]
        rows = (replace(row, cells=tuple(row.cells[place] for place in kept)) for row in self.rows)
        columns = tuple(self.columns[place] for place in kept)
        return replace(self, columns=columns, rows=tuple(rows))

    def of_groups(self, *groups: str) -> "Table":
        """The table of the columns of these groups."""
        return self.with_columns(lambda column: column.group in groups)

    def without_superseded(self) -> "Table":
        """The table of the best informed rows."""
        return replace(self, rows=tuple(row for row in self.rows if not row.superseded))


@dataclass(frozen=True, kw_only=True)
class Note:
    """A sentence beside tables; `level` 1 stands below the one before it."""

    text: str
    emphasis: Emphasis = ""
    level: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", printable(self.text))


Block = Table | Note


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """All that is shown of an answer, in order; `whole` is the table that a data frame holds."""

    blocks: tuple[Block, ...]
    whole: Table

    @property
    def tables(self) -> tuple[Table, ...]:
        """The tables among the blocks."""
        return tuple(block for block in self.blocks if isinstance(block, Table))


def words(text: str, *, emphasis: Emphasis = "", tooltip: str = "") -> Cell:
    """A cell that holds a text alone.

    >>> words("zoo/a").value
    'zoo/a'
    """
    return Cell(text=text, value=text, emphasis=emphasis, tooltip=tooltip)


def rows_of(cells: Iterable[Sequence[Cell]]) -> tuple[Row, ...]:
    """Rows of these cells."""
    return tuple(Row(cells=tuple(each)) for each in cells)
