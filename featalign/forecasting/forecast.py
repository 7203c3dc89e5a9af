"""The forecast from evidence: both arms, the gain between them, and the gain at other n."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from featalign.forecasting.calibration import Calibration, Lines
from featalign.forecasting.line import LEVEL, Line
from featalign.forecasting.logits import drawing_variance, logit, share_of
from featalign.forecasting.predictors import (
    accuracy_base,
    accuracy_predictors,
    arm_predictors,
    gain_predictors,
    growth_predictors,
)
from featalign.forecasting.situation import Anchor, Short, Situation
from featalign.records.evidence import Evidence
from featalign.records.forecast import Forecast, Tier
from featalign.records.interval import Interval
from featalign.wilson import NORMAL

CURVE = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # sizes of the curve, times n
Predict = Callable[[Mapping[str, float]], float]
BOTH_SIDES = 0.6  # the level of an interval whose lower end is exceeded in 80% of cases


@dataclass(frozen=True)
class Expected:
    """Both arms in log-odds: scratch, and how much the source adds to it."""

    scratch: float
    added: float

    @property
    def gain(self) -> float:
        """The gain in accuracy."""
        return self.gain_of(self.added)

    def gain_of(self, added: float) -> float:
        """The gain in accuracy of something else that is added to scratch."""
        return float(share_of(self.scratch + added) - share_of(self.scratch))


def make_forecast(
    evidence: Evidence,
    situation: Situation,
    calibration: Calibration,
    *,
    short: Short | None = None,
    anchor: Anchor | None = None,
) -> Forecast:
    """The forecast from evidence, and from what was trained where there is some; see `Forecast`.

    In log-odds z, z(accuracy) = line(scores of the source, log n) and z(accuracy) - z(scratch) =
    line(differences to the random twins, log n); the gain is the difference of the two accuracies.
    So both lie between 0 and 1, and a gain leaves what there is to gain. With an `anchor` scratch
    is what was measured, as far as it had many test rows, and the second line also knows how far
    the first one is from that. Where held-out rows are of another kind, both accuracies move by the
    shift, and their intervals are wider by as much. Intervals are conformal: that of the gain is
    one of the difference in log-odds.

    >>> from featalign.forecasting.calibration import shipped_calibration
    >>> own = {"linear_probe": 0.9, "lda": 0.7, "tangent_probe": 0.9}
    >>> twins = {"linear_probe": 0.5, "lda": 0.3, "tangent_probe": 0.6}
    >>> evidence = Evidence(capability="gradients", own=own, twins=twins)
    >>> found = make_forecast(evidence, Situation(300, 10), shipped_calibration())
    >>> found.gain.value > 0 and found.negative_transfer_probability < 0.5
    True
    """
    capability = evidence.capability
    used = short if capability == "gradients" else None
    tier: Tier = "anchor" if anchor is not None else "cache" if used is None else "short"
    known = evidence.advantage is not None and not math.isnan(evidence.advantage)
    share = used.share if used is not None and tier == "short" else None
    lines = calibration.lines_of(capability, tier=tier, share=share, known=known)
    levels = accuracy_predictors(evidence, situation, used)
    foretold = accuracy_base(evidence, situation) + lines.level.predict(levels) + situation.shift
    start = lead = None
    if anchor is not None:
        plain = calibration.lines_of(capability, known=known)
        without = foretold - plain.gain.predict(gain_predictors(evidence, situation, capability))
        start = _anchored(anchor, without, plain.scratch.scale(situation.size))
        lead = foretold - start.value
    predictors = gain_predictors(evidence, situation, capability, used, lead)
    added = lines.gain.predict(predictors)
    expected = Expected(foretold - added if start is None else start.value, added)
    size, wider = situation.size, lines.gain.widening(predictors)
    apart = max(wider, lines.level.widening(levels))
    half = lines.gain.half_width(size) * wider
    weighed = arm_predictors(evidence, situation, capability)
    return Forecast(
        tier=tier,
        capability=capability,
        accuracy=_arm(lines.accuracy, expected.scratch + added, situation, apart),
        scratch_accuracy=(
            _arm(lines.scratch, expected.scratch, situation, apart)
            if start is None
            else _share(start)
        ),
        gain=_gain(expected, half),
        negative_transfer_probability=lines.gain.probability_below(
            added, 0.0, size, widening=wider
        ),
        gain_by_size={
            round(times * situation.num_rows): _gain_at(lines, situation, expected, half, times)
            for times in CURVE
        },
        parts=dict(lines.gain.parts(predictors)),
        arms={
            arm: line.interval(line.predict(weighed), size, level=BOTH_SIDES).low
            for arm, line in lines.arms.items()
        },
        num_data_sets=lines.gain.num_groups,
        distance=max(
            _relative(lines.gain.distance(predictors), lines.gain.farthest),
            _relative(lines.level.distance(levels), lines.level.farthest),
        ),
    )


def expected_at(lines: Lines, situation: Situation, expected: Expected, size: float) -> Expected:
    """Both arms at another number of rows."""
    scratch, added = expected.scratch, expected.added
    return Expected(
        scratch + _change(lines.growth.predict, situation, size, scratch),
        added + _change(lines.drift.predict, situation, size, added),
    )


def _change(predict: Predict, situation: Situation, size: float, level: float) -> float:
    here = predict(growth_predictors(situation, situation.num_rows, level))
    return predict(growth_predictors(situation, size, level)) - here


def _gain_at(
    lines: Lines, situation: Situation, expected: Expected, half: float, times: float
) -> Interval:
    """The gain at a multiple of n.

    Its interval is that at n, wider as the errors of the drift grow with log(size / n).
    """
    there = expected_at(lines, situation, expected, times * situation.num_rows)
    grown = lines.drift.scale(abs(math.log(times))) / lines.drift.scale(0.0)
    return _gain(there, half * max(grown, 1.0))


def _gain(expected: Expected, half: float) -> Interval:
    low, high = (expected.gain_of(expected.added + side * half) for side in (-1, 1))
    return Interval(value=expected.gain, low=low, high=high, level=LEVEL)


def _arm(line: Line, value: float, situation: Situation, widening: float) -> Interval:
    """An accuracy with its interval, which a shift makes as much wider to both sides."""
    half = line.half_width(situation.size) * widening + abs(situation.shift)
    return _share(Interval(value=value, low=value - half, high=value + half, level=LEVEL))


def _share(log_odds: Interval) -> Interval:
    value, low, high = (
        float(share_of(each)) for each in (log_odds.value, log_odds.low, log_odds.high)
    )
    return Interval(value=value, low=low, high=high, level=log_odds.level)


def _anchored(anchor: Anchor, foretold: float, deviation: float) -> Interval:
    """The log-odds of a trained scratch, given what was foretold and how far that is usually off.

    The two are weighed by their variances. A share p of m test rows has 1 / (m p (1 - p)).
    """
    measured = float(logit(anchor.accuracy, anchor.num_test))
    drawn = drawing_variance(anchor.accuracy, anchor.num_test)
    weight = deviation**2 / (deviation**2 + drawn)
    value = foretold + weight * (measured - foretold)
    half = NORMAL * math.sqrt(weight * drawn)
    return Interval(value=value, low=value - half, high=value + half, level=LEVEL)


def _relative(distance: float, farthest: float) -> float:
    return distance / farthest if farthest > 0 else 0.0
