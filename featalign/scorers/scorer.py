"""What a scorer is, what it answers, and how it reports a failure."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from featalign.arrays import Task
from featalign.metrics import Metric, bounds
from featalign.records.score import ScoreResult, Status
from featalign.statistics.collected import Statistics
from featalign.statistics.rows import Rows
from featalign.statistics.statistic import Statistic

Unit = Literal["number", "percent", "points"]
ALL_TASKS: tuple[Task, ...] = ("classification", "multilabel", "regression")


@dataclass(frozen=True)
class RowMean:
    """The answer of `compute` where the score is the mean of a value per row (M,).

    The scatter of the values gives its interval.
    """

    values: np.ndarray
    hits: bool = False  # whether each value is 1 for right and 0 for wrong
    note: str = ""


@dataclass(frozen=True)
class Influenced:
    """The answer of `compute` where rows have influences on the score though it is no mean.

    `influences()` gives N dθ/dw for the weight w of each of the M rows.
    """

    value: float
    influences: Callable[[], np.ndarray]
    note: str = ""


@dataclass(frozen=True)
class Judged:
    """The answer of `compute` where held-out predictions are judged by another metric.

    `labels` and `scores` are as `Metric.compute` takes them, for each of D draws of the scores
    (D, M, K), and the value is the mean over draws. `groups` (M,) are those of the rows, if any.
    """

    metric: Metric
    labels: np.ndarray
    scores: np.ndarray
    groups: np.ndarray | None
    note: str = ""

    @property
    def value(self) -> float:
        """The value, NaN where the metric is not defined."""
        return self.judge(self.labels, np.moveaxis(self.scores, 0, 1))

    def judge(self, labels: np.ndarray, scores: np.ndarray) -> float:
        """The metric of scores (M, D, K), averaged over draws."""
        draws = range(scores.shape[1])
        return float(np.mean([self.metric.compute(labels, scores[:, draw]) for draw in draws]))

    def bounds(self) -> tuple[float, float] | None:
        """The ends of the interval (see `metrics.bounds`)."""
        rows = np.moveaxis(self.scores, 0, 1)
        whole = replace(self.metric, compute=self.judge)
        return bounds(whole, self.labels, rows, self.groups)


@dataclass(frozen=True)
class Answer:
    """A result, and what its interval comes from where that is the rows."""

    result: ScoreResult
    rows: RowMean | Influenced | Judged | None = None


@dataclass(frozen=True)
class Scorer:
    """A named pure function of statistics.

    `compute` gives the number, a Status, or a ScoreResult where there is something to note. `needs`
    are the types of the statistics it reads beside the activity; it can read no others.
    `larger_is_better` is None where neither direction is better as such. `invariances` (of
    "rotation", "scale", "shift", "duplication") are properties that the tests check. `variant`
    marks another form of a scorer, which is computed only when asked for by name. A scorer whose
    cost grows faster than N names the `max_rows` it reads; beyond them it gets a seeded sample, and
    the result's note says so. `permuted` gives the values for several orders of the labels where
    that costs less than computing each. `unit` says how people are shown the score:
    as it is, in percent or, for a difference of accuracies, in points.
    """

    name: str
    compute: Callable[[Statistics], Any]
    needs: frozenset[type[Statistic]]
    summary: str
    larger_is_better: bool | None
    tasks: tuple[Task, ...] = ("classification",)
    uses_labels: bool = True
    invariances: frozenset[str] = frozenset()
    variant: bool = False
    max_rows: int | None = None
    unit: Unit = "number"
    permuted: Callable[[Sequence[Statistics]], Sequence[float]] | None = None


def evaluate(scorer: Scorer, statistics: Statistics) -> ScoreResult:
    """The scorer's result.

    Degenerate input gives a status, never an exception or a NaN with status OK.
    """
    return answer(scorer, statistics).result


def answer(scorer: Scorer, statistics: Statistics) -> Answer:
    """The result, with what its interval needs."""
    status = _unfit(scorer, statistics)
    statistics = restricted(scorer, statistics)
    try:
        found = scorer.compute(statistics) if status is None else status
    except np.linalg.LinAlgError:  # LAPACK found no decomposition
        found = Status.UNDEFINED
    value, remark = (
        (found.value, found.note)
        if isinstance(found, ScoreResult | Influenced | Judged)
        else (found, "")
    )
    if isinstance(found, RowMean):
        value, remark = found.values.mean(), found.note
    if isinstance(value, Status):
        return Answer(ScoreResult(math.nan, value))
    if not math.isfinite(float(value)):
        return Answer(ScoreResult(math.nan, Status.UNDEFINED))
    rows = statistics[Rows] if Rows in scorer.needs else None
    sample = (
        f"on a seeded sample of {len(rows.labels)} rows"
        if rows is not None and rows.sampled
        else ""
    )
    interval = found.interval if isinstance(found, ScoreResult) else None
    result = ScoreResult(
        float(value), interval=interval, note="; ".join(filter(None, (sample, remark)))
    )
    return Answer(result, found if isinstance(found, RowMean | Influenced | Judged) else None)


def restricted(scorer: Scorer, statistics: Statistics) -> Statistics:
    """The statistics that the scorer reads, with no more rows than it reads."""
    own = statistics.only(scorer.needs)
    return own if scorer.max_rows is None else own.at_most(scorer.max_rows)


def _unfit(scorer: Scorer, statistics: Statistics) -> Status | None:
    if float(statistics.activity.not_finite) > 0:
        return Status.NOT_FINITE
    # fourth powers, summed over rows and columns, must stay in range; centring at most doubles the
    # values before
    largest = float(statistics.activity.largest)
    fourth = 4 * math.log10(2 * largest) if largest > 0 else 0.0
    if (
        fourth < -280
        or fourth + 2 * math.log10(statistics.num_rows * statistics.num_features) > 307
    ):
        return Status.OUT_OF_RANGE
    if not scorer.uses_labels:
        return None
    if statistics.task not in scorer.tasks:
        return (
            Status.NOT_FOR_REGRESSION
            if statistics.task == "regression"
            else Status.NOT_FOR_MULTILABEL
        )
    if statistics.num_classes == 1:
        return Status.ONE_CLASS
    return None
