"""The answer as a picture: both arms and the gain between them, one line for each source."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from featalign.errors import FeatalignError
from featalign.records.interval import Interval, percent
from featalign.records.ranking import Ranking, RankingRow
from featalign.views.cells import printable
from featalign.views.colours import FAINT, INK, RULE, SCRATCH, TRAINED
from featalign.views.names import short_names

MOST_LINES = 30  # the best sources, and the last one
ARMS = (
    ("accuracy", "from the source", TRAINED, "o", -0.13),
    ("scratch_accuracy", "from scratch", SCRATCH, "s", 0.13),
)
LINE, NARROW_LINE = 0.27, 0.55  # inches for a source
TOP, BOTTOM = 0.62, 0.5  # inches above and below the lines
LETTER = 0.066  # inches that a letter of a name takes, about


def forecast_rows(ranking: Ranking, most: int | None = MOST_LINES) -> list[RankingRow]:
    """The sources that have a forecast; of many the best, and the last."""
    rows = [row for row in ranking.rows if row.forecast is not None]
    if most is not None and len(rows) > most:
        rows = [*rows[: most - 1], rows[-1]]
    return rows


def forecast_figure(
    ranking: Ranking,
    *,
    most: int | None = MOST_LINES,
    is_narrow: bool = False,
    is_titled: bool = True,
) -> Figure:
    """Expected accuracy after training and from scratch, and the gain, with their intervals.

    The best source is on top, and the verdict of each stands to its right. A narrow figure, for
    telephones, has names and verdicts above the lines of their source.
    """
    rows = forecast_rows(ranking, most)
    names = short_names(row.source for row in rows)
    longest = max((len(name) for name in names.values()), default=0)
    left, right = (0.12, 0.12) if is_narrow else (0.2 + LETTER * longest, 1.4)
    width = 4.6 if is_narrow else 9.5
    line = NARROW_LINE if is_narrow else LINE
    height = TOP + BOTTOM + line * max(len(rows), 2)
    figure = Figure(figsize=(width, height))
    between = 0.25
    panel = (width - left - right - between) / 2
    arms, gains = (
        figure.add_axes(
            (start / width, BOTTOM / height, panel / width, 1 - (TOP + BOTTOM) / height)
        )
        for start in (left, left + panel + between)
    )
    draw_forecasts(ranking, rows, arms, gains)
    if is_narrow:
        gains.set_xlabel("gain (points)", fontsize=8, color=FAINT)
        arms.set_yticks([])
        for place, row in enumerate(rows):
            _label_above(arms, place, names[row.source], 0.0, "left", f"row:{place}:name")
            _label_above(gains, place, row.verdict or "", 1.0, "right", f"row:{place}:verdict")
        arms.set_ylim(len(rows) - 0.5, -0.75)
    else:
        _name_lines(arms, rows)
        _say_verdicts(gains, rows)
        if is_titled:
            title = f"{printable(ranking.target)}, {ranking.num_rows} rows: expected after training"
            figure.suptitle(title, fontsize=10, parse_math=False, color=INK)
    return figure


def plot_forecasts(ranking: Ranking, axes: Sequence[Axes] | None = None) -> tuple[Axes, Axes]:
    """Draw both arms and the gain into two axes, or into a new figure of pyplot.

    Raises FeatalignError for a ranking without a forecast, and for another number of axes.
    """
    rows = forecast_rows(ranking)
    if not rows:
        raise FeatalignError(
            "plot: expected a ranking with a forecast, got one without; rank classes with "
            "forecast=True"
        )
    if axes is None:
        from matplotlib import pyplot

        size = (9.5, 1.1 + LINE * max(len(rows), 2))
        _, panels = pyplot.subplots(1, 2, figsize=size, sharey=True, layout="constrained")
        axes = list(panels)
    found = list(axes)
    if len(found) != 2:
        raise FeatalignError(
            f"axes: expected two, for accuracies and for gains, got {len(found)}; leave axes out "
            "for a new figure"
        )
    arms, gains = found
    draw_forecasts(ranking, rows, arms, gains)
    _name_lines(arms, rows)
    _say_verdicts(gains, rows)
    title = f"{printable(ranking.target)}, {ranking.num_rows} rows"
    arms.set_title(title, fontsize=9, loc="left", pad=20, parse_math=False)
    return arms, gains


def forecast_marks(rows: Sequence[RankingRow]) -> dict[str, str]:
    """What each mark of the figure is, in words, by its gid."""
    marks = {}
    for place, row in enumerate(rows):
        for name, label, *_ in ARMS:
            interval: Interval = getattr(row, name)
            marks[f"row:{place}:{name}"] = (
                f"{row.source}: expected accuracy {label} {interval.in_percent()}"
            )
        if row.gain is not None:
            chance = percent(row.negative_transfer_probability or 0.0, 0)
            marks[f"row:{place}:gain"] = (
                f"{row.source}: gain over scratch {row.gain.in_points()} points, hurts with a "
                f"chance of {chance}; {row.verdict}"
            )
    return marks


def line_height(figure: Figure) -> float:
    """How far one line is from the next, in points, which are the units of an SVG."""
    axes = figure.axes[0]
    low, high = sorted(axes.get_ylim())
    height = axes.get_position().height * figure.get_size_inches()[1] * 72
    return float(height / (high - low))


def draw_forecasts(ranking: Ranking, rows: Sequence[RankingRow], arms: Axes, gains: Axes) -> None:
    """Draw the lines of all sources, from the top to the bottom, into two axes."""
    for name, label, colour, mark, offset in ARMS:
        found = [getattr(row, name) for row in rows]
        _draw(arms, found, colour, mark, offset, name)
        arms.plot([], [], mark, color=colour, ms=4.5, label=label)
    _draw(gains, [row.gain for row in rows], TRAINED, "o", 0.0, "gain")
    gains.axvline(0, color=RULE, lw=0.8)
    levels = [row.gain.level for row in rows if row.gain is not None]
    arms.set_xlabel("accuracy (%)", fontsize=8, color=FAINT)
    level = f"{levels[0]:.0%}" if levels else "90%"
    gains.set_xlabel(f"gain over scratch (points); {level} intervals", fontsize=8, color=FAINT)
    arms.set_ylim(len(rows) - 0.5, -0.5)
    gains.set_ylim(len(rows) - 0.5, -0.5)
    arms.legend(
        fontsize=8,
        frameon=False,
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=2,
        labelcolor=INK,
        handletextpad=0.3,
        borderaxespad=0.1,
    )
    for axes in (arms, gains):
        axes.grid(axis="x", color=RULE, lw=0.4, alpha=0.5)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0, labelleft=axes is arms)
        axes.tick_params(axis="x", labelsize=8, labelcolor=FAINT, color=RULE)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.spines["bottom"].set_color(RULE)


def _name_lines(arms: Axes, rows: Sequence[RankingRow]) -> None:
    names = short_names(row.source for row in rows)
    labels = [names[row.source] for row in rows]
    arms.set_yticks(range(len(rows)), labels, fontsize=8, parse_math=False, color=INK)
    for place, label in enumerate(arms.get_yticklabels()):
        label.set_gid(f"row:{place}:name")


def _say_verdicts(gains: Axes, rows: Sequence[RankingRow]) -> None:
    for place, row in enumerate(rows):
        said = gains.annotate(
            row.verdict or "",
            (1.01, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            color=INK,
        )
        said.set_gid(f"row:{place}:verdict")


def _label_above(axes: Axes, place: int, text: str, x: float, side: str, gid: str) -> None:
    axes.text(
        x,
        place - 0.42,
        text,
        transform=axes.get_yaxis_transform(),
        ha=side,  # type: ignore[arg-type]
        va="center",
        fontsize=9,
        color=INK,
        parse_math=False,
        gid=gid,
    )


def _draw(
    axes: Axes,
    found: Sequence[Interval | None],
    colour: str,
    mark: str,
    offset: float,
    name: str,
) -> None:
    """A mark with its interval for each source, which can be found by its gid."""
    for place, each in enumerate(found):
        if each is None:
            continue
        value, low, high = (100 * number for number in (each.value, each.low, each.high))
        axes.errorbar(
            value,
            place + offset,
            xerr=[[max(value - low, 0.0)], [max(high - value, 0.0)]],
            fmt="none",
            ecolor=colour,
            elinewidth=1.8,
            alpha=0.5,
            gid=f"row:{place}:{name}:interval",
        )
        axes.plot(value, place + offset, mark, color=colour, ms=4.5, gid=f"row:{place}:{name}")
