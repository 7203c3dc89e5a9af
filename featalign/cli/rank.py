"""featalign rank: sources on a target, the most promising first."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featalign.cli.context import prepare, show
from featalign.cli.options import (
    AsJson,
    Cache,
    Html,
    Intervals,
    Layers,
    MetricIfAny,
    Scorers,
    Seed,
    Sources,
    Subset,
    TargetAddress,
    Wide,
    layer_names,
    names,
    with_choice,
)
from featalign.cli.wording import spoken_ranking
from featalign.errors import FeatalignError
from featalign.log import LOGGER
from featalign.targets.choice import NO_CHOICE, Choice

if TYPE_CHECKING:
    from featalign.records.ranking import Ranking


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
        str,
        typer.Option(
            help="cache; anchor: one real training from scratch beside it; short: short runs."
        ),
    ] = "cache",
    share: Annotated[
        float | None, typer.Option(help="Length of short runs as a part of one training.")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="A calibration of `validate fit`; default: the shipped one.")
    ] = None,
    metric: MetricIfAny = None,
    draws: Annotated[
        int,
        typer.Option(help="Draw the rows of --per-class so often, and show means and deviations."),
    ] = 1,
    as_json: AsJson = False,
    wide: Wide = False,
    html: Html = None,
    figure: Annotated[
        Path | None,
        typer.Option(help="Also write a picture of all scores, for example ranking.png."),
    ] = None,
    forecast_figure: Annotated[
        Path | None,
        typer.Option(help="Also write a picture of both arms and the gain of each source."),
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

    prepare(cache)
    pictures = {"figure": figure, "forecast_figure": forecast_figure, "gain_figure": gain_figure}
    wanted = {name: path for name, path in pictures.items() if path is not None}
    if html is not None:
        from featalign.views.page import check_page_path

        check_page_path(html, name="html")
    if wanted:
        from featalign.views.figures import check_figure_path

        for name, path in wanted.items():
            check_figure_path(path, name=name)
    whole = replace(choice, per_class=None) if draws > 1 else choice
    data = load_chosen(target, whole, subset=subset, seed=seed)
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
        metric=metric,
        per_class=choice.per_class if draws > 1 else None,
        draws=draws,
        maps=html is not None,
    )
    if html is not None:
        spoken_ranking(ranking).to_html(html)
    if wanted:
        _save_pictures(ranking, wanted)
    if as_json:
        print(ranking.to_json())
    else:
        from featalign.views.sheets import sheet_of

        show(sheet_of(spoken_ranking(ranking)), wide=wide)
    if ranking.failures:
        if as_json:
            for name, reason in ranking.failures.items():
                LOGGER.error("%s: %s", name, reason)
        raise typer.Exit(1)


def _save_pictures(ranking: "Ranking", wanted: Mapping[str, Path]) -> None:
    from featalign.views.figures import ranking_figure, save_figure
    from featalign.views.forecast_figure import forecast_figure
    from featalign.views.gain_figure import gain_figure

    if "figure" in wanted:
        save_figure(ranking_figure(ranking), wanted["figure"])
    for name, draw in (("forecast_figure", forecast_figure), ("gain_figure", gain_figure)):
        if name not in wanted:
            continue
        if not any(row.forecasts for row in ranking.rows):
            raise FeatalignError(
                f"{name}: expected a forecast, there is none without classes or with named "
                "scorers; leave it out"
            )
        save_figure(draw(ranking), wanted[name])
