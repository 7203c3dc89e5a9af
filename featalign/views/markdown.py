"""Tables of cells as Markdown, in the dialect of GitHub."""

import re

from featalign.views.cells import Cell, Note, Sheet, Table

SIGNS = re.compile(r"([\\`*_{}\[\]<>|#~$!])")


def sheet_markdown(sheet: Sheet) -> str:
    """The answer as Markdown: its sentences are paragraphs, and its tables have all columns."""
    parts = []
    for block in sheet.blocks:
        if isinstance(block, Table):
            parts.append(table_markdown(block))
        else:
            parts.append(_sentence(block))
    return "\n\n".join(parts) + "\n"


def table_markdown(table: Table) -> str:
    """One table as Markdown, its title in bold above it."""
    head = [escaped(column.heading) for column in table.columns]
    rules = ["---:" if column.align == "right" else ":---" for column in table.columns]
    rows = [[_cell(cell) for cell in row.cells] for row in table.rows]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, rules, *rows)]
    title = [f"**{escaped(table.title)}**", ""] if table.title else []
    caption = ["", escaped(table.caption)] if table.caption else []
    return "\n".join([*title, *lines, *caption])


def escaped(text: str) -> str:
    r"""A text that Markdown shows as it is.

    >>> print(escaped("resnet_[a]|b"))
    resnet\_\[a\]\|b
    """
    return SIGNS.sub(r"\\\1", text.replace("&", "&amp;")).replace("\n", "<br>")


def _cell(cell: Cell) -> str:
    text = "<br>".join(map(escaped, cell.lines))
    return f"**{text}**" if cell.emphasis == "strong" and text else text


def _sentence(note: Note) -> str:
    text = escaped(note.text)
    shown = f"**{text}**" if note.emphasis == "strong" else text
    return f"- {shown}" if note.level else shown
