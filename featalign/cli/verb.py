"""A verb of the shell: how much it says, and its errors in the words of the shell."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

import click
from typer.core import TyperCommand, TyperOption

from featalign.cli.wording import spoken
from featalign.errors import FeatalignError
from featalign.log import LOGGER


class Verb(TyperCommand):
    """A command with --verbose and --quiet, whose errors name flags and not arguments."""

    def __init__(self, *arguments: Any, params: list[click.Parameter], **options: Any) -> None:
        super().__init__(*arguments, params=[*params, *_volume()], **options)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb, with as much on standard error as was asked for."""
        verbose, quiet = ctx.params.pop("verbose", False), ctx.params.pop("quiet", False)
        if verbose and quiet:
            raise click.UsageError("--verbose, --quiet: expected one of the two, got both", ctx)
        with telling(verbose=verbose, quiet=quiet):
            try:
                return super().invoke(ctx)
            except FeatalignError as error:
                raise FeatalignError(spoken(str(error))) from error


def _volume() -> list[click.Parameter]:
    return [
        TyperOption(
            param_decls=["--verbose", "-v"],
            is_flag=True,
            default=False,
            help="Say on standard error what is done.",
        ),
        TyperOption(
            param_decls=["--quiet", "-q"],
            is_flag=True,
            default=False,
            help="Say nothing but errors on standard error.",
        ),
    ]


@contextmanager
def telling(*, verbose: bool = False, quiet: bool = False) -> Iterator[None]:
    """A context in which the logger `featalign` writes to standard error.

    It writes warnings, and where that is no terminal, which has bars, a line for each source.
    """
    usual = logging.WARNING if sys.stderr.isatty() else logging.INFO
    level = logging.ERROR if quiet else logging.DEBUG if verbose else usual
    handler = _ToStandardError()
    handler.setFormatter(_InFlags("%(message)s"))
    before = LOGGER.level, LOGGER.propagate
    LOGGER.setLevel(level)
    LOGGER.propagate = False
    LOGGER.addHandler(handler)
    try:
        yield
    finally:
        LOGGER.removeHandler(handler)
        LOGGER.setLevel(before[0])
        LOGGER.propagate = before[1]


class _ToStandardError(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what standard error is at that moment, because bars take its place."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        return sys.stderr


class _InFlags(logging.Formatter):
    """Lines in the words of the shell."""

    def format(self, record: logging.LogRecord) -> str:
        return f"featalign: {spoken(super().format(record))}"
