"""featalign validate: real training, and how well scores and forecasts agree with what came out."""

import typer

from featalign.cli.validate.fit import fit
from featalign.cli.validate.grid import evidence, run, short
from featalign.cli.validate.report import report
from featalign.cli.verb import as_verb

__all__ = ["validate_app"]

validate_app = typer.Typer(
    help="Train a grid of arms, and check scores and forecasts against them.", no_args_is_help=True
)
for command in (run, evidence, short, fit, report):
    validate_app.command()(as_verb(command))
