"""What is expected of a source on a target before it is trained, and what to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from featalign.records.evidence import Capability
from featalign.records.interval import Interval
from featalign.records.plain import Plain

Tier = Literal["cache", "anchor", "short"]
Decision = Literal[
    "fine-tune", "probe only", "probe then fine-tune", "train from scratch", "cannot tell"
]


@dataclass(frozen=True, kw_only=True)
class Forecast(Plain):
    """Both arms of a source on a target, at its n and the budget of the calibration.

    `tier` says what the forecast was made of, and `capability` what the source allows.
    `scratch_accuracy` and `gain` add up to `accuracy`; where scratch was trained, up to half a row
    of a thousand. `gain_by_size` holds the gain at other numbers of rows. `parts` say what each
    predictor adds to the mean gain of
    the calibration, in log-odds. `arms` are bounds that the accuracy of other arms less that of
    `full` should exceed in 80% of cases. `num_data_sets` is the number of data sets that the
    intervals were made of. `distance` says how far the evidence is from theirs: beyond 1 it is
    farther than any of them, and the intervals are wider for it.
    """

    tier: Tier
    capability: Capability
    accuracy: Interval
    scratch_accuracy: Interval
    gain: Interval
    negative_transfer_probability: float
    gain_by_size: Mapping[int, Interval] = field(default_factory=dict)
    parts: Mapping[str, float] = field(default_factory=dict)
    arms: Mapping[str, float] = field(default_factory=dict)
    num_data_sets: int = 0
    distance: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What to do, and why."""

    decision: Decision
    reasons: tuple[str, ...]
