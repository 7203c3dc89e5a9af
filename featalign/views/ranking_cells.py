"""A ranking, laid out: its answer in one sentence, the forecasts, the scores, what to know."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from featalign.forecasting.line import LEVEL
from featalign.forecasting.remedies import SURE
from featalign.records.forecast import Forecast
from featalign.records.ranking import Ranking, RankingRow
from featalign.records.score import ScoreResult
from featalign.scorers.registry import select, unit_of
from featalign.views.answer import answer
from featalign.views.cells import Cell, Column, Note, Row, Sheet, Table, words
from featalign.views.numbers import (
    MISSING,
    accuracy_cell,
    count_cell,
    gain_cell,
    score_cell,
    share_cell,
)

TIERS = {
    "cache": "from the cache",
    "anchor": "with scratch trained",
    "short": "with short runs",
}
RULE = (
    f"a verdict needs a gain or a loss with a chance of {SURE:.0%}; intervals are of {LEVEL:.0%}, "
    "and may reach across zero beside it"
)
# these scores stay longest where there is no room
FIRST = (
    "linear_probe",
    "tangent_gain",
    "knn",
    "logme",
    "h_score_shrunk",
    "cka",
    "rankme",
    "active_fraction",
)
IDENTITY = (
    Column(key="place", align="right", group="place"),
    Column(key="source", title="source", align="left", fit="name", group="source"),
    Column(key="layer", title="layer", align="left", group="layer"),
    Column(key="num_features", title="features", group="width"),
)
# what a source costs; a further cost is one line here, and one in `_cost_cells`
COSTS = (Column(key="seconds", title="seconds", priority=3, group="seconds"),)
FORECAST = (
    Column(key="made", title="made", align="left", fit="words", group="made"),
    *COSTS,
    Column(
        key="accuracy",
        title="accuracy",
        fit="ends",
        group="forecast",
        tooltip="expected on held-out rows after the best way to train the source",
    ),
    Column(
        key="scratch_accuracy",
        title="scratch",
        priority=2,
        group="forecast",
        tooltip="expected accuracy of the same architecture trained from scratch",
    ),
    Column(
        key="gain",
        title="gain",
        unit="points",
        fit="ends",
        group="forecast",
        tooltip="accuracy less that of training from scratch",
    ),
    Column(
        key="negative_transfer_probability",
        title="hurts",
        priority=1,
        group="forecast",
        tooltip="the chance that the gain is negative",
    ),
    Column(key="verdict", title="verdict", align="left", fit="words", group="forecast"),
)


def ranking_sheet(ranking: Ranking, *, reasons: int = 1) -> Sheet:
    """All that is shown of a ranking, with the reasons of so many verdicts."""
    whole = whole_table(ranking)
    blocks = [Note(text=answer(ranking), emphasis="strong")]
    if any(row.forecasts for row in ranking.rows):
        blocks += [forecast_table(whole, ranking), *_about_forecasts(ranking, reasons)]
    blocks += [*target_notes(ranking), score_table(whole, ranking), *source_notes(ranking)]
    return Sheet(blocks=tuple(blocks), whole=whole)


def whole_table(ranking: Ranking) -> Table:
    """Every column there is; a row for each source and layer, and for each of its forecasts."""
    has_forecasts = any(row.forecasts for row in ranking.rows)
    names = _scores_of(ranking.rows)
    shades = {name: places(ranking.rows, name) for name in names}
    columns = (*IDENTITY, *(FORECAST if has_forecasts else ()), *_score_columns(ranking, names))
    rows: list[Row] = []
    for place, row in enumerate(ranking.rows):
        scores = [
            score_cell(name, row.scores[name], shades[name][place])
            if name in row.scores
            else Cell()
            for name in names
        ]
        head = _identity_cells(place + 1, row, ranking)
        forecasts: Sequence[Forecast | None] = row.forecasts or (None,)
        for number, forecast in enumerate(forecasts):
            made = _forecast_cells(row, forecast) if has_forecasts else []
            is_old = number < len(forecasts) - 1
            first = head if number == 0 else [Cell(value=head[0].value), *map(_unsaid, head[1:])]
            cells = (*first, *made, *scores)
            rows.append(Row(cells=cells, superseded=is_old))
    return Table(name="ranking", columns=columns, rows=tuple(rows))


def forecast_table(whole: Table, ranking: Ranking) -> Table:
    """Both arms, the gain and the verdict: a line for each forecast of each source."""
    both = any(len(row.forecasts) > 1 for row in ranking.rows)
    groups = ("place", "source", *(("made", "seconds") if both else ()), "forecast")
    title = (
        f"{ranking.target}: {ranking.num_rows} rows, {ranking.num_classes} classes; expected "
        "after training, with 90% intervals"
    )
    table = whole.of_groups(*groups)
    if both:  # the verdict belongs to the last line of a source
        table = replace(table, rows=tuple(map(_without_verdict, table.rows)))
    return replace(table, name="forecasts", title=title)


def score_table(whole: Table, ranking: Ranking) -> Table:
    """The scores: a line for each source and layer."""
    several = len({row.layer for row in ranking.rows}) > 1
    groups = ("place", "source", *(("layer",) if several else ()), "scores")
    classes = f"{ranking.num_classes} classes" if ranking.num_classes else ranking.task
    judged = "" if ranking.metric in ("accuracy", "r2") else f" ({ranking.metric})"
    title = f"{ranking.target}: {ranking.num_rows} rows, {classes}"
    caption = f"scores, ordered by {ranking.ordered_by}{judged}"
    table = _said_whole(whole, ranking).of_groups(*groups)
    return replace(table, name="scores", title=title, caption=caption)


def places(rows: Sequence[RankingRow], name: str) -> list[float | None]:
    """Places of the rows by a score, from 0 (all others are better) to 1 (none is).

    They are None where neither direction is better, or the value is missing.
    """
    direction = select([name])[0].larger_is_better
    column = np.array([row.scores.get(name, ScoreResult()).value for row in rows])
    usable = np.isfinite(column)
    if direction is None or usable.sum() < 2:
        return [None] * len(rows)
    signed = column if direction else -column
    others = usable.sum() - 1
    found = [1 - (signed[usable] > value).sum() / others for value in signed]
    return [float(each) if ok else None for each, ok in zip(found, usable, strict=True)]


def target_notes(ranking: Ranking) -> list[Note]:
    """What is to be known of the target."""
    return [
        Note(text=f"{ranking.target}: {warning}", emphasis="warning")
        for warning in ranking.target_warnings
    ]


def source_notes(ranking: Ranking) -> list[Note]:
    """What is to be known of sources, and of scores without a value."""
    notes = [
        Note(text=f"{source} could not be scored: {reason}", emphasis="error")
        for source, reason in ranking.failures.items()
    ]
    if len(ranking.rows) > len(ranking.best_layers):
        best = ", ".join(f"{row.source} {row.layer}" for row in ranking.best_layers.values())
        notes.append(Note(text=f"the best layer of each source: {best}"))
    for (source, warning), layers in ranking.warnings.items():
        notes.append(Note(text=f"{source} {', '.join(layers)}: {warning}", emphasis="warning"))
    statuses = {
        (name, result.status.explanation)
        for row in ranking.rows
        for name, result in row.scores.items()
        if not result.ok
    }
    for name, explanation in sorted(statuses):
        notes.append(Note(text=f"{name}: {explanation}", emphasis="dim"))
    return notes


def reason_notes(row: RankingRow) -> list[Note]:
    """The verdict of a source and its reasons."""
    head = Note(text=f"{row.source}: {row.verdict}, because")
    return [head, *(Note(text=reason, level=1) for reason in row.reasons)]


def tie_notes(ranking: Ranking) -> list[Note]:
    """Which sources the forecast cannot tell apart."""
    return [
        Note(text=f"tied (=): the forecast cannot tell {', '.join(group)} apart")
        for group in ranking.ties
    ]


def _about_forecasts(ranking: Ranking, reasons: int) -> list[Note]:
    judged = [row for row in ranking.rows if row.judgement][:reasons]
    because = [note for row in judged for note in reason_notes(row)]
    return [Note(text=RULE, emphasis="dim"), *tie_notes(ranking), *because]


def _scores_of(rows: Sequence[RankingRow]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row.scores))


def _score_columns(ranking: Ranking, names: Sequence[str]) -> list[Column]:
    """A column for each score; those that say most have the least priority to go."""
    first = list(dict.fromkeys((ranking.ordered_by, *FIRST, *names)))
    return [
        Column(
            key=name,
            title=name.replace("_", " "),
            unit="points" if unit_of(name) == "points" else "",
            group="scores",
            priority=first.index(name),
            tooltip=select([name])[0].summary,
        )
        for name in names
    ]


def _identity_cells(place: int, row: RankingRow, ranking: Ranking) -> list[Cell]:
    is_tied = any(row.source in group for group in ranking.ties)
    said = "tied: the forecast cannot tell it from another source" if is_tied else ""
    return [
        Cell(text=f"{place}=" if is_tied else str(place), value=place, tooltip=said),
        words(row.source),
        words(row.layer),
        count_cell(row.num_features),
    ]


def _unsaid(cell: Cell) -> Cell:
    """A cell that stands for the same and shows nothing, below the one that shows it."""
    return Cell(text="", value=cell.value)


def _said_whole(whole: Table, ranking: Ranking) -> Table:
    """One line for each source and layer, which says its name."""
    heads = {
        place: _identity_cells(place, row, ranking) for place, row in enumerate(ranking.rows, 1)
    }
    rows = []
    for row in whole.without_superseded().rows:
        place = row.cells[0].value
        assert isinstance(place, int)
        rows.append(replace(row, cells=(*heads[place], *row.cells[len(IDENTITY) :])))
    return replace(whole, rows=tuple(rows))


def _without_verdict(row: Row) -> Row:
    return replace(row, cells=(*row.cells[:-1], Cell())) if row.superseded else row


def _forecast_cells(row: RankingRow, forecast: Forecast | None) -> list[Cell]:
    """The cells of `FORECAST`, in its order."""
    if forecast is None:
        return [words(""), *(Cell() for _ in COSTS), *[MISSING] * 5]
    return [
        words(TIERS[forecast.tier]),
        *_cost_cells(row, forecast),
        accuracy_cell(forecast.accuracy),
        accuracy_cell(forecast.scratch_accuracy, with_ends=False),
        gain_cell(forecast.gain),
        share_cell(forecast.negative_transfer_probability, 0),
        words(row.verdict or ""),
    ]


def _cost_cells(row: RankingRow, forecast: Forecast) -> list[Cell]:
    seconds = row.seconds.get(forecast.tier, 0.0)
    return [Cell(text=f"{seconds:.1f}", value=seconds)]
