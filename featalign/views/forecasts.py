"""Forecasts as tables."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from featalign.forecasting.line import LEVEL
from featalign.forecasting.remedies import SURE
from featalign.records.forecast import Forecast
from featalign.records.interval import percent, points
from featalign.records.ranking import Ranking, RankingRow
from featalign.views.names import WIDTH as NAME
from featalign.views.names import short_name, short_names
from featalign.views.text import say

if TYPE_CHECKING:
    from featalign.study.check import Checked

TIERS = {
    "cache": "from the cache",
    "anchor": "with scratch trained",
    "short": "with short runs",
}
RULE = (
    f"a verdict needs a gain or a loss with a chance of {SURE:.0%}; intervals are of {LEVEL:.0%}, "
    "and may reach across zero beside it"
)
COLUMNS = ("seconds", "accuracy", "scratch", "gain (points)", "hurts")
TIMED = ("made", "seconds")  # columns that are there beside short runs alone
FRAME = 3  # characters around a cell
GIVEN_UP = ("seconds", "scratch", "hurts")  # columns that go, in this order, where there is no room
LEAST_NAME, VERDICT = 8, 11  # characters that a name and a verdict keep
WHOLE_NAME = 22  # characters of a name for which columns are given up


def forecast_table(ranking: Ranking, *, width: int = 120) -> Table:
    """One line for each source, two where there are short runs.

    Columns are expected accuracy, that of scratch, the gain with its interval, the chance of a
    loss, and the verdict. Where the width does not allow all of them, seconds, scratch and the
    chance of a loss go first, and then names are cut; intervals and verdict stay.
    """
    table = Table(
        title=f"{ranking.target}: {ranking.num_rows} rows, {ranking.num_classes} classes; expected "
        "after training, with 90% intervals"
    )
    both = any(len(row.forecasts) > 1 for row in ranking.rows)
    lines = [
        line for place, row in enumerate(ranking.rows, 1) for line in _lines(place, row, ranking)
    ]
    columns = [
        name for name in ("", "source", "made", *COLUMNS, "verdict") if both or name not in TIMED
    ]
    columns = _fitting(columns, lines, width)
    if "seconds" not in columns:
        lines = [{**line, "made": line.get("made", "").split(" ")[-1]} for line in lines]
    free = width - _width(columns, lines)
    longest = max((len(line["verdict"]) for line in lines if "verdict" in line), default=0)
    verdict = min(max(free - _longest(lines), VERDICT), longest)
    room = max(free - verdict, LEAST_NAME)
    names = short_names((row.source for row in ranking.rows), min(room, NAME))
    widths = {"source": room, "verdict": max(verdict, VERDICT)}
    for column in columns:
        left = column in ("source", "verdict", "made")
        table.add_column(
            column,
            justify="left" if left else "right",
            no_wrap=column not in widths,
            overflow="fold",
            max_width=widths.get(column),
        )
    for line in lines:
        cells = {**line, "source": escape(names.get(line["source"], ""))}
        style = None if "verdict" in line else "dim"
        table.add_row(*(cells.get(column, "") for column in columns), style=style)
    return table


def _lines(place: int, row: RankingRow, ranking: Ranking) -> list[dict[str, str]]:
    """The cells of a row by column, a line for each of its forecasts."""
    is_tied = any(row.source in group for group in ranking.ties)
    head = {"": f"{place}=" if is_tied else str(place), "source": row.source}
    if not row.forecasts:
        return [{**head, **dict.fromkeys((*COLUMNS, "verdict"), "-"), "seconds": ""}]
    lines = []
    for number, forecast in enumerate(row.forecasts):
        line = {"made": TIERS[forecast.tier], **_cells(forecast)}
        line["seconds"] = f"{row.seconds.get(forecast.tier, 0.0):.1f}"
        line["source"] = ""
        if number == 0:
            line |= head
        if number + 1 == len(row.forecasts):
            line["verdict"] = row.verdict or ""
        lines.append(line)
    return lines


def _fitting(columns: list[str], lines: Sequence[dict[str, str]], width: int) -> list[str]:
    """The columns that leave room for a name, without those that can be given up before."""
    given_up = [name for name in GIVEN_UP if name in columns]
    needed = VERDICT + min(_longest(lines), WHOLE_NAME)
    while given_up and _width(columns, lines) + needed > width:
        gone = given_up.pop(0)
        columns = [name for name in columns if name != gone]
    return columns


def _longest(lines: Sequence[dict[str, str]]) -> int:
    return min(max((len(line["source"]) for line in lines), default=0), NAME)


def _width(columns: Sequence[str], lines: Sequence[dict[str, str]]) -> int:
    """The characters of columns with their frames; of names and verdicts the frames alone."""
    total = 1
    for column in columns:
        cells = [len(column), *(len(line.get(column, "")) for line in lines)]
        total += FRAME + (0 if column in ("source", "verdict") else max(cells))
    return total


def _cells(forecast: Forecast) -> dict[str, str]:
    return {
        "accuracy": forecast.accuracy.in_percent(0),
        "scratch": percent(forecast.scratch_accuracy.value, 0),
        "gain (points)": forecast.gain.in_points(),
        "hurts": percent(forecast.negative_transfer_probability, 0),
    }


def print_forecasts(ranking: Ranking, console: Console, *, reasons: int = 1) -> None:
    """The table, its rule, ties, the reasons of the first verdicts, and warnings on the target."""
    console.print(forecast_table(ranking, width=console.width))
    say(console, RULE, style="dim", is_plain=True)
    for group in ranking.ties:
        told = f"tied (=): the forecast cannot tell {', '.join(group)} apart"
        say(console, told, is_plain=True)
    for row in [row for row in ranking.rows if row.judgement][:reasons]:
        say(console, f"{row.source}: {row.verdict}, because", is_plain=True)
        for reason in row.reasons:
            say(console, f"  {reason}", is_plain=True)
    print_target_warnings(ranking, console)


def print_target_warnings(ranking: Ranking, console: Console) -> None:
    """What is to be known of the target, a line each."""
    for warning in ranking.target_warnings:
        say(console, f"{ranking.target}: {warning}", style="yellow")


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
