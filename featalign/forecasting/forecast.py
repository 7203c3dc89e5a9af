"""The forecast of what fine-tuning reaches.

It has the accuracy of the best transfer arm and of scratch, the gain between them, and how it goes
with n.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from featalign.arrays import Interval
from featalign.forecasting.calibration import LEVEL, Calibration, Line
from featalign.forecasting.predictors import (
    ADVANTAGE,
    Kind,
    Short,
    Situation,
    arm_predictors,
    drift_predictors,
    gain_predictors,
    kind_of,
    scratch_base,
    scratch_predictors,
)

Tier = Literal["cache", "short"]
CURVE = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # sizes of the curve, times n
FURTHEST = CURVE[-1]
BOTH_SIDES = 0.6  # an interval whose lower end is passed in 80% of cases


@dataclass(frozen=True)
class Forecast:
    """What is expected of a source on a target before any arm is trained.

    It holds at the target's n and the budget that the calibration was trained with.

    `tier` says what it was made of, `kind` what the source allows; `scratch_accuracy` and `gain`
    add up to `accuracy`. `gain_by_size` holds the gain at other numbers of rows, `catches_up` the
    number at which scratch is expected to catch up (None: not between n and 16 n). `parts` are what
    each predictor adds to the mean gain of the calibration, `arms` what the accuracy of other arms
    less that of `full` should exceed in 80% of cases.
    """

    tier: Tier
    kind: Kind
    accuracy: Interval
    scratch_accuracy: Interval
    gain: Interval
    negative_transfer_probability: float
    gain_by_size: tuple[tuple[int, Interval], ...]
    catches_up: int | None
    parts: tuple[tuple[str, float], ...]
    arms: Mapping[str, float]

    def to_record(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self) | {
            "gain_by_size": [{"size": size, **asdict(gain)} for size, gain in self.gain_by_size],
            "parts": dict(self.parts),
        }


def make_forecast(
    evidence: Mapping[str, Any],
    situation: Situation,
    calibration: Calibration,
    short: Short | None = None,
) -> Forecast:
    """The forecast from evidence, and from short runs where there are some; see `Forecast`.

    gain = line(differences to the random twins, times 1 and log n); scratch = what twins reach +
    line(log n); accuracy = scratch + gain. Intervals are conformal: for sources of the study, 90%
    of the targets left out of the calibration lay within them; for others, 90% of the pairs of
    networks made elsewhere, where the calibration was fitted with such.

    >>> from featalign.forecasting.calibration import shipped_calibration
    >>> evidence = {"linear_probe": 0.9, "logme": 0.2, "lda": 0.7, "tangent_probe": 0.9}
    >>> twins = {"linear_probe": 0.5, "logme": -0.1, "lda": 0.3, "tangent_probe": 0.6}
    >>> twins = {f"twin {name}": value for name, value in twins.items()}
    >>> found = make_forecast(evidence | twins, Situation(300, 10), shipped_calibration())
    >>> found.gain.value > 0 and found.negative_transfer_probability < 0.5
    True
    """
    kind = kind_of(evidence)
    used = short if kind == "differentiable" else None
    tier: Tier = "cache" if used is None else "short"
    known = evidence.get(ADVANTAGE) is not None
    lines = calibration.lines_of(kind, share=None if used is None else used.share, known=known)
    predictors = gain_predictors(evidence, situation, kind, used)
    value, size = lines["gain"].predict(predictors), situation.size
    scratch = _share(
        scratch_base(evidence, kind, used)
        + lines["scratch"].predict(scratch_predictors(evidence, situation, kind))
    )
    value = within_headroom(value, scratch)
    accuracy = _share(scratch + value)
    gain = lines["gain"].interval(value, size)
    by_size = [
        (round(share * situation.num_rows), _at(lines["drift"], evidence, situation, gain, share))
        for share in CURVE
    ]
    return Forecast(
        tier,
        kind,
        _within(lines["accuracy"].interval(accuracy, size), 0, 1),
        _within(lines["scratch"].interval(scratch, size), 0, 1),
        _within(gain, -1, 1),
        lines["gain"].probability_below(value, 0.0, size),
        tuple(by_size),
        _catches_up(lines["drift"], evidence, situation, value),
        tuple(lines["gain"].parts(predictors)),
        {
            name.removesuffix(" less full"): line.interval(
                line.predict(arm_predictors(evidence, situation, kind)), size, level=BOTH_SIDES
            ).low
            for name, line in lines.items()
            if name.endswith(" less full")
        },
    )


def within_headroom(gain: float, scratch: float) -> float:
    """A gain that leaves accuracy between 0 and 1.

    A gain is itself up to h, half of what scratch leaves to gain, and from there on 2 h - h exp(1 -
    gain / h); a loss is no more than what scratch reaches.

    >>> within_headroom(0.05, 0.5), round(within_headroom(0.5, 0.9), 3), within_headroom(-0.1, 0.9)
    (0.05, 0.1, -0.1)
    """
    half = (1 - scratch) / 2
    if gain <= half:
        return max(gain, -scratch)
    return half - half * math.expm1(1 - gain / half) if half > 0 else 0.0


def gain_at(
    line: Line, evidence: Mapping[str, Any], situation: Situation, gain: float, size: float
) -> float:
    """The gain expected at another number of rows."""
    here = line.predict(drift_predictors(evidence, situation, gain, situation.num_rows))
    return gain + line.predict(drift_predictors(evidence, situation, gain, size)) - here


def _at(
    line: Line, evidence: Mapping[str, Any], situation: Situation, gain: Interval, share: float
) -> Interval:
    """The gain at a multiple of n, with an interval no narrower than that at n."""
    value = gain_at(line, evidence, situation, gain.value, share * situation.num_rows)
    half = max(
        (gain.high - gain.low) / 2,
        (found := line.interval(0.0, abs(math.log(share)))).high - found.value,
    )
    return _within(Interval(value, value - half, value + half, LEVEL), -1, 1)


def _catches_up(
    line: Line, evidence: Mapping[str, Any], situation: Situation, gain: float
) -> int | None:
    """The least n' in (n, 16 n] at which the expected gain is no longer positive, to a hundredth.

    None where there is none, or no gain to lose.
    """
    if gain <= 0:
        return None
    low, high = math.log(situation.num_rows), math.log(FURTHEST * situation.num_rows)
    if gain_at(line, evidence, situation, gain, math.exp(high)) > 0:
        return None
    while high - low > 0.01:
        middle = (low + high) / 2
        low, high = (
            (middle, high)
            if gain_at(line, evidence, situation, gain, math.exp(middle)) > 0
            else (low, middle)
        )
    return round(math.exp(high))


def _share(value: float) -> float:
    return min(max(value, 0.0), 1.0)


def _within(interval: Interval, low: float, high: float) -> Interval:
    cut = [min(max(end, low), high) for end in (interval.value, interval.low, interval.high)]
    return Interval(cut[0], cut[1], cut[2], interval.level)
