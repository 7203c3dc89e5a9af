"""Tables and sentences as text: how wide, and the same on a terminal, in a file and in a string."""

import io
import sys
from typing import TYPE_CHECKING, TextIO

from rich.console import Console

if TYPE_CHECKING:
    from featalign.records.ranking import Ranking

WIDTH = 120  # where there is no terminal


def width_of(stream: TextIO | None) -> int | None:
    """The columns to write for a stream: None, which asks the terminal, or 120 without one."""
    return None if stream is not None and stream.isatty() else WIDTH


def say(console: Console, text: str, *, style: str = "", is_plain: bool = False) -> None:
    """Print a sentence, which breaks at words on a terminal and stays one line elsewhere.

    With `is_plain` numbers are not coloured.
    """
    console.print(
        text,
        style=style or None,
        markup=False,
        highlight=False if is_plain else None,
        soft_wrap=not console.is_terminal,
    )


def ranking_text(ranking: "Ranking") -> str:
    """The ranking as the shell prints it, without colours, as wide as standard output."""
    from featalign.views.tables import print_ranking

    width = width_of(sys.stdout) or Console().width
    console = Console(file=io.StringIO(), width=width, no_color=True)
    print_ranking(ranking, console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines)
