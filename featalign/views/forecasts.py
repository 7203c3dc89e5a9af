"""Forecasts as tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from featalign.records.forecast import Forecast
from featalign.records.interval import percent, points
from featalign.records.ranking import Ranking
from featalign.views.names import short_name, short_names

if TYPE_CHECKING:
    from featalign.study.check import Checked

TIERS = {
    "cache": "from the cache",
    "anchor": "with scratch trained",
    "short": "with short runs",
}


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
    """The table, the reasons of the first verdicts, and the warnings about the target."""
    console.print(forecast_table(ranking))
    for row in [row for row in ranking.rows if row.judgement][:reasons]:
        console.print(f"{row.source}: {row.verdict}, because", markup=False, highlight=False)
        for reason in row.reasons:
            console.print(f"  {reason}", markup=False, highlight=False)
    print_target_warnings(ranking, console)


def print_target_warnings(ranking: Ranking, console: Console) -> None:
    """What is to be known of the target, a line each."""
    for warning in ranking.target_warnings:
        console.print(f"{ranking.target}: {warning}", style="yellow", markup=False)


def checked_table(checks: Sequence["Checked"]) -> Table:
    """Forecast beside result: accuracy and gain, and whether the result lies in the interval."""
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
