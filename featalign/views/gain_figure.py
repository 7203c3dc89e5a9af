"""The expected gain against the number of rows, as a picture."""

from matplotlib.figure import Figure

from featalign.records.ranking import Ranking, RankingRow
from featalign.views.names import short_names

MOST_LINES = 8  # so that bands can be told apart


def gain_figure(ranking: Ranking) -> Figure:
    """The expected gain over scratch against the number of rows, with its band.

    It shows the best sources, and the last.
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
        axes.set_xscale("log")
        axes.set_title(names[row.source], fontsize=8)
        axes.tick_params(labelsize=7)
    figure.supxlabel("rows of the target (dot: as many as there are)", fontsize=8)
    figure.supylabel("expected gain over scratch (points)", fontsize=8)
    return figure
