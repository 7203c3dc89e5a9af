"""Forecasts as a table, and the gain against the number of rows as a picture."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from featalign.records.forecast import Forecast
from featalign.records.interval import percent, points
from featalign.records.ranking import Ranking, RankingRow
from featalign.views.names import short_name, short_names

if TYPE_CHECKING:
    from featalign.study.check import Checked

MOST_LINES = 8  # lines in a picture whose bands can be told apart
TIERS = {"cache": "from the cache", "short": "with short runs"}


def forecast_table(ranking: Ranking) -> Table:
    """One line for each source, two where there are short runs.

    Columns are expected accuracy, that of scratch, the gain with its interval, the chance of a
    loss, and the verdict.
    """
    table = Table(
        title=f"{ranking.target}: {ranking.num_rows} rows, {ranking.num_classes} classes; expected "
        "after training, with 90% intervals"
    )
    both = any(len(row.forecasts) > 1 for row in ranking.rows)
    columns = (
        "",
        "source",
        *(("made", "seconds") if both else ()),
        "accuracy",
        "scratch",
        "gain (points)",
        "hurts",
        "verdict",
    )
    for column in columns:
        table.add_column(
            column,
            justify="left" if column in ("source", "verdict", "made") else "right",
            no_wrap=column != "verdict",
        )
    names = short_names(row.source for row in ranking.rows)
    for place, row in enumerate(ranking.rows, 1):
        if not row.forecasts:
            table.add_row(str(place), names[row.source], *(["", ""] if both else []), *["-"] * 5)
        for number, forecast in enumerate(row.forecasts):
            last = number + 1 == len(row.forecasts)
            made = (
                [TIERS[forecast.tier], f"{row.seconds.get(forecast.tier, 0.0):.1f}"] if both else []
            )
            name = [str(place), names[row.source]] if number == 0 else ["", ""]
            table.add_row(
                *name,
                *made,
                *_cells(forecast),
                (row.verdict or "") if last else "",
                style=None if last else "dim",
            )
    return table


def _cells(forecast: Forecast) -> list[str]:
    return [
        forecast.accuracy.in_percent(0),
        percent(forecast.scratch_accuracy.value, 0),
        forecast.gain.in_points(),
        percent(forecast.negative_transfer_probability, 0),
    ]


def print_forecasts(ranking: Ranking, console: Console, *, reasons: int = 1) -> None:
    """Print the table, the reasons of the first verdicts, and the warnings about the target."""
    console.print(forecast_table(ranking))
    for row in [row for row in ranking.rows if row.judgement][:reasons]:
        console.print(f"{row.source}: {row.verdict}, because", markup=False, highlight=False)
        for reason in row.reasons:
            console.print(f"  {reason}", markup=False, highlight=False)
    for warning in ranking.target_warnings:
        console.print(f"{ranking.target}: {warning}", style="yellow", markup=False)


def checked_table(checks: Sequence["Checked"]) -> Table:
    """Forecasts beside results: accuracy and gain, and whether a result lies in its interval."""
    first = checks[0].best
    table = Table(
        title=f"forecast and result: {first.num_training + first.num_validation} rows to train and "
        f"choose on, {first.num_test} to test"
    )
    for column in (
        "source",
        "verdict",
        "gain, forecast",
        "gain, trained",
        "accuracy, forecast",
        "accuracy, trained",
        "best arm",
        "within",
    ):
        table.add_column(column, justify="right" if "," in column else "left")
    for check in checks:
        row, gain, accuracy = check.row, check.row.gain, check.row.accuracy
        assert gain is not None
        assert accuracy is not None
        arm = check.best.arm.replace("_", " ")
        table.add_row(
            short_name(row.source),
            row.verdict or "",
            gain.in_points(),
            points(check.gain),
            accuracy.in_percent(0),
            percent(check.best.accuracy.value),
            arm,
            "yes" if gain.holds(check.gain) else "no",
        )
    for scratch in {check.scratch.source: check.scratch for check in checks}.values():
        table.add_row(
            f"{short_name(scratch.source)} from scratch",
            "",
            "",
            "",
            "",
            percent(scratch.accuracy.value),
            "scratch",
            "",
        )
    return table


def gain_figure(ranking: Ranking) -> Figure:
    """The expected gain over scratch against the number of rows, with its band.

    It shows the best sources and the last one.
    """
    rows = [row for row in ranking.rows if row.forecast is not None]
    chosen: list[RankingRow] = (
        rows if len(rows) <= MOST_LINES else [*rows[: MOST_LINES - 1], rows[-1]]
    )
    columns = min(4, max(len(chosen), 1))
    lines = max(1, -(-len(chosen) // columns))
    figure = Figure(figsize=(3.0 * columns, 2.4 * lines + 0.4), layout="constrained")
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat[len(chosen) :]:
        axes.set_visible(False)
    names = short_names(row.source for row in chosen)
    for axes, row in zip(panels.flat, chosen, strict=False):
        forecast = row.forecast
        assert forecast is not None
        sizes = list(forecast.gain_by_size)
        gains = list(forecast.gain_by_size.values())
        axes.fill_between(
            sizes,
            [100 * gain.low for gain in gains],
            [100 * gain.high for gain in gains],
            color="tab:blue",
            alpha=0.18,
            lw=0,
        )
        axes.plot(sizes, [100 * gain.value for gain in gains], color="tab:blue", lw=1.8)
        axes.plot(ranking.num_rows, 100 * forecast.gain.value, "o", color="black", ms=4)
        axes.axhline(0, color="0.4", lw=0.8)
        if forecast.catches_up is not None:
            axes.axvline(forecast.catches_up, color="tab:orange", lw=1, ls="--")
            axes.annotate(
                f"{forecast.catches_up:,}",
                (forecast.catches_up, 0),
                textcoords="offset points",
                xytext=(3, 4),
                fontsize=7,
                color="tab:orange",
            )
        axes.set_xscale("log")
        axes.set_title(names[row.source], fontsize=8)
        axes.tick_params(labelsize=7)
    figure.supxlabel(
        "rows of the target (dot: as many as there are; dashed: where scratch is expected to catch "
        "up)",
        fontsize=8,
    )
    figure.supylabel("expected gain over scratch (points)", fontsize=8)
    return figure
