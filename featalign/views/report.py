"""The report: a ranking as one page that needs nothing else, in the order in which people ask."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from matplotlib.figure import Figure

from featalign.records.ranking import Ranking, RankingRow
from featalign.views import costs, map_figure, parts
from featalign.views.answer import answer
from featalign.views.cells import Column, Note, Table, printable, rows_of, words
from featalign.views.forecast_figure import (
    forecast_figure,
    forecast_marks,
    forecast_rows,
    line_height,
)
from featalign.views.gain_figure import curve_marks, curve_panels, curve_rows, curve_table
from featalign.views.names import short_names
from featalign.views.page import environment
from featalign.views.ranking_cells import (
    RULE,
    forecast_table,
    reason_notes,
    score_table,
    source_notes,
    target_notes,
    tie_notes,
    whole_table,
)
from featalign.views.svg import svg_of

MOST_SCORES = 13  # in one table
MOST_SORTED = 50  # sources that are drawn, of which the last one is the worst


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A picture as SVG; a `narrow` one is for telephones. Rows that are sorted are `line` apart."""

    title: str
    wide: str
    narrow: str = ""
    line: float = 0.0
    narrow_line: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "title", printable(self.title))


@dataclass(frozen=True, kw_only=True)
class Because:
    """A source with its verdict and the reasons."""

    source: str
    verdict: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report: sentences, charts, the table behind them, and tables in the open.

    `orders` are what the rows of the charts can be sorted by, each a name and the places of the
    rows in that order. `panels` stand side by side.
    """

    name: str
    title: str
    notes: tuple[Note, ...] = ()
    orders: tuple[tuple[str, tuple[int, ...]], ...] = ()
    charts: tuple[Chart, ...] = ()
    panels: tuple[Chart, ...] = ()
    behind: Table | None = None
    tables: tuple[Table, ...] = ()
    because: tuple[Because, ...] = ()


def report_page(ranking: Ranking) -> str:
    """The whole page of a ranking."""
    sections = [found for make in SECTIONS if (found := make(ranking)) is not None]
    return (
        environment()
        .get_template("report.html")
        .render(
            title=printable(ranking.target), answer=printable(answer(ranking)), sections=sections
        )
    )


def forecasts(ranking: Ranking) -> Section | None:
    """Both arms and the gain of each source, with intervals, and the table of the same."""
    rows = forecast_rows(ranking, MOST_SORTED)
    if not rows:
        return None
    wide, narrow = (
        forecast_figure(ranking, most=MOST_SORTED, is_narrow=is_narrow, is_titled=False)
        for is_narrow in (False, True)
    )
    marks = forecast_marks(rows)
    title = f"Expected accuracy and gain over scratch on {ranking.target}"
    said = "A line for each source: accuracy from the source and from scratch, and the gain."
    chart = Chart(
        title=title,
        wide=_svg(wide, "forecast-wide", title, said, marks),
        narrow=_svg(narrow, "forecast-narrow", title, said, marks),
        line=line_height(wide),
        narrow_line=line_height(narrow),
    )
    left_out = len(forecast_rows(ranking, None)) - len(rows)
    more = [f"{left_out} sources between these are in the table alone"] if left_out else []
    return Section(
        name="forecast",
        title="What to expect",
        notes=(*map(_note, more), Note(text=_sentence(RULE), emphasis="dim")),
        orders=_orders(rows),
        charts=(chart,),
        tables=(forecast_table(whole_table(ranking), ranking),),
    )


def why(ranking: Ranking) -> Section | None:
    """The reasons of each verdict, and what each predictor added to the gain."""
    rows = forecast_rows(ranking, None)
    if not rows:
        return None
    drawn = forecast_rows(ranking)
    marks = parts.parts_marks(drawn)
    title = "What each predictor adds to the expected gain"
    said = "Bars to the right add to the gain over scratch, bars to the left take from it."
    wide, narrow = (
        _svg(
            parts.parts_figure(drawn, is_narrow=is_narrow),
            f"parts-{'narrow' if is_narrow else 'wide'}",
            title,
            said,
            marks,
        )
        for is_narrow in (False, True)
    )
    note = (
        "The usual gain is that of the mean source of the study; what is known of this one adds to "
        "it or takes from it. Predictors add log-odds, which are turned into points in proportion."
    )
    return Section(
        name="why",
        title="Why",
        notes=(_note(note),),
        because=tuple(
            Because(
                source=printable(row.source),
                verdict=row.verdict or "",
                reasons=tuple(printable(note.text) for note in reason_notes(row)[1:]),
            )
            for row in rows
        ),
        charts=(Chart(title=title, wide=wide, narrow=narrow),),
        behind=parts.parts_table(rows),
    )


def sizes(ranking: Ranking) -> Section | None:
    """The expected gain against the number of rows."""
    rows = curve_rows(ranking)
    if not rows:
        return None
    names = short_names(row.source for row in rows)
    panels = []
    for place, (row, figure) in enumerate(curve_panels(ranking)):
        title = f"{names[row.source]}"
        said = f"Expected gain of {row.source} over scratch against the number of rows."
        svg = _svg(figure, f"size-{place}", title, said, curve_marks(row))
        panels.append(Chart(title=title, wide=svg))
    note = (
        f"The gain over scratch at other numbers of rows, with its interval; the dark dot is at "
        f"the {ranking.num_rows} rows there are."
    )
    return Section(
        name="sizes",
        title="With more rows, or fewer",
        notes=(_note(note),),
        panels=tuple(panels),
        behind=curve_table(ranking),
    )


def cost(ranking: Ranking) -> Section | None:
    """Expected accuracy beside what sources cost, as far as that is known."""
    rows = forecast_rows(ranking, None)
    known = costs.known_costs(rows)
    if not known:
        return None
    panels = []
    for each in known:
        title = f"Expected accuracy against {each.title}"
        said = f"{title}; diamonds on the dotted line are not outdone by another source."
        figure = costs.cost_figure(rows, each)
        svg = _svg(figure, f"cost-{each.key}", title, said, costs.cost_marks(rows, each))
        panels.append(Chart(title=title, wide=svg))
    note = "Diamonds are not outdone: no other source is as accurate for less, by expectation."
    return Section(
        name="cost",
        title="Cost beside quality",
        notes=(_note(note),),
        panels=tuple(panels),
        behind=costs.cost_table(rows, known),
    )


def scores(ranking: Ranking) -> Section | None:
    """All scores as a heat map, with their zeros and intervals where they are known."""
    if not any(row.scores for row in ranking.rows):
        return None
    notes = [
        "Darker is better within a column; a column without shades has no better direction, or "
        "no two values."
    ]
    zeros = any(result.zero for row in ranking.rows for result in row.scores.values())
    notes += [] if zeros else ["There are no zeros: rank with intervals=True (--intervals)."]
    tables = _in_parts(score_table(whole_table(ranking), ranking))
    return Section(name="scores", title="Scores", notes=tuple(map(_note, notes)), tables=tables)


def maps(ranking: Ranking) -> Section:
    """The features of the best and the worst source in the plane."""
    title = "Features of the best and the worst source"
    if not ranking.feature_maps:
        absent = (
            "The maps are not in the saved ranking: they are drawn where a report is asked for "
            "while ranking (featalign rank --html, or fa.rank(..., maps=True))."
            if ranking.task == "classification"
            else "Maps are drawn of targets with classes alone."
        )
        return Section(name="maps", title=title, notes=(_note(absent),))
    panels = []
    titles = map_figure.map_titles(ranking.feature_maps)
    for place, (shown, called) in enumerate(zip(ranking.feature_maps, titles, strict=True)):
        said = f"Rows along two principal directions of the features of {shown.source}."
        marks = map_figure.map_marks(shown)
        svg = _svg(map_figure.map_figure(shown), f"map-{place}", called, said, marks)
        panels.append(Chart(title=called, wide=svg))
    first = ranking.feature_maps[0]
    note = (
        f"{len(first.points)} of {first.num_rows} rows along the two directions in which they "
        "vary most; each class has a colour, a mark, and its name at its median. Classes that "
        "lie apart here are apart in the features; those that overlap may still be."
    )
    return Section(
        name="maps",
        title=title,
        notes=(_note(note),),
        panels=tuple(panels),
        behind=map_figure.map_table(ranking.feature_maps),
    )


def warnings(ranking: Ranking) -> Section | None:
    """What is to be known of the target and of the sources, and what could not be scored."""
    notes = (*target_notes(ranking), *source_notes(ranking), *tie_notes(ranking))
    return Section(name="warnings", title="Warnings", notes=notes) if notes else None


def making(ranking: Ranking) -> Section:
    """Settings, versions, calibration and keys, so that the ranking can be made again."""
    made = ranking.made
    title = "How it was made"
    if made is None:
        absent = "The saved ranking does not say how it was made; an earlier version made it."
        return Section(name="making", title=title, notes=(_note(absent),))
    request = made.request
    settings = {
        "target": request.target,
        "sources": ", ".join(request.sources),
        "scorers": ", ".join(request.scorers),
        "layers": _listed(request.layers) or "each source's own",
        "effort": request.effort,
        "share of short runs": f"{request.share:g}" if request.effort == "short" else "",
        "intervals": "yes" if request.intervals else "no",
        "forecast": "yes" if request.forecast else "no",
        "metric": request.metric or "",
        "seed": str(request.seed),
        "batch size": str(request.batch_size),
    }
    pairs = (
        *(("setting", name, value) for name, value in settings.items() if value),
        *(("calibration", name, value) for name, value in made.calibration.items()),
        *(("version", name, value) for name, value in made.versions.items()),
        *(("key", f"{row.source} {row.layer}", row.key) for row in ranking.rows if row.key),
    )
    columns = (
        Column(key="kind", title="kind", align="left"),
        Column(key="name", title="name", align="left", fit="name"),
        Column(key="value", title="value", align="left", fit="words"),
    )
    rows = [tuple(words(each) for each in pair) for pair in pairs]
    table = Table(name="making", columns=columns, rows=rows_of(rows))
    return Section(name="making", title=title, behind=table)


# The order of the report. A further part is one line here.
SECTIONS = (forecasts, why, sizes, cost, scores, maps, warnings, making)


def _svg(figure: Figure, name: str, title: str, said: str, marks: dict[str, str]) -> str:
    from markupsafe import Markup

    words = {place: printable(mark) for place, mark in marks.items()}
    svg = svg_of(
        figure, name=name, title=printable(title), description=printable(said), marks=words
    )
    return Markup(svg)


def _in_parts(table: Table) -> tuple[Table, ...]:
    """The table in parts of so many scores that each is readable on paper."""
    keys = [column.key for column in table.columns if column.group == "scores"]
    count = -(-len(keys) // MOST_SCORES)
    size = -(-len(keys) // max(count, 1))
    parts = []
    for start in range(0, len(keys), size):
        some = keys[start : start + size]
        part = table.with_columns(
            lambda column, some=some: column.group != "scores" or column.key in some
        )
        more = f", part {len(parts) + 1} of {count}" if count > 1 else ""
        parts.append(replace(part, title=f"{table.title}{more}"))
    return tuple(parts)


def _orders(rows: Sequence[RankingRow]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """What the lines can be sorted by: for each line its place in that order."""

    def numbers(name: str) -> list[float]:
        return [getattr(row, name).value for row in rows]

    keys = {
        "expected accuracy": list(range(len(rows))),
        "gain over scratch": [-value for value in numbers("gain")],
        "accuracy from scratch": [-value for value in numbers("scratch_accuracy")],
        "chance that it hurts": [row.negative_transfer_probability or 0.0 for row in rows],
        "name": [row.source for row in rows],
    }
    found = []
    for name, values in keys.items():
        order = sorted(range(len(rows)), key=lambda row, values=values: (values[row], row))
        places = [0] * len(rows)
        for place, row in enumerate(order):
            places[row] = place
        found.append((name, tuple(places)))
    return tuple(found)


def _note(text: str) -> Note:
    return Note(text=text)


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."


def _listed(layers: tuple[str, ...] | str | None) -> str:
    return "" if layers is None else layers if isinstance(layers, str) else ", ".join(layers)
