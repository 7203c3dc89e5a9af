"""What is common to all verbs: how much they say, and their errors in the words of the shell."""

import inspect
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Annotated, Any, TextIO

import typer

from featalign.cli.wording import flags_of, speaking, spoken
from featalign.errors import FeatalignError
from featalign.log import LOGGER

Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say on standard error what is done.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Say nothing but errors on standard error.")
]
COMMON = {"context": typer.Context, "verbose": Verbose, "quiet": Quiet}


def as_verb(function: Callable[..., None]) -> Callable[..., None]:
    """A verb with --verbose and --quiet, whose errors name flags and not arguments.

    >>> list(inspect.signature(as_verb(lambda source: None)).parameters)
    ['source', 'context', 'verbose', 'quiet']
    """

    @wraps(function)
    def verb(**given: Any) -> None:
        context, verbose, quiet = (given.pop(name) for name in COMMON)
        if verbose and quiet:
            raise typer.BadParameter("--verbose, --quiet: expected one of the two, got both")
        with speaking(flags_of(context.command)), telling(verbose=verbose, quiet=quiet):
            try:
                function(**given)
            except FeatalignError as error:
                raise FeatalignError(spoken(str(error))) from error

    signature = inspect.signature(function)
    kind = inspect.Parameter.KEYWORD_ONLY
    common = [
        inspect.Parameter(
            name,
            kind,
            annotation=annotation,
            default=inspect.Parameter.empty if name == "context" else False,
        )
        for name, annotation in COMMON.items()
    ]
    verb.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*signature.parameters.values(), *common]
    )
    return verb


@contextmanager
def telling(*, verbose: bool = False, quiet: bool = False) -> Iterator[None]:
    """A context in which the logger `featalign` writes to standard error.

    It writes warnings, and where that is no terminal, which has bars, a line for each source.
    """
    usual = logging.WARNING if sys.stderr.isatty() else logging.INFO
    level = logging.ERROR if quiet else logging.DEBUG if verbose else usual
    handler = _ToStandardError()
    handler.setFormatter(_InFlags())
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
