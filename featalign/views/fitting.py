"""How a table of cells gets as narrow as a terminal: columns go, names get short, words wrap."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len

from featalign.views.cells import Cell, Column, Table
from featalign.views.names import short_name, short_names

FRAME = 3  # characters around a cell
WHOLE_NAME = 22  # characters of a name for which columns are given up
LEAST_NAME = 8  # characters that a name keeps
LEAST_WORDS = 18  # characters that a sentence keeps


@dataclass(frozen=True)
class Fitted:
    """The columns that are shown, by place, each with its width, and the lines of its cells.

    `shortened` are names that are not whole, with what they stand for.
    """

    places: tuple[int, ...]
    widths: tuple[int, ...]
    headings: tuple[str, ...]
    lines: tuple[tuple[str, ...], ...]
    left_out: tuple[str, ...]
    shortened: tuple[tuple[str, str], ...]


def fitted(table: Table, width: int | None) -> Fitted:
    """The table in at most so many columns of a terminal, or as wide as it is (None).

    Columns that may go do so, the largest priority first, as long as names would keep fewer than
    22 characters. Then names get shorter.
    """
    shown = list(range(len(table.columns)))
    natural = [_natural(column, _cells(table, place)) for place, column in enumerate(table.columns)]
    least = [_least(column, _cells(table, place)) for place, column in enumerate(table.columns)]
    while width is not None and sum(least[place] for place in shown) > _room(shown, width):
        going = [place for place in shown if table.columns[place].priority > 0]
        if not going:
            break
        shown.remove(max(going, key=lambda place: (table.columns[place].priority, place)))
    widths = {place: natural[place] for place in shown}
    if width is not None:
        widths = _widths(table.columns, shown, natural, least, _room(shown, width))
    lines, shortened = [], {}
    for place in shown:
        column, cells = table.columns[place], _cells(table, place)
        names = {}
        if column.fit == "name":
            names = short_names((cell.text for cell in cells), widths[place])
            whole = {name: short_name(name, len(name)) for name in names}
            shortened |= {short: name for name, short in names.items() if short != whole[name]}
        lines.append(tuple(_wrapped(cell, column, widths[place], names) for cell in cells))
    return Fitted(
        places=tuple(shown),
        widths=tuple(widths[place] for place in shown),
        headings=tuple(_wrap(table.columns[place].heading, widths[place]) for place in shown),
        lines=tuple(lines),
        left_out=tuple(
            column.heading for place, column in enumerate(table.columns) if place not in shown
        ),
        shortened=tuple(shortened.items()),
    )


def _widths(
    columns: Sequence[Column],
    shown: Sequence[int],
    natural: Sequence[int],
    least: Sequence[int],
    room: int,
) -> dict[int, int]:
    """The width of each column: what is left over goes to names first, then to words."""
    widths = {place: least[place] for place in shown}
    names = [place for place in shown if columns[place].fit == "name"]
    for place in names:  # more columns cannot go
        excess = sum(widths.values()) - room
        widths[place] -= min(max(excess, 0), max(widths[place] - LEAST_NAME, 0))
    rest = [place for place in shown if columns[place].fit == "words"]
    for place in (*names, *(place for place in shown if place not in {*names, *rest}), *rest):
        free = room - sum(widths.values())
        widths[place] += max(min(free, natural[place] - widths[place]), 0)
    return widths


def _cells(table: Table, place: int) -> list[Cell]:
    return [row.cells[place] for row in table.rows]


def _room(shown: Sequence[int], width: int) -> int:
    return width - FRAME * len(shown) - 1


def _natural(column: Column, cells: Sequence[Cell]) -> int:
    texts = [column.heading, *(line for cell in cells for line in cell.lines)]
    if column.fit == "name":
        texts = [column.heading, *(short_name(cell.text, len(cell.text)) for cell in cells)]
    return max(map(cell_len, texts))


def _least(column: Column, cells: Sequence[Cell]) -> int:
    """The width that a column needs: headings break between words, and some cells do."""
    heading = _longest_word(column.heading)
    if column.fit == "whole":
        return max(heading, *(cell_len(line) for cell in cells for line in cell.lines), 0)
    natural = _natural(column, cells)
    if column.fit == "name":
        return max(heading, min(natural, WHOLE_NAME))
    longest = max((_longest_word(line) for cell in cells for line in cell.lines), default=0)
    widest = max((cell_len(line) for cell in cells for line in cell.lines), default=0)
    short = longest if widest <= 2 * LEAST_WORDS else LEAST_WORDS
    return max(heading, longest, min(short, natural))


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)


def _wrapped(cell: Cell, column: Column, width: int, names: dict[str, str]) -> str:
    if column.fit == "name":
        return names[cell.text]
    if column.fit == "words":
        return "\n".join(_wrap(line, width) for line in cell.lines)
    return "\n".join(cell.lines)


def _wrap(text: str, width: int) -> str:
    """The text in lines of so many characters, broken between words alone."""
    lines = textwrap.wrap(
        text, max(width, 1), break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )
    return "\n".join(lines)
