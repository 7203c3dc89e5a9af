"""Two rankings, laid out side by side: what became of each source."""

from featalign.records.comparison import Comparison
from featalign.records.interval import Interval
from featalign.records.ranking import Ranking, RankingRow
from featalign.views.answer import answer
from featalign.views.cells import Cell, Column, Note, Sheet, Table, rows_of, words
from featalign.views.numbers import MISSING, accuracy_cell, count_cell, gain_cell, points_cell

COLUMNS = (
    Column(key="source", title="source", align="left", fit="name"),
    Column(key="place_before", title="place before"),
    Column(key="place", title="place now"),
    Column(key="accuracy", title="accuracy", fit="ends", priority=1),
    Column(key="accuracy_change", title="change", unit="points"),
    Column(key="gain", title="gain", unit="points", fit="ends", priority=2),
    Column(key="gain_change", title="change of gain", unit="points", priority=3),
    Column(key="verdict_before", title="verdict before", align="left", fit="words", priority=4),
    Column(key="verdict", title="verdict now", align="left", fit="words"),
)


def comparison_sheet(comparison: Comparison) -> Sheet:
    """A line for each source of either ranking, in the order of the later one."""
    before, after = (_places(each) for each in (comparison.before, comparison.after))
    rows = [_row(name, before.get(name), after.get(name)) for name in {**after, **before}]
    ends = comparison.before, comparison.after
    sizes = " to ".join(f"{each.target} ({each.num_rows} rows)" for each in ends)
    title = f"what became of each source, from {sizes}"
    table = Table(name="comparison", title=title, columns=COLUMNS, rows=rows_of(rows))
    said = [f"{when}: {answer(each)}" for when, each in zip(("before", "now"), ends, strict=True)]
    notes = tuple(Note(text=each) for each in said)
    return Sheet(blocks=(*notes, table), whole=table)


def _places(ranking: Ranking) -> dict[str, tuple[int, RankingRow]]:
    best = ranking.best_layers
    return {name: (place, row) for place, (name, row) in enumerate(best.items(), 1)}


def _row(
    name: str, before: tuple[int, RankingRow] | None, after: tuple[int, RankingRow] | None
) -> tuple[Cell, ...]:
    earlier, later = before and before[1], after and after[1]
    accuracy, gain = later and later.accuracy, later and later.gain
    return (
        words(name),
        count_cell(before[0]) if before else MISSING,
        count_cell(after[0]) if after else MISSING,
        accuracy_cell(accuracy) if accuracy else MISSING,
        _change(earlier and earlier.accuracy, accuracy),
        gain_cell(gain) if gain else MISSING,
        _change(earlier and earlier.gain, gain),
        words((earlier and earlier.verdict) or "-"),
        words((later and later.verdict) or "-"),
    )


def _change(before: Interval | None, after: Interval | None) -> Cell:
    return MISSING if before is None or after is None else points_cell(after.value - before.value)
