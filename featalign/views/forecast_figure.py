"""The answer as a picture: both arms and the gain between them, one line for each source."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featalign.records.interval import Interval
from featalign.records.ranking import Ranking, RankingRow
from featalign.views.names import short_names

MOST_LINES = 30  # the best sources, and the last one
TRAINED, SCRATCH = "tab:blue", "tab:orange"


def forecast_figure(ranking: Ranking) -> Figure:
    """Expected accuracy after training and from scratch, and the gain, with their intervals.

    The best source is on top, and the verdict of each stands to its right.
    """
    rows = [row for row in ranking.rows if row.forecast is not None]
    if len(rows) > MOST_LINES:
        rows = [*rows[: MOST_LINES - 1], rows[-1]]
    figure = Figure(figsize=(9.5, 1.1 + 0.27 * max(len(rows), 2)), layout="constrained")
    arms, gains = figure.subplots(1, 2, sharey=True)
    names = short_names(row.source for row in rows)
    _draw_arms(arms, rows)
    _draw_gains(gains, rows)
    arms.set_yticks(range(len(rows)), [names[row.source] for row in rows], fontsize=8)
    arms.set_ylim(len(rows) - 0.5, -0.5)
    for axes in (arms, gains):
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", labelsize=8)
        axes.spines[["top", "right", "left"]].set_visible(False)
    title = f"{ranking.target}, {ranking.num_rows} rows: expected after training"
    figure.suptitle(title, fontsize=10)
    return figure


def _draw_arms(axes: Axes, rows: list[RankingRow]) -> None:
    for name, colour, mark, offset in (
        ("accuracy", TRAINED, "o", -0.13),
        ("scratch_accuracy", SCRATCH, "s", 0.13),
    ):
        label = "from the source" if name == "accuracy" else "from scratch"
        _draw(axes, [getattr(row, name) for row in rows], colour, mark, offset, label)
    axes.set_xlabel("accuracy (%)", fontsize=8)
    axes.legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _draw_gains(axes: Axes, rows: list[RankingRow]) -> None:
    gains = [row.gain for row in rows if row.gain is not None]
    _draw(axes, gains, TRAINED, "o", 0.0, "gain")
    axes.axvline(0, color="0.4", lw=0.8)
    for place, row in enumerate(rows):
        axes.annotate(
            row.verdict or "",
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
        )
    level = f"{gains[0].level:.0%}" if gains else "90%"
    axes.set_xlabel(f"gain over scratch (points); lines: {level} intervals", fontsize=8)


def _draw(
    axes: Axes, found: list[Interval], colour: str, mark: str, offset: float, label: str
) -> None:
    places = np.arange(len(found)) + offset
    axes.hlines(
        places,
        [100 * each.low for each in found],
        [100 * each.high for each in found],
        color=colour,
        lw=1.6,
        alpha=0.45,
    )
    axes.plot([100 * each.value for each in found], places, mark, color=colour, ms=4.5, label=label)
