"""What a really trained arm reached."""

import math
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from featalign.metrics import MetricName
from featalign.records.interval import Interval
from featalign.records.plain import IN_MEMORY, Plain, to_plain
from featalign.records.setting import LowRank, Setting
from featalign.records.shown import Shown

Arm = Literal["scratch", "probe", "full", "probe_then_full", "gradual", "lora"]
ARMS: tuple[Arm, ...] = get_args(Arm)


@dataclass(frozen=True, kw_only=True)
class Point:
    """A point of a curve, after so many steps.

    `loss` is the mean training loss since the last point, or NaN where it is not finite. The
    accuracy is that on the validation rows.
    """

    step: int
    loss: float = math.nan
    validation_accuracy: float

    def __post_init__(self) -> None:
        _name_nan(self, "loss")


@dataclass(frozen=True, kw_only=True)
class Run:
    """The run of one learning rate, or of one penalty of a probe.

    It says how the run did on the validation rows, which choose, and on the test rows, which do
    not. `validation_loss` is NaN where it is not finite. `test_hits` says which test rows are
    right, in their order, as bits in hexadecimal digits. `validation_metric`, which then chooses,
    and `test_metric` are those of another metric than accuracy, where one was asked for.
    """

    learning_rate: float
    head_penalty: float = 0.0
    validation_accuracy: float
    validation_loss: float = math.nan
    test_accuracy: float
    test_hits: str
    curve: tuple[Point, ...]
    validation_metric: float | None = None
    test_metric: Interval | None = None

    def __post_init__(self) -> None:
        _name_nan(self, "validation_loss")

    @property
    def diverged(self) -> bool:
        """Whether it ended in logits that are not finite."""
        return math.isnan(self.validation_loss)

    @property
    def validation_order(self) -> tuple[float, float]:
        """The key that sorts the run to choose first.

        That is validation accuracy, or the other metric, and then validation loss.
        """
        loss = math.inf if self.diverged else self.validation_loss
        reached = self.validation_metric
        return -(self.validation_accuracy if reached is None else reached), loss


@dataclass(frozen=True, kw_only=True)
class FineTuned(Shown, Plain):
    """What an arm reached, for the run chosen by validation.

    The accuracy is on the test rows, with its binomial interval (Wilson, 90%). Another `metric`, if
    one was asked for, chooses the run, and `measured` is its value on the test rows with a 90%
    interval by the jackknife. `num_trained` counts the numbers that were trained, of network and
    head together, and `low_rank` are the small matrices of the arm `lora`. `stopped` says why the
    arm ended early, where it did. `trained` are the weights, which exist in memory alone; they
    neither go into the JSON nor make results unequal.
    """

    source: str
    layer: str
    target: str
    arm: Arm
    seed: int
    accuracy: Interval
    setting: Setting
    runs: tuple[Run, ...]
    num_training: int
    num_validation: int
    num_test: int
    seconds: float
    stopped: str | None = None
    metric: MetricName = "accuracy"
    num_trained: int | None = None
    low_rank: LowRank | None = None
    trained: Any = field(default=None, compare=False, repr=False, metadata=IN_MEMORY)

    @property
    def chosen(self) -> Run:
        """The run that was chosen."""
        setting = self.setting
        return next(
            run
            for run in self.runs
            if (run.learning_rate, run.head_penalty)
            == (setting.learning_rate, setting.head_penalty)
        )

    @property
    def measured(self) -> Interval | None:
        """The metric on the test rows: the accuracy, unless another was asked for.

        It is None where that is not defined.
        """
        return self.accuracy if self.metric == "accuracy" else self.chosen.test_metric

    @property
    def curve(self) -> tuple[Point, ...]:
        """The curve of the run that was chosen."""
        return self.chosen.curve

    def to_record(self) -> dict[str, Any]:
        """The result as plain data, without the weights."""
        return to_plain(self)


def _name_nan(record: object, name: str) -> None:
    """Replace a field that is not finite by the one NaN of `math`, so that records compare."""
    if not math.isfinite(getattr(record, name)):
        object.__setattr__(record, name, math.nan)
