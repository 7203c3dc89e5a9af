"""featalign rank: sources in the order of what they promise on a target."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from featalign.cli.context import console, keep_compiled
from featalign.cli.options import (
    AsJson,
    Cache,
    Intervals,
    Layers,
    Scorers,
    Seed,
    Sources,
    Subset,
    TargetAddress,
    layer_names,
    names,
    with_choice,
)
from featalign.errors import FeatalignError
from featalign.targets.choice import NO_CHOICE, Choice


@with_choice
def rank(
    source: Sources,
    target: TargetAddress,
    subset: Subset = None,
    seed: Seed = 0,
    layers: Layers = None,
    scorers: Scorers = None,
    cache: Cache = None,
    choice: Choice = NO_CHOICE,
    intervals: Intervals = False,
    effort: Annotated[
        str, typer.Option(help="cache, or short: a little real training beside it.")
    ] = "cache",
    share: Annotated[
        float | None, typer.Option(help="Length of short runs as a part of one training.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="A calibration of `validate fit`; default: the shipped one.")
    ] = None,
    as_json: AsJson = False,
    figure: Annotated[
        Path | None,
        typer.Option(help="Also write a picture of all scores, for example ranking.png."),
    ] = None,
    gain_figure: Annotated[
        Path | None,
        typer.Option(help="Also write a picture of the expected gain against the number of rows."),
    ] = None,
) -> None:
    """Rank sources on a target, best first.

    A row has the forecast of accuracy and of gain over scratch, the verdict, and the scores.
    """
    from featalign import api
    from featalign.targets.loaders import load_chosen

    keep_compiled()
    if figure is not None or gain_figure is not None:
        from featalign.views.figures import check_figure_path

        for path in (figure, gain_figure):
            if path is not None:
                check_figure_path(path)
    data = load_chosen(target, choice, subset=subset, seed=seed)
    ranking = api.rank(
        source,
        data,
        cache=cache,
        scorers=names(scorers),
        layers=layer_names(layers),
        seed=seed,
        intervals=intervals,
        effort=effort,
        share=api.SHARE if share is None else share,
        calibration=calibration,
    )
    if figure is not None or gain_figure is not None:
        from featalign.views import figures, forecasts

        if figure is not None:
            figures.save_figure(figures.ranking_figure(ranking), figure)
        if gain_figure is not None:
            if not any(row.forecasts for row in ranking.rows):
                raise FeatalignError(
                    "gain_figure: expected a forecast, there is none without classes or with named "
                    "scorers; leave it out"
                )
            figures.save_figure(forecasts.gain_figure(ranking), gain_figure)
    if as_json:
        print(ranking.to_json())
    else:
        from featalign.views.tables import print_ranking

        print_ranking(ranking, console())
    if ranking.failures:
        if as_json:
            for name, reason in ranking.failures.items():
                print(f"featalign: {name}: {reason}", file=sys.stderr)
        raise typer.Exit(1)
