"""Tables of cells as text: how wide, and the same on a terminal, in a file and in a string."""

import io
import sys
import textwrap
from typing import TextIO

from rich.console import Console
from rich.table import Table as Frame
from rich.text import Text

from featalign.views.cells import Emphasis, Note, Sheet, Table
from featalign.views.fitting import Fitted, fitted

WIDTH = 120  # where there is no terminal
NAMED = 6  # columns that are named where they are left out
STYLES: dict[Emphasis, str] = {
    "": "",
    "strong": "bold",
    "dim": "dim",
    "good": "green",
    "bad": "red",
    "warning": "yellow",
    "error": "red",
}


def width_of(stream: TextIO | None) -> int | None:
    """The columns to write for a stream: None, which asks the terminal, or 120 without one."""
    return None if stream is not None and stream.isatty() else WIDTH


def print_sheet(
    sheet: Sheet, console: Console, *, wide: bool = False, wraps: bool | None = None
) -> None:
    """Print an answer, as wide as the console; with `wide` all columns, as wide as they are.

    Sentences wrap where `wraps` is true; None: on a terminal, and not in a file.
    """
    wrapped = console.is_terminal if wraps is None else wraps
    for block in sheet.blocks:
        if isinstance(block, Note):
            say(console, block, wraps=wrapped)
        else:
            print_table(block, console, wide=wide, wraps=wrapped)


def print_table(table: Table, console: Console, *, wide: bool = False, wraps: bool = False) -> None:
    """Print a table, and below it what its width leaves out: columns, and parts of names."""
    found = fitted(table, None if wide else console.width)
    frame = _frame(table, found)
    before = console.width
    if wide:
        console.width = max(before, sum(found.widths) + 3 * len(found.widths) + 1)
    console.print(frame)
    console.width = before
    if found.left_out:
        named = ", ".join(found.left_out[:NAMED])
        more = len(found.left_out) - NAMED
        said = f"{named} and {more} more" if more > 0 else named
        lacking = f"no room for {said}: --wide (wide=True) shows all columns"
        say(console, Note(text=lacking, emphasis="dim"), wraps=wraps)
    for short, name in found.shortened:
        say(console, Note(text=f"{short} is {name}", emphasis="dim"), wraps=wraps)


def sheet_text(sheet: Sheet, *, width: int | None = None, wide: bool = False) -> str:
    """The answer as the shell prints it, without colours.

    It is as wide as standard output, or `width` columns, in which sentences wrap then; or, with
    `wide`, as all columns are.
    """
    wraps = width is not None
    width = width or width_of(sys.stdout) or Console().width
    console = Console(file=io.StringIO(), width=width, no_color=True)
    print_sheet(sheet, console, wide=wide, wraps=wraps)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines)


def say(console: Console, note: Note, *, wraps: bool) -> None:
    """Print a sentence, which breaks between words where it wraps."""
    text = "  " * note.level + note.text
    if wraps:
        indent = "  " * (note.level + 1)
        text = textwrap.fill(
            text,
            console.width,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    style = STYLES[note.emphasis] or None
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)


def _frame(table: Table, found: Fitted) -> Frame:
    title = Text(table.title, style="table.title") if table.title else None
    caption = Text(table.caption, style="table.caption") if table.caption else None
    frame = Frame(title=title, caption=caption)
    for place, width, heading in zip(found.places, found.widths, found.headings, strict=True):
        align = table.columns[place].align
        frame.add_column(Text(heading), justify=align, no_wrap=True, min_width=width)
    for number, row in enumerate(table.rows):
        cells = [
            Text(lines[number], style=STYLES[row.cells[place].emphasis])
            for place, lines in zip(found.places, found.lines, strict=True)
        ]
        frame.add_row(*cells, style="dim" if row.superseded else None)
    return frame
