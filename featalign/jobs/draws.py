"""Rankings of several draws of the rows, as one: means of the scores, and their values by draw."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from featalign.checks import check_whole
from featalign.errors import FeatalignError
from featalign.jobs.ranking import in_order
from featalign.records.ranking import Ranking, RankingRow
from featalign.records.score import ScoreResult
from featalign.targets.few_shot import few_shot
from featalign.targets.target import Target


def few_shot_draws(
    target: Target, per_class: int | None, draws: int, seed: int, *, forecast: bool
) -> tuple[Target, ...]:
    """The target itself, or so many draws of so many rows of each of its classes.

    Raises FeatalignError for draws of nothing, and for a forecast of several.
    """
    draws = check_whole(draws, "draws")
    if per_class is None:
        if draws > 1:
            raise FeatalignError(
                f"draws: expected per_class (--per-class) beside {draws} draws, got none; say how "
                "many rows of each class to draw"
            )
        return (target,)
    if draws > 1 and forecast:
        raise FeatalignError(
            f"draws: expected 1 beside a forecast, got {draws}; forecast one draw, or leave effort "
            "and forecast out"
        )
    return tuple(few_shot(target, per_class, seed + draw) for draw in range(draws))


def averaged(rankings: Sequence[Ranking], per_class: int) -> Ranking:
    """One ranking of the rows that all have, ordered by the mean of the score that ordered them.

    A score without a value in one draw has the status of that draw. Warnings are those of the first
    draw, and say what the values are; a source that failed in any draw is a failure.
    """
    first = rankings[0]
    failures = {name: reason for each in rankings for name, reason in each.failures.items()}
    rows: list[RankingRow] = []
    for row in first.rows:
        same = [
            other
            for each in rankings
            for other in each.rows
            if (other.source, other.layer) == (row.source, row.layer)
        ]
        if len(same) == len(rankings):
            scores = {name: mean([each.scores[name] for each in same]) for name in row.scores}
            rows.append(replace(row, scores=scores, key=""))
    ordered, ordered_by = in_order(rows, first.ordered_by)
    said = (
        f"means of {len(rankings)} draws of {per_class} rows of each class, ± their deviation; "
        "there is no forecast of several draws"
    )
    warnings = (*first.target_warnings, said)
    return replace(
        first, rows=ordered, ordered_by=ordered_by, failures=failures, target_warnings=warnings
    )


def mean(results: Sequence[ScoreResult]) -> ScoreResult:
    """The mean of a score over draws, with its values; a draw without one gives its status.

    >>> found = mean([ScoreResult(0.5), ScoreResult(0.75)])
    >>> found.value, found.draws, round(found.spread, 3)
    (0.625, (0.5, 0.75), 0.177)
    """
    failed = next((each for each in results if not each.ok), None)
    if failed is not None:
        return failed
    values = tuple(each.value for each in results)
    return ScoreResult(float(np.mean(values)), note=results[0].note, draws=values)
