"""Cost beside quality: what sources cost as far as that is known, and which are not outdone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.figure import Figure

from featalign.records.interval import percent
from featalign.records.ranking import RankingRow
from featalign.views.cells import Cell, Column, Table, rows_of, words
from featalign.views.colours import FAINT, INK, OTHER, RULE, TRAINED
from featalign.views.names import short_names
from featalign.views.numbers import accuracy_cell

NAMED = 8  # sources on the front that are called by name in the picture


@dataclass(frozen=True)
class Cost:
    """A cost of a source: what it is called, its unit, and its value, or None where unknown."""

    key: str
    title: str
    unit: str
    of: Callable[[RankingRow], float | None]


# A further cost (parameters, memory, seconds a row) is one line here.
COSTS = (Cost("num_features", "features", "", lambda row: row.num_features or None),)


def known_costs(rows: Sequence[RankingRow]) -> list[Cost]:
    """The costs that are known of two sources or more, and not the same of all."""
    return [
        cost
        for cost in COSTS
        if len({value for row in rows if (value := cost.of(row)) is not None}) > 1
    ]


def front(rows: Sequence[RankingRow], cost: Cost) -> list[bool]:
    """Whether no other source is expected to be as accurate for less, or better for as much.

    This is the Pareto front of accuracy and cost.
    """
    pairs = [(_accuracy(row), cost.of(row)) for row in rows]
    return [
        price is not None
        and not any(
            other is not None
            and better >= accuracy
            and other <= price
            and (better, other) != (accuracy, price)
            for better, other in pairs
        )
        for accuracy, price in pairs
    ]


def cost_table(rows: Sequence[RankingRow], costs: Sequence[Cost]) -> Table:
    """Expected accuracy and each cost of each source, and on which fronts it lies."""
    fronts = [front(rows, cost) for cost in costs]
    columns = (
        Column(key="source", title="source", align="left", fit="name"),
        Column(key="accuracy", title="accuracy"),
        *(Column(key=cost.key, title=cost.title, unit=cost.unit) for cost in costs),
        Column(key="front", title="not outdone in", align="left", fit="words"),
    )
    cells = []
    for place, row in enumerate(rows):
        assert row.accuracy is not None
        titles = [cost.title for cost, each in zip(costs, fronts, strict=True) if each[place]]
        prices = [_price(cost.of(row)) for cost in costs]
        cells.append(
            (words(row.source), accuracy_cell(row.accuracy), *prices, words(", ".join(titles)))
        )
    return Table(name="costs", columns=columns, rows=rows_of(cells))


def cost_figure(rows: Sequence[RankingRow], cost: Cost, *, width: float = 4.6) -> Figure:
    """Expected accuracy with its interval against a cost; sources that are not outdone stand out.

    A line joins these, and they are called by name.
    """
    on_front = front(rows, cost)
    names = short_names((row.source for row in rows), 28)
    figure = Figure(figsize=(width, 3.2))
    axes = figure.add_axes((0.6 / width, 0.17, 1 - 0.75 / width, 0.78))
    best = []
    for place, (row, is_best) in enumerate(zip(rows, on_front, strict=True)):
        price, accuracy = cost.of(row), row.accuracy
        if price is None or accuracy is None:
            continue
        value = 100 * accuracy.value
        ends = [[value - 100 * accuracy.low], [100 * accuracy.high - value]]
        colour = TRAINED if is_best else OTHER
        axes.errorbar(price, value, yerr=ends, fmt="none", ecolor=colour, elinewidth=1, alpha=0.4)
        mark = "D" if is_best else "o"
        axes.plot(price, value, mark, color=colour, ms=6 if is_best else 5, gid=f"cost:{place}")
        if is_best:
            best.append((price, value, names[row.source]))
    best.sort()
    axes.plot([each[0] for each in best], [each[1] for each in best], color=TRAINED, lw=1, ls=":")
    middle = sum(axes.get_xlim()) / 2
    for price, value, name in best[:NAMED]:
        is_right = price > middle
        axes.annotate(
            name,
            (price, value),
            (-7 if is_right else 7, 5),
            textcoords="offset points",
            ha="right" if is_right else "left",
            fontsize=8,
            color=INK,
            parse_math=False,
        )
    unit = f" ({cost.unit})" if cost.unit else ""
    axes.set_xlabel(f"{cost.title}{unit}", fontsize=8, color=FAINT)
    axes.set_ylabel("expected accuracy (%)", fontsize=8, color=FAINT)
    axes.tick_params(labelsize=8, labelcolor=FAINT, color=RULE)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["bottom", "left"]].set_color(RULE)
    return figure


def cost_marks(rows: Sequence[RankingRow], cost: Cost) -> dict[str, str]:
    """What each mark of the figure is, in words, by its gid."""
    marks = {}
    for place, (row, is_best) in enumerate(zip(rows, front(rows, cost), strict=True)):
        price = cost.of(row)
        if price is not None:
            best = ", not outdone" if is_best else ""
            unit = f" {cost.unit}" if cost.unit else ""
            marks[f"cost:{place}"] = (
                f"{row.source}: {cost.title} {price:g}{unit}, expected accuracy "
                f"{percent(_accuracy(row))}{best}"
            )
    return marks


def _accuracy(row: RankingRow) -> float:
    return row.accuracy.value if row.accuracy is not None else 0.0


def _price(value: float | None) -> Cell:
    return Cell(text="-") if value is None else Cell(text=f"{value:g}", value=value)
