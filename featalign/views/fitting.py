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
LEAST_WORDS, LEAST_SENTENCE = 11, 18  # characters that a few words, and a sentence, keep


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
    22 characters. Where names are not whole then, the ends of intervals go below their values, and
    if that is not enough, the middle of names is left out.
    """
    shown = list(range(len(table.columns)))
    sizes = _sizes(table, is_stacked=False)
    while width is not None and sum(sizes[place].least for place in shown) > _room(shown, width):
        going = [place for place in shown if table.columns[place].priority > 0]
        if not going:
            break
        shown.remove(max(going, key=lambda place: (table.columns[place].priority, place)))
    is_stacked = width is not None and sum(sizes[at].whole for at in shown) > _room(shown, width)
    sizes = _sizes(table, is_stacked=is_stacked)
    widths = {place: sizes[place].natural for place in shown}
    if width is not None:
        widths = _widths(table.columns, shown, sizes, _room(shown, width))
    lines, shortened = [], {}
    for place in shown:
        column, cells, space = table.columns[place], _cells(table, place), widths[place]
        names = _short_forms(column, cells, space)
        shortened |= {short: name for name, short in names.items() if short != _plain(name)}
        lines.append(tuple(_wrapped(cell, column, space, names, is_stacked) for cell in cells))
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


@dataclass(frozen=True)
class _Size:
    """The widths of a column: its own, the least one, and the least one with whole names."""

    natural: int
    least: int
    whole: int


def _sizes(table: Table, *, is_stacked: bool) -> list[_Size]:
    return [
        _size(column, _cells(table, place), is_stacked)
        for place, column in enumerate(table.columns)
    ]


def _size(column: Column, cells: Sequence[Cell], is_stacked: bool) -> _Size:
    """Headings break between words, and some cells do."""
    heading = _longest_word(column.heading)
    if column.fit == "name":
        texts = [_plain(cell.text) for cell in cells]
        natural = max(map(cell_len, [column.heading, *texts]))
        return _Size(natural, max(heading, min(natural, WHOLE_NAME)), natural)
    texts = [line for cell in cells for line in _lines(cell, column, is_stacked)]
    widest = max(map(cell_len, texts), default=0)
    natural = max(cell_len(column.heading), widest)
    if column.fit != "words":
        least = max(heading, widest)
        return _Size(natural, least, least)
    longest = min(max(map(_longest_word, texts), default=0), WHOLE_NAME)
    wanted = LEAST_WORDS if widest <= 2 * LEAST_SENTENCE else LEAST_SENTENCE
    least = max(heading, longest, min(wanted, natural))
    return _Size(natural, least, least)


def _widths(
    columns: Sequence[Column], shown: Sequence[int], sizes: Sequence[_Size], room: int
) -> dict[int, int]:
    """The width of each column: what is left over goes to names first, and to words last."""
    widths = {place: sizes[place].least for place in shown}
    for place in [place for place in shown if columns[place].fit == "name"]:
        excess = sum(widths.values()) - room  # more columns cannot go
        widths[place] -= min(max(excess, 0), max(widths[place] - LEAST_NAME, 0))
    order = {"name": 0, "whole": 1, "ends": 1, "words": 2}
    for place in sorted(shown, key=lambda place: order[columns[place].fit]):
        free = room - sum(widths.values())
        widths[place] += max(min(free, sizes[place].natural - widths[place]), 0)
    return widths


def _cells(table: Table, place: int) -> list[Cell]:
    return [row.cells[place] for row in table.rows]


def _room(shown: Sequence[int], width: int) -> int:
    return width - FRAME * len(shown) - 1


def _plain(name: str) -> str:
    """A name as it is shown where there is room."""
    return short_name(name, len(name))


def _lines(cell: Cell, column: Column, is_stacked: bool) -> tuple[str, ...]:
    return cell.narrow_lines if is_stacked and column.fit == "ends" else cell.lines


def _longest_word(text: str) -> int:
    return max(map(cell_len, text.split()), default=0)


def _short_forms(column: Column, cells: Sequence[Cell], width: int) -> dict[str, str]:
    """The names of a column, and the long words of its sentences, as they are shown."""
    if column.fit == "name":
        return short_names((cell.text for cell in cells), width)
    if column.fit != "words":
        return {}
    every = (word for cell in cells for line in cell.lines for word in line.split())
    return short_names((word for word in every if cell_len(word) > width), width)


def _wrapped(
    cell: Cell, column: Column, width: int, names: dict[str, str], is_stacked: bool
) -> str:
    """The lines of a cell; names and long words as they are shown."""
    if column.fit == "name":
        return names[cell.text]
    if column.fit == "words":
        lines = (" ".join(names.get(word, word) for word in line.split()) for line in cell.lines)
        return "\n".join(_wrap(line, width) for line in lines)
    return "\n".join(_lines(cell, column, is_stacked))


def _wrap(text: str, width: int) -> str:
    """The text in lines of so many characters, broken between words alone."""
    lines = textwrap.wrap(text, max(width, 1), break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)
