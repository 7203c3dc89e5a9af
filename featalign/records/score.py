"""A score, its zero, and its status, which reports a failure."""

import math
from dataclasses import dataclass
from enum import Enum
from statistics import stdev


class Status(Enum):
    """Whether a score can be used; `explanation` says why not."""

    OK = "ok"
    NOT_FINITE = "not_finite"
    ONE_CLASS = "one_class"
    TOO_FEW_ROWS = "too_few_rows"
    CONSTANT = "constant"
    OUT_OF_RANGE = "out_of_range"
    NOT_FOR_REGRESSION = "not_for_regression"
    NOT_FOR_MULTILABEL = "not_for_multilabel"
    NO_PROBABILITIES = "no_probabilities"
    BLACK_BOX = "black_box"
    NO_GRADIENTS = "no_gradients"
    GRADIENTS_NOT_FINITE = "gradients_not_finite"
    NO_LOGITS = "no_logits"
    NOT_CONVERGED = "not_converged"
    UNDEFINED = "undefined"

    @property
    def explanation(self) -> str:
        """What is the matter, and what to do; empty where nothing is.

        >>> Status.ONE_CLASS.explanation
        'all labels are of one class; at least two are needed'
        """
        return _EXPLANATIONS.get(self, "")


_EXPLANATIONS = {
    Status.NOT_FINITE: "the features hold NaN or infinite values; find them with "
    "`featalign cache verify` or embed in float32",
    Status.ONE_CLASS: "all labels are of one class; at least two are needed",
    Status.TOO_FEW_ROWS: "too few rows for this score",
    Status.CONSTANT: "the features are the same on every row",
    Status.OUT_OF_RANGE: "the features are so large or so small that their squares leave the "
    "range of float64; scale them",
    Status.NOT_FOR_REGRESSION: "not defined for regression targets",
    Status.NOT_FOR_MULTILABEL: "not defined for several labels a row",
    Status.NO_PROBABILITIES: "needs the source's class probabilities (source_probabilities, or "
    "source_logits)",
    Status.BLACK_BOX: "not available (black box): needs a source with parameters, gradients and "
    "fresh weights, such as a Flax module or one of the zoo",
    Status.NO_GRADIENTS: "the gradients of this source could not be computed; the warning of its "
    "row says why",
    Status.GRADIENTS_NOT_FINITE: "the gradients, or the features of a random twin, hold NaN or "
    "infinite values",
    Status.NO_LOGITS: "needs the source's logits (source_logits)",
    Status.NOT_CONVERGED: "the fit did not converge; if the features are very large, scale them",
    Status.UNDEFINED: "not defined for this input",
}


@dataclass(frozen=True)
class Zero:
    """The value of a score when labels and features are unrelated.

    `mean` and `spread` are its mean and deviation over random orders of the labels.
    """

    mean: float
    spread: float
    orders: int


@dataclass(frozen=True)
class ScoreResult:
    """One score: `value` (NaN unless `status` is OK), `status`, and a `note`.

    Where they were asked for, it has its `zero` (None where the score uses no label) and its 90%
    `interval` (low, high). The value is the mean of the `draws`, where there are several.
    """

    value: float = math.nan
    status: Status = Status.OK
    interval: tuple[float, float] | None = None
    note: str = ""
    zero: Zero | None = None
    draws: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.value != self.value:  # with the one NaN of `math`, equal results compare as equal
            object.__setattr__(self, "value", math.nan)

    @property
    def spread(self) -> float | None:
        """The deviation over draws; None where there are fewer than two."""
        return stdev(self.draws) if len(self.draws) > 1 else None

    @property
    def ok(self) -> bool:
        """Whether the value can be used."""
        return self.status is Status.OK
