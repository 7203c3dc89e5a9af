"""Sheets as HTML: what a notebook shows, and pages that need nothing but themselves."""

import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from featalign.errors import FeatalignError
from featalign.views.cells import Note, Sheet

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
WHOLE_ADDRESS = 26  # characters of an address that stays on one line


@cache
def environment() -> "Environment":
    """The templates, which escape whatever they are given."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    found = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["breakable"] = _breakable
    found.tests["note"] = lambda block: isinstance(block, Note)
    return found


def _breakable(address: str) -> str:
    """An address that may break behind the signs between its parts, unless it is short."""
    from markupsafe import Markup, escape

    parts = re.split(r"(?<=[/@#:])", address) if len(address) > WHOLE_ADDRESS else [address]
    return Markup("<wbr>").join(map(escape, parts))


def fragment(sheet: Sheet) -> str:
    """The sheet as a piece of HTML with its own style, which is all a notebook needs."""
    return environment().get_template("fragment.html").render(sheet=sheet)


def sheet_page(sheet: Sheet, title: str) -> str:
    """The sheet as a whole page."""
    return environment().get_template("sheet.html").render(sheet=sheet, title=title)


def check_page_path(path: Path, *, name: str = "path") -> None:
    """Raise FeatalignError for a page that could not be written, before it is made."""
    if path.is_dir() or not path.parent.is_dir():
        got = "a folder" if path.is_dir() else f"none at {path.parent}"
        raise FeatalignError(
            f"{name}: expected a file in a folder that is there, got {got}; choose another place"
        )


def written(page: str, path: str | os.PathLike[str] | None) -> str:
    """The page, which is also written to a file where one is named.

    Raises FeatalignError when it cannot be written.
    """
    if path is None:
        return page
    check_page_path(Path(path))
    try:
        Path(path).write_text(page, encoding="utf-8")
    except OSError as error:
        raise FeatalignError(
            f"path: {path} could not be written ({error.strerror}); choose another place"
        ) from error
    return page
