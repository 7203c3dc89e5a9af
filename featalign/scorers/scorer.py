"""What a scorer is, what it answers, and how failure is said."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal

from featalign.statistics.gather import Need, Statistics

Task = Literal["classification", "regression"]
BOTH: tuple[Task, ...] = ("classification", "regression")


class Status(Enum):
    """Whether a score means something; each value is the explanation."""

    OK = "ok"
    NOT_FINITE = "the features hold NaN or infinite values; find them with `featalign cache verify` or embed in float32"
    ONE_CLASS = "all labels are of one class; at least two are needed"
    TOO_FEW_ROWS = "too few rows for this score"
    CONSTANT = "the features are the same on every row"
    OUT_OF_RANGE = "the features are so large or so small that their squares leave the range of float64; scale them"
    NOT_FOR_REGRESSION = "not defined for regression targets"
    NO_PROBABILITIES = "needs the source's class probabilities (source_probabilities, or source_logits)"
    NO_LOGITS = "needs the source's logits (source_logits)"
    NOT_CONVERGED = "the fit did not converge; if the features are very large, scale them"
    UNDEFINED = "not defined for this input"


@dataclass(frozen=True)
class ScoreResult:
    """One score: `value` (NaN unless `status` is OK), `status`, `interval` (low, high) where there is one, and a `note`."""

    value: float
    status: Status = Status.OK
    interval: tuple[float, float] | None = None
    note: str = ""

    @property
    def ok(self) -> bool:
        """Whether the value can be used."""
        return self.status is Status.OK

    def to_record(self) -> dict[str, Any]:
        """Plain data for JSON; a value that cannot be used is None."""
        return {
            "value": self.value if self.ok else None,
            "status": "ok" if self.ok else self.status.name.lower(),
            "explanation": "" if self.ok else self.status.value,
            "interval": list(self.interval) if self.interval else None,
            "note": self.note,
        }


@dataclass(frozen=True)
class Scorer:
    """A named pure function of statistics.

    `compute` gives the number, a Status, or a ScoreResult where there is something to note; `needs` names the statistics it reads beside the
    activity; `larger_is_better` is None where neither direction is better as such. `invariances` (of "rotation", "scale", "shift",
    "duplication") are properties that the tests check. `variant` marks another form of a scorer that is computed only when asked for by name. A
    scorer whose cost grows faster than N names the `max_rows` it reads; beyond them it gets a seeded sample, which the result's note says.
    """

    name: str
    compute: Callable[[Statistics], Any]
    needs: frozenset[Need]
    summary: str
    larger_is_better: bool | None
    tasks: tuple[Task, ...] = ("classification",)
    uses_labels: bool = True
    invariances: frozenset[str] = frozenset()
    variant: bool = False
    max_rows: int | None = None


def evaluate(scorer: Scorer, statistics: Statistics) -> ScoreResult:
    """The scorer's result; degenerate input gives a status, never an exception or a NaN with status OK."""
    status = _unfit(scorer, statistics)
    if scorer.max_rows is not None and statistics.rows is not None:
        statistics = replace(statistics, rows=statistics.rows.at_most(scorer.max_rows, seed=statistics.seed))
    value = scorer.compute(statistics) if status is None else status
    value, remark = (value.value, value.note) if isinstance(value, ScoreResult) else (value, "")
    if isinstance(value, Status):
        return ScoreResult(math.nan, value)
    if not math.isfinite(float(value)):
        return ScoreResult(math.nan, Status.UNDEFINED)
    sampled = statistics.rows is not None and statistics.rows.sampled and "rows" in scorer.needs
    sample = f"on a seeded sample of {len(statistics.rows.labels)} rows" if sampled and statistics.rows else ""
    return ScoreResult(float(value), note="; ".join(filter(None, (sample, remark))))


def _unfit(scorer: Scorer, statistics: Statistics) -> Status | None:
    if float(statistics.activity.not_finite) > 0:
        return Status.NOT_FINITE
    # fourth powers, summed over rows and columns, must stay in range; they are formed after centring, so at most twice as large
    largest = float(statistics.activity.largest)
    fourth = 4 * math.log10(2 * largest) if largest > 0 else 0.0
    if fourth < -280 or fourth + 2 * math.log10(statistics.num_rows * statistics.num_features) > 307:
        return Status.OUT_OF_RANGE
    if not scorer.uses_labels:
        return None
    if statistics.num_classes == 0:
        return None if "regression" in scorer.tasks else Status.NOT_FOR_REGRESSION
    if statistics.num_classes == 1:
        return Status.ONE_CLASS
    return None
