"""One row of a ranking, laid out: a line for each number."""

from featalign.records.ranking import RankingRow
from featalign.scorers.registry import unit_of
from featalign.views.cells import Cell, Column, Note, Sheet, Table, rows_of, words
from featalign.views.numbers import (
    accuracy_cell,
    count_cell,
    gain_cell,
    score_cell,
    share_cell,
)

COLUMNS = (
    Column(key="name", title="what", align="left"),
    Column(key="value", title="value"),
    Column(key="note", align="left", fit="words", priority=1),
)


def row_sheet(row: RankingRow) -> Sheet:
    """The verdict with its reasons, the forecast, the scores and the warnings of a source."""
    lines: list[tuple[Cell, Cell, str]] = [(words("features"), count_cell(row.num_features), "")]
    if row.forecast is not None:
        forecast = row.forecast
        lines += [
            (words("accuracy"), accuracy_cell(forecast.accuracy), "of the best way to train it"),
            (words("scratch accuracy"), accuracy_cell(forecast.scratch_accuracy), ""),
            (words("gain (points)"), gain_cell(forecast.gain), "accuracy less that of scratch"),
            (
                words("hurts"),
                share_cell(forecast.negative_transfer_probability, 0),
                "the chance that the gain is negative",
            ),
        ]
    for name, result in row.scores.items():
        cell = score_cell(name, result)
        unit = " (points)" if unit_of(name) == "points" else ""
        lines.append((words(name + unit), cell, cell.tooltip))
    table = Table(
        name="row",
        title=f"{row.source}, layer {row.layer}",
        columns=COLUMNS,
        rows=rows_of((name, value, words(note)) for name, value, note in lines),
    )
    notes: list[Note] = []
    if row.judgement is not None:
        notes = [Note(text=f"{row.source}: {row.verdict}, because", emphasis="strong")]
        notes += [Note(text=reason, level=1) for reason in row.reasons]
    warnings = [Note(text=warning, emphasis="warning") for warning in row.warnings]
    return Sheet(blocks=(*notes, table, *warnings), whole=table)
