"""The expected gain against the number of rows: a picture of all panels, or one of each source."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featalign.records.forecast import Forecast
from featalign.records.interval import Interval
from featalign.records.ranking import Ranking, RankingRow
from featalign.views.cells import Cell, Column, Table, rows_of, words
from featalign.views.colours import FAINT, INK, RULE, TRAINED
from featalign.views.names import short_names
from featalign.views.numbers import gain_cell

MOST_LINES = 8  # so that bands can be told apart


def curve_rows(ranking: Ranking) -> list[RankingRow]:
    """The sources whose curves are drawn: the best, and the last."""
    rows = [row for row in ranking.rows if row.forecast is not None]
    return rows if len(rows) <= MOST_LINES else [*rows[: MOST_LINES - 1], rows[-1]]


def gain_figure(ranking: Ranking) -> Figure:
    """The expected gain over scratch against the number of rows, with its band.

    It shows the best sources, and the last.
    """
    chosen = curve_rows(ranking)
    columns = min(4, max(len(chosen), 1))
    lines = max(1, -(-len(chosen) // columns))
    figure = Figure(figsize=(3.0 * columns, 2.4 * lines + 0.4), layout="constrained")
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    for axes in panels.flat[len(chosen) :]:
        axes.set_visible(False)
    names = short_names(row.source for row in chosen)
    for axes, row in zip(panels.flat, chosen, strict=False):
        draw_curve(axes, ranking, row)
        axes.set_title(names[row.source], fontsize=8, parse_math=False)
        axes.tick_params(labelsize=7)
    figure.supxlabel("rows of the target (dot: as many as there are)", fontsize=8)
    figure.supylabel("expected gain over scratch (points)", fontsize=8)
    return figure


def curve_panels(ranking: Ranking) -> list[tuple[RankingRow, Figure]]:
    """A small picture for each of these sources, all on one scale."""
    chosen = curve_rows(ranking)
    limits = _limits(chosen)
    panels = []
    for row in chosen:
        figure = Figure(figsize=(2.9, 2.1))
        axes = figure.add_axes((0.19, 0.22, 0.77, 0.72))
        draw_curve(axes, ranking, row)
        axes.set_ylim(*limits)
        axes.set_xlabel("rows", fontsize=8, color=FAINT)
        axes.set_ylabel("gain (points)", fontsize=8, color=FAINT)
        panels.append((row, figure))
    return panels


def curve_marks(row: RankingRow) -> dict[str, str]:
    """What each point of a curve is, in words, by its gid."""
    return {
        f"size:{size}": f"{row.source}, {size} rows: gain {gain.in_points()} points"
        for size, gain in _forecast(row).gain_by_size.items()
    }


def curve_table(ranking: Ranking) -> Table:
    """The expected gain of every source at each number of rows."""
    rows = [row for row in ranking.rows if row.forecast is not None]
    sizes = sorted({size for row in rows for size in _forecast(row).gain_by_size})
    columns = (
        Column(key="source", title="source", align="left", fit="name"),
        *(
            Column(key=f"gain_{size}", title=f"{size} rows", unit="points", priority=place)
            for place, size in enumerate(sizes)
        ),
    )
    cells = []
    for row in rows:
        known = _forecast(row).gain_by_size
        gains = [gain_cell(known[size]) if size in known else Cell() for size in sizes]
        cells.append((words(row.source), *gains))
    return Table(name="sizes", columns=columns, rows=rows_of(cells))


def draw_curve(axes: Axes, ranking: Ranking, row: RankingRow) -> None:
    """Draw the gain of one source against the number of rows, with its band."""
    forecast = _forecast(row)
    sizes = list(forecast.gain_by_size)
    gains = list(forecast.gain_by_size.values())
    lows, highs = ([100 * getattr(gain, end) for gain in gains] for end in ("low", "high"))
    axes.fill_between(sizes, lows, highs, color=TRAINED, alpha=0.2, lw=0)
    axes.plot(sizes, [100 * gain.value for gain in gains], color=TRAINED, lw=1.8)
    for size, gain in zip(sizes, gains, strict=True):
        axes.plot(size, 100 * gain.value, "o", color=TRAINED, ms=3, gid=f"size:{size}")
    axes.plot(ranking.num_rows, 100 * forecast.gain.value, "o", color=INK, ms=4.5)
    axes.axhline(0, color=RULE, lw=0.8)
    axes.set_xscale("log")
    axes.minorticks_off()
    shown = sizes[:: max(1, len(sizes) // 3)]
    axes.set_xticks(shown, [str(size) for size in shown])
    axes.tick_params(labelsize=8, labelcolor=FAINT, color=RULE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(RULE)


def _limits(rows: Sequence[RankingRow]) -> tuple[float, float]:
    gains = [gain for row in rows for gain in _forecast(row).gain_by_size.values()]
    every: list[Interval] = gains or [Interval(value=0, low=-0.01, high=0.01, level=0.9)]
    low, high = min(gain.low for gain in every), max(gain.high for gain in every)
    margin = 0.05 * max(high - low, 0.01)
    return 100 * (min(low, 0) - margin), 100 * (max(high, 0) + margin)


def _forecast(row: RankingRow) -> Forecast:
    assert row.forecast is not None
    return row.forecast
