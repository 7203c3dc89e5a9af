"""The forecast from evidence: both arms, the gain between them, and the gain at other n."""

import math

from featalign.forecasting.calibration import LEVEL, Calibration, Line
from featalign.forecasting.predictors import (
    Short,
    Situation,
    arm_predictors,
    drift_predictors,
    gain_predictors,
    scratch_base,
    scratch_predictors,
)
from featalign.records.evidence import Evidence
from featalign.records.forecast import Forecast, Tier
from featalign.records.interval import Interval

CURVE = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # sizes of the curve, times n
FURTHEST = CURVE[-1]
BOTH_SIDES = 0.6  # the level of an interval whose lower end is exceeded in 80% of cases


def make_forecast(
    evidence: Evidence,
    situation: Situation,
    calibration: Calibration,
    short: Short | None = None,
) -> Forecast:
    """The forecast from evidence, and from short runs where there are some; see `Forecast`.

    gain = line(differences to the random twins, times 1 and log n); scratch = what twins reach +
    line(log n); accuracy = scratch + gain. Intervals are conformal. For sources of the study, they
    held 90% of the targets that were left out of the calibration. For other sources, they held 90%
    of the pairs of networks made elsewhere, where the calibration was fitted with such pairs.

    >>> from featalign.forecasting.calibration import shipped_calibration
    >>> own = {"linear_probe": 0.9, "logme": 0.2, "lda": 0.7, "tangent_probe": 0.9}
    >>> twins = {"linear_probe": 0.5, "logme": -0.1, "lda": 0.3, "tangent_probe": 0.6}
    >>> evidence = Evidence(capability="gradients", own=own, twins=twins)
    >>> found = make_forecast(evidence, Situation(300, 10), shipped_calibration())
    >>> found.gain.value > 0 and found.negative_transfer_probability < 0.5
    True
    """
    capability = evidence.capability
    used = short if capability == "gradients" else None
    tier: Tier = "cache" if used is None else "short"
    known = evidence.advantage is not None and not math.isnan(evidence.advantage)
    share = None if used is None else used.share
    lines = calibration.lines_of(capability, share=share, known=known)
    predictors = gain_predictors(evidence, situation, capability, used)
    value, size = lines.gain.predict(predictors), situation.size
    scratch = _share(
        scratch_base(evidence, capability, used)
        + lines.scratch.predict(scratch_predictors(evidence, situation, capability))
    )
    value = within_headroom(value, scratch)
    accuracy = _share(scratch + value)
    gain = lines.gain.interval(value, size)
    by_size = {
        round(times * situation.num_rows): _at(lines.drift, evidence, situation, gain, times)
        for times in CURVE
    }
    weighed = arm_predictors(evidence, situation, capability)
    arms = {
        arm: line.interval(line.predict(weighed), size, level=BOTH_SIDES).low
        for arm, line in lines.arms.items()
    }
    return Forecast(
        tier=tier,
        capability=capability,
        accuracy=_within(lines.accuracy.interval(accuracy, size), 0.0, 1.0),
        scratch_accuracy=_within(lines.scratch.interval(scratch, size), 0.0, 1.0),
        gain=_within(gain, -1.0, 1.0),
        negative_transfer_probability=lines.gain.probability_below(value, 0.0, size),
        gain_by_size=by_size,
        catches_up=_catches_up(lines.drift, evidence, situation, value),
        parts=dict(lines.gain.parts(predictors)),
        arms=arms,
    )


def within_headroom(gain: float, scratch: float) -> float:
    """A gain that leaves accuracy between 0 and 1.

    Let h be half of what scratch leaves to gain. A gain up to h stays as it is, and a larger one
    becomes 2 h - h exp(1 - gain / h). A loss is at most what scratch reaches.

    >>> within_headroom(0.05, 0.5), round(within_headroom(0.5, 0.9), 3), within_headroom(-0.1, 0.9)
    (0.05, 0.1, -0.1)
    """
    half = (1 - scratch) / 2
    if gain <= half:
        return max(gain, -scratch)
    return half - half * math.expm1(1 - gain / half) if half > 0 else 0.0


def gain_at(
    line: Line, evidence: Evidence, situation: Situation, gain: float, size: float
) -> float:
    """The gain expected at another number of rows."""
    here = line.predict(drift_predictors(evidence, situation, gain, situation.num_rows))
    return gain + line.predict(drift_predictors(evidence, situation, gain, size)) - here


def _at(
    line: Line, evidence: Evidence, situation: Situation, gain: Interval, share: float
) -> Interval:
    """The gain at a multiple of n, with an interval no narrower than that at n."""
    value = gain_at(line, evidence, situation, gain.value, share * situation.num_rows)
    half = max(
        (gain.high - gain.low) / 2,
        (found := line.interval(0.0, abs(math.log(share)))).high - found.value,
    )
    around = Interval(value=value, low=value - half, high=value + half, level=LEVEL)
    return _within(around, -1.0, 1.0)


def _catches_up(line: Line, evidence: Evidence, situation: Situation, gain: float) -> int | None:
    """The least n' in (n, 16 n] at which the expected gain is no longer positive, to a hundredth.

    It is None where there is no such n', and where there is no gain to lose.
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
    return Interval(
        value=min(max(interval.value, low), high),
        low=min(max(interval.low, low), high),
        high=min(max(interval.high, low), high),
        level=interval.level,
    )
