"""Screenings, trained arms, forecasts beside results, scorers and scores, laid out."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from featalign.records.ranking import RankingRow
from featalign.records.score import ScoreResult
from featalign.records.screening import Screening
from featalign.scorers.scorer import Scorer
from featalign.views.cells import Cell, Column, Note, Sheet, Table, rows_of, words
from featalign.views.names import short_name
from featalign.views.numbers import (
    MISSING,
    accuracy_cell,
    count_cell,
    format_number,
    format_score,
    gain_cell,
    points_cell,
    share_cell,
)

if TYPE_CHECKING:
    from featalign.records.fine_tuned import FineTuned
    from featalign.study.check import Checked

SOURCE = Column(key="source", title="source", align="left", fit="name")


def screening_sheet(screening: Screening) -> Sheet:
    """Which sources are kept, which are dropped, and why."""
    ranking = screening.ranking
    rows = {row.source: row for row in ranking.best_layers.values()}
    columns = (
        Column(key="decision", align="left"),
        SOURCE,
        Column(key="accuracy", title="accuracy", fit="ends", priority=3),
        Column(key="gain", title="gain", unit="points", fit="ends", priority=2),
        Column(key="reason", title="because", align="left", fit="words"),
        Column(key="spent", title="spent", priority=4, tooltip="trainings spent until then"),
    )
    kept = [
        (words("keep", emphasis="good"), *_expected(source, rows, _why(rows.get(source)), None))
        for source in screening.kept
    ]
    dropped = [
        (words("drop", emphasis="dim"), *_expected(each.source, rows, each.reason, each.spent))
        for each in screening.dropped
    ]
    said = (
        f"{ranking.target}: {len(screening.kept)} kept, {len(screening.dropped)} dropped, "
        f"{screening.spent:.2f} trainings spent"
    )
    table = Table(name="screening", columns=columns, rows=rows_of([*kept, *dropped]))
    return Sheet(blocks=(Note(text=said, emphasis="strong"), table), whole=table)


def _why(row: RankingRow | None) -> str:
    return row.reasons[0] if row is not None and row.reasons else ""


def _expected(
    source: str, rows: Mapping[str, RankingRow], reason: str, spent: float | None
) -> list[Cell]:
    row = rows.get(source)
    expected = [MISSING, MISSING]
    if row is not None and row.accuracy is not None and row.gain is not None:
        expected = [accuracy_cell(row.accuracy), gain_cell(row.gain)]
    cost = Cell() if spent is None else Cell(text=f"{spent:.2f}", value=spent)
    return [words(source), *expected, words(reason), cost]


def fine_tuned_sheet(results: Sequence["FineTuned"]) -> Sheet:
    """Trained arms: what each reached with its interval, what was chosen, what it cost."""
    first = results[0]
    judged = first.metric != "accuracy"
    title = (
        f"{short_name(first.source)} on {first.target}: {first.num_training} rows to train, "
        f"{first.num_validation} to choose, {first.num_test} to test"
    )
    metric = Column(key=first.metric, title=first.metric.replace("_", " "), group="metric")
    columns = (
        Column(key="arm", title="arm", align="left"),
        *((metric,) if judged else ()),
        Column(
            key="accuracy", title="accuracy", fit="ends", tooltip="on the test rows, 90% interval"
        ),
        Column(key="learning_rate", title="learning rate", fit="words", priority=2),
        Column(key="steps", title="steps", priority=3),
        Column(key="seconds", title="seconds", priority=1),
        Column(key="stopped", title="stopped", align="left", fit="words", priority=4),
    )
    if not any(result.stopped for result in results):
        columns = columns[:-1]
    rows = [
        (
            words(result.arm),
            *((_measured(result),) if judged else ()),
            accuracy_cell(result.accuracy, digits=1),
            _setting(result),
            count_cell(result.setting.steps),
            Cell(text=f"{result.seconds:.0f}", value=result.seconds),
            words(result.stopped or ""),
        )[: len(columns)]
        for result in results
    ]
    table = Table(name="trained", title=title, columns=columns, rows=rows_of(rows))
    return Sheet(blocks=(table,), whole=table)


def _setting(result: "FineTuned") -> Cell:
    setting = result.setting
    penalty = f", penalty {setting.head_penalty:g}" if setting.head_penalty else ""
    return Cell(text=f"{setting.learning_rate:g}{penalty}", value=setting.learning_rate)


def _measured(result: "FineTuned") -> Cell:
    found = result.measured
    if found is None:
        return MISSING
    text = f"{found.value:.3f} ({found.low:.3f} to {found.high:.3f})"
    return Cell(text=text, value=found.value, more={"low": found.low, "high": found.high})


def checked_sheet(checks: Sequence["Checked"]) -> Sheet:
    """Forecast beside result: accuracy and gain, and whether the result lies in the interval."""
    first = checks[0].best
    title = (
        f"forecast and result: {first.num_training + first.num_validation} rows to train and "
        f"choose on, {first.num_test} to test"
    )
    columns = (
        SOURCE,
        Column(key="verdict", title="verdict", align="left", fit="words"),
        Column(key="gain", title="gain, forecast", fit="ends"),
        Column(key="gain_trained", title="gain, trained"),
        Column(key="accuracy", title="accuracy, forecast", fit="ends", priority=2),
        Column(key="accuracy_trained", title="accuracy, trained", priority=1),
        Column(key="arm", title="best arm", align="left", fit="words", priority=3),
        Column(key="within", title="within", align="left"),
    )
    rows = []
    for check in checks:
        row, gain, accuracy = check.row, check.row.gain, check.row.accuracy
        assert gain is not None
        assert accuracy is not None
        within = gain.holds(check.gain)
        rows.append(
            (
                words(row.source),
                words(row.verdict or ""),
                gain_cell(gain),
                points_cell(check.gain),
                accuracy_cell(accuracy),
                share_cell(check.best.accuracy.value),
                words(check.best.arm.replace("_", " ")),
                words("yes" if within else "no", emphasis="good" if within else "bad"),
            )
        )
    for scratch in {check.scratch.source: check.scratch for check in checks}.values():
        reached = share_cell(scratch.accuracy.value)
        name = words(f"{scratch.source} from scratch")
        rows.append((name, *[Cell()] * 4, reached, words("scratch"), Cell()))
    table = Table(name="checked", title=title, columns=columns, rows=rows_of(rows))
    return Sheet(blocks=(table,), whole=table)


def scorers_sheet(scorers: Sequence[Scorer]) -> Sheet:
    """One line per scorer: what it says, and which way is better."""
    columns = (
        Column(key="scorer", title="scorer", align="left"),
        Column(key="summary", title="what it says", align="left", fit="words"),
        Column(key="better", title="better", align="left"),
        Column(key="computed", title="computed", align="left", fit="words", priority=1),
    )
    better = {True: "larger", False: "smaller", None: "neither"}
    rows = [
        (
            words(scorer.name),
            words(scorer.summary),
            words(better[scorer.larger_is_better]),
            words("when asked for" if scorer.variant else "by default"),
        )
        for scorer in scorers
    ]
    table = Table(name="scorers", columns=columns, rows=rows_of(rows))
    return Sheet(blocks=(table,), whole=table)


def scores_sheet(scores: Mapping[str, ScoreResult]) -> Sheet:
    """One line per scorer: value, or why there is none; its interval and zero if asked for."""
    judged = any(result.interval or result.zero for result in scores.values())
    more = (
        Column(key="interval", title="90% interval"),
        Column(key="permuted", title="labels permuted", tooltip="the zero of the score"),
    )
    columns = (
        Column(key="scorer", title="scorer", align="left"),
        Column(key="value", title="value"),
        *(more if judged else ()),
        Column(key="note", align="left", fit="words"),
    )
    rows = []
    for name, result in scores.items():
        interval, zero = result.interval, result.zero
        judgements = (
            Cell(text=" to ".join(format_number(name, end) for end in interval), value=None)
            if result.ok and interval
            else Cell(),
            Cell(text=f"{format_number(name, zero.mean)} ± {format_number(name, zero.spread)}")
            if zero
            else Cell(),
        )
        ends = dict(zip(("low", "high"), interval, strict=True)) if interval else {}
        zeros = {"zero": zero.mean, "zero_spread": zero.spread} if zero else {}
        rows.append(
            (
                words(name),
                Cell(text=format_score(name, result), value=result.value, more=ends | zeros),
                *(judgements if judged else ()),
                words(result.note if result.ok else result.status.explanation),
            )
        )
    table = Table(name="scores", columns=columns, rows=rows_of(rows))
    return Sheet(blocks=(table,), whole=table)
