"""The command `featalign`: its verbs, and the error for bad input."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from featalign import __version__
from featalign.cli.cache import cache_app
from featalign.cli.demo import demo
from featalign.cli.embed import embed
from featalign.cli.fine_tune import fine_tune
from featalign.cli.rank import rank
from featalign.cli.report import report
from featalign.cli.score import score
from featalign.cli.scorers import scorers
from featalign.cli.screen import screen
from featalign.cli.validate import validate_app
from featalign.cli.verb import as_verb
from featalign.errors import FeatalignError

app = typer.Typer(
    help="Will this pretrained model help on my data, by how much, and would training from scratch "
    "be better?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
for verb in (rank, score, scorers, embed, fine_tune, screen, report, demo):
    app.command()(as_verb(verb))
app.add_typer(cache_app, name="cache")
app.add_typer(validate_app, name="validate")


def _version(asked: bool) -> None:
    if asked:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del version


@contextmanager
def in_sentences() -> Iterator[None]:
    """A context in which bad input becomes one sentence and exit status 1."""
    try:
        yield
    except FeatalignError as error:
        print(f"featalign: {error}", file=sys.stderr)
        raise SystemExit(1) from None


def main() -> None:
    """Run the command line."""
    with in_sentences():
        app()
