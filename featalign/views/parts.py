"""What each predictor added to the expected gain of a source, in points: table and picture."""

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from featalign.forecasting.predictors import ADVANTAGE, LEAD
from featalign.forecasting.verdict import NAMES
from featalign.records.forecast import Forecast
from featalign.records.interval import points
from featalign.records.ranking import RankingRow
from featalign.views.cells import Cell, Column, Table, rows_of, words
from featalign.views.colours import FAINT, INK, RULE, SERIES
from featalign.views.names import short_names
from featalign.views.numbers import points_cell

USUAL = "usual"  # the mean gain of the study, at its mean predictors
SMALL = 1e-6  # log-odds below which a gain is its slope
TITLES = {
    USUAL: "usual gain",
    **NAMES,
    "size": "number of rows",
    "chance": "number of classes",
    ADVANTAGE: "known from the study",
    LEAD: "scratch, trained",
    "short accuracy": "short runs, accuracy",
    "short loss": "short runs, loss",
}
LINE, LETTER = 0.27, 0.066  # inches for a source, and for a letter of its name


def parts_in_points(forecast: Forecast) -> dict[str, float]:
    """The share of each predictor in the expected gain, with the usual gain; they add up to it.

    Predictors add log-odds. A gain of g for log-odds of z is spread in proportion, g / z for each
    unit, which is the slope of the accuracy where z is nothing. The usual gain is what is left.
    Values are shares of rows, as gains are.
    """
    accuracy, scratch = forecast.accuracy.value, forecast.scratch_accuracy.value
    whole = _log_odds(accuracy) - _log_odds(scratch)
    slope = accuracy * (1 - accuracy)
    unit = forecast.gain.value / whole if abs(whole) > SMALL else slope
    found = {name: value * unit for name, value in forecast.parts.items()}
    return {USUAL: forecast.gain.value - sum(found.values()), **found}


def parts_of(rows: Sequence[RankingRow]) -> list[dict[str, float]]:
    """The parts of each source that has a forecast."""
    return [parts_in_points(row.forecast) for row in rows if row.forecast is not None]


def parts_table(rows: Sequence[RankingRow]) -> Table:
    """A line for each source, a column for each predictor, in points; they add up to the gain."""
    found = parts_of(rows)
    names = _names(found)
    columns = (
        Column(key="source", title="source", align="left", fit="name"),
        *(
            Column(key=name, title=TITLES.get(name, name), unit="points", priority=place)
            for place, name in enumerate(names)
        ),
        Column(key="gain", title="expected gain", unit="points"),
    )
    cells = []
    for row, parts in zip(rows, found, strict=True):
        assert row.gain is not None
        each = [points_cell(parts[name]) if name in parts else Cell() for name in names]
        cells.append((words(row.source), *each, points_cell(row.gain.value)))
    return Table(name="parts", columns=columns, rows=rows_of(cells))


def parts_figure(rows: Sequence[RankingRow], *, is_narrow: bool = False) -> Figure:
    """The parts of each source side by side, those that add to the right and others to the left."""
    found = parts_of(rows)
    names = _names(found)
    short = short_names(row.source for row in rows)
    left = 0.12 if is_narrow else 0.2 + LETTER * max(map(len, short.values()))
    width, line = (4.6, 0.46) if is_narrow else (9.5, LINE)
    columns = 2 if is_narrow else 4
    top = 0.25 + 0.2 * -(-(len(names) + 1) // columns)
    height = top + 0.5 + line * len(rows)
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes(
        (left / width, 0.5 / height, (width - left - 0.15) / width, 1 - (top + 0.5) / height)
    )
    for place, (row, parts) in enumerate(zip(rows, found, strict=True)):
        ends = {True: 0.0, False: 0.0}
        for colour, name in zip(_colours(len(names)), names, strict=True):
            value = 100 * parts.get(name, 0.0)
            start = ends[value >= 0]
            (bar,) = axes.barh(place, value, 0.56, start, color=colour)
            bar.set_gid(f"row:{place}:{name}")
            ends[value >= 0] += value
        assert row.gain is not None
        value = 100 * row.gain.value
        axes.plot(value, place, "D", color=INK, ms=4.5, mfc="white", gid=f"row:{place}:gain")
        if is_narrow:
            axes.text(
                0,
                place - 0.45,
                short[row.source],
                transform=axes.get_yaxis_transform(),
                fontsize=9,
                va="center",
                color=INK,
                parse_math=False,
            )
    labels = [short[row.source] for row in rows]
    axes.set_yticks(range(len(rows)), [] if is_narrow else labels, fontsize=8, parse_math=False)
    axes.set_ylim(len(rows) - 0.5, -0.75 if is_narrow else -0.5)
    for colour, name in zip(_colours(len(names)), names, strict=True):
        axes.barh([0], [0], color=colour, label=TITLES.get(name, name))
    axes.plot([], [], "D", color=INK, ms=4.5, mfc="white", label="expected gain")
    axes.legend(
        fontsize=8,
        frameon=False,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        labelcolor=INK,
        borderaxespad=0.1,
    )
    axes.axvline(0, color=RULE, lw=0.8)
    axes.set_xlabel("points of the expected gain over scratch", fontsize=8, color=FAINT)
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.tick_params(axis="x", labelsize=8, labelcolor=FAINT, color=RULE)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    return figure


def parts_marks(rows: Sequence[RankingRow]) -> dict[str, str]:
    """What each bar of the figure is, in words, by its gid."""
    marks = {}
    for place, (row, parts) in enumerate(zip(rows, parts_of(rows), strict=True)):
        for name, value in parts.items():
            marks[f"row:{place}:{name}"] = (
                f"{row.source}: {TITLES.get(name, name)} {points(value)} points"
            )
        assert row.gain is not None
        said = f"{row.source}: expected gain {points(row.gain.value)} points"
        marks[f"row:{place}:gain"] = said
    return marks


def _names(found: Sequence[Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(name for parts in found for name in parts))


def _colours(count: int) -> list[str]:
    return [SERIES[place % len(SERIES)] for place in range(count)]


def _log_odds(share: float) -> float:
    share = min(max(share, 1e-9), 1 - 1e-9)
    return math.log(share / (1 - share))
