"""Rankings, scores, scorers and trained arms as tables on the terminal."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from featalign.records.interval import percent, points
from featalign.records.ranking import Ranking
from featalign.records.score import ScoreResult, Status
from featalign.scorers.registry import unit_of
from featalign.scorers.scorer import Scorer
from featalign.views.forecasts import print_forecasts, print_target_warnings
from featalign.views.names import short_name, short_names
from featalign.views.text import say

if TYPE_CHECKING:
    from featalign.records.fine_tuned import FineTuned

NARROW = (
    "linear_probe",
    "tangent_gain",
    "knn",
    "logme",
    "h_score_shrunk",
    "cka",
    "rankme",
    "active_fraction",
)
WIDTH = 15  # of a column
LEAST_NAME = 17  # characters that the name of a source keeps


def format_score(name: str, result: ScoreResult) -> str:
    """A score for people.

    Accuracies are in percent, others have three or four digits. Where there is no score, a dash or
    the reason stands.

    >>> scores = (("knn", 0.957), ("tangent_gain", 0.0312), ("gbc", -3.21e-7))
    >>> [format_score(name, ScoreResult(value)) for name, value in scores]
    ['95.7%', '+3.1 points', '-3.21e-07']
    """
    if not result.ok:
        return "black box" if result.status is Status.BLACK_BOX else "-"
    return _number(name, result.value) + (" points" if unit_of(name) == "points" else "")


def format_interval(name: str, result: ScoreResult) -> str:
    """The interval for people; nothing where there is none.

    >>> format_interval("knn", ScoreResult(0.957, interval=(0.93, 0.974)))
    '93.0% to 97.4%'
    """
    return (
        " to ".join(_number(name, end) for end in result.interval)
        if result.ok and result.interval
        else ""
    )


def _number(name: str, value: float) -> str:
    unit = unit_of(name)
    if unit != "number":
        return percent(value) if unit == "percent" else points(value)
    return f"{value:.3f}" if 0.01 <= abs(value) < 1000 or value == 0 else f"{value:.3g}"


def ranking_table(ranking: Ranking, *, width: int = 120) -> Table:
    """The ranking with as many scores as the width allows; all of them are in the JSON."""
    classes = f"{ranking.num_classes} classes" if ranking.num_classes else ranking.task
    judged = "" if ranking.metric in ("accuracy", "r2") else f" ({ranking.metric})"
    table = Table(
        title=f"{ranking.target}: {ranking.num_rows} rows, {classes}",
        caption=f"scores, ordered by {ranking.ordered_by}{judged}",
    )
    layers = {row.layer for row in ranking.rows}
    names = list(ranking.rows[0].scores)
    longest = max(len(row.source) for row in ranking.rows)
    name = min(longest, max(LEAST_NAME, width // 4))
    beside = name + 10 + (3 + max(map(len, layers)) if len(layers) > 1 else 0)
    room = max(1, (width - beside) // WIDTH)
    first = [each for each in dict.fromkeys((ranking.ordered_by, *NARROW)) if each in names]
    shown = names if len(names) <= room else first[:room]
    table.add_column("", justify="right")
    table.add_column("source", no_wrap=True)
    if len(layers) > 1:
        table.add_column("layer", no_wrap=True)
    for score in shown:
        table.add_column(score.replace("_", " "), justify="right")
    addresses = short_names((row.source for row in ranking.rows), name)
    for place, row in enumerate(ranking.rows, 1):
        cells = [_with_interval(score, row.scores[score]) for score in shown]
        table.add_row(
            str(place),
            escape(addresses[row.source]),
            *([row.layer] if len(layers) > 1 else []),
            *cells,
        )
    return table


def _with_interval(name: str, result: ScoreResult) -> str:
    interval = format_interval(name, result)
    if result.ok and result.spread is not None:
        return f"{format_score(name, result)}\n± {_number(name, result.spread).strip('+%')}"
    return (
        f"{format_score(name, result)}\n{interval.replace('%', '')}"
        if interval
        else format_score(name, result)
    )


def print_ranking(ranking: Ranking, console: Console) -> None:
    """Print the forecasts where there are some, then the scores.

    Then come what could not be scored and why, and the warnings.
    """
    if any(row.forecasts for row in ranking.rows):
        print_forecasts(ranking, console)
    else:
        print_target_warnings(ranking, console)
    console.print(ranking_table(ranking, width=console.width))
    for source, reason in ranking.failures.items():
        say(console, f"{source} could not be scored: {reason}", style="red")
    if len(ranking.rows) > len(ranking.best_layers):
        best = ", ".join(f"{row.source} {row.layer}" for row in ranking.best_layers.values())
        say(console, f"the best layer of each source: {best}", is_plain=True)
    for (source, warning), layers in ranking.warnings.items():
        say(console, f"{source} {', '.join(layers)}: {warning}", style="yellow")
    statuses = {
        (name, result.status.explanation)
        for row in ranking.rows
        for name, result in row.scores.items()
        if not result.ok
    }
    for name, explanation in sorted(statuses):
        say(console, f"{name}: {explanation}", style="dim")


def fine_tuned_table(results: Sequence["FineTuned"]) -> Table:
    """One line per trained arm.

    It has the accuracy with its interval, another metric where one was asked for, what was chosen,
    what it cost, and why it stopped.
    """
    first = results[0]
    judged = first.metric != "accuracy"
    rows = (
        f"{first.num_training} rows to train, {first.num_validation} to choose, "
        f"{first.num_test} to test"
    )
    table = Table(title=f"{short_name(first.source)} on {first.target}: {rows}")
    metric = (first.metric.replace("_", " "), "90% interval") if judged else ()
    reached = (*metric, "accuracy", "90% interval")
    for column in ("arm", *reached, "learning rate", "steps", "seconds"):
        no_wrap = column != "learning rate"
        table.add_column(column, justify="left" if column == "arm" else "right", no_wrap=no_wrap)
    table.add_column("")
    for result in results:
        accuracy = result.accuracy
        table.add_row(
            result.arm,
            *(_measured(result) if judged else ()),
            percent(accuracy.value),
            f"{percent(accuracy.low)} to {percent(accuracy.high)}",
            f"{result.setting.learning_rate:g}"
            + (f", penalty {result.setting.head_penalty:g}" if result.setting.head_penalty else ""),
            str(result.setting.steps),
            f"{result.seconds:.0f}",
            result.stopped or "",
        )
    return table


def _measured(result: "FineTuned") -> tuple[str, str]:
    found = result.measured
    return (
        ("-", "")
        if found is None
        else (f"{found.value:.3f}", f"{found.low:.3f} to {found.high:.3f}")
    )


def scorers_table(scorers: Sequence[Scorer]) -> Table:
    """One line per scorer: what it says, and which way is better."""
    table = Table()
    for column in ("scorer", "what it says", "better", "computed"):
        table.add_column(column)
    for scorer in scorers:
        better = {True: "larger", False: "smaller", None: "neither"}[scorer.larger_is_better]
        table.add_row(
            scorer.name,
            scorer.summary,
            better,
            "when asked for" if scorer.variant else "by default",
        )
    return table


def scores_table(scores: Mapping[str, ScoreResult]) -> Table:
    """One line per scorer: value, or why there is none.

    Its interval and its zero where they were asked for.
    """
    judged = any(result.interval or result.zero for result in scores.values())
    table = Table()
    table.add_column("scorer")
    for column in ("value", *(("90% interval", "labels permuted") if judged else ())):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("")
    for name, result in scores.items():
        zero = (
            f"{_number(name, result.zero.mean)} ± {_number(name, result.zero.spread)}"
            if result.zero
            else ""
        )
        more = (format_interval(name, result), zero) if judged else ()
        table.add_row(
            name,
            format_score(name, result),
            *more,
            result.note if result.ok else result.status.explanation,
        )
    return table
