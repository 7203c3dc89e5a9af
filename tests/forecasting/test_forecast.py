"""The forecast from a calibration made by hand.

This tests sums in log-odds, bounds, order, anchors, and what happens at other sizes.
"""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from featalign.forecasting.calibration import Calibration, Fitted
from featalign.forecasting.forecast import CURVE, Expected, expected_at, make_forecast
from featalign.forecasting.situation import Anchor, Short, Situation
from featalign.records.evidence import Evidence
from featalign.records.forecast import Forecast
from featalign.records.interval import Interval
from featalign.records.plain import from_plain, to_plain
from tests.forecasting.examples import (
    exact,
    lacking,
    made_calibration,
    made_line,
    made_lines,
    odds,
    world,
)

HERE = Situation(400, 4)
BARE = Evidence(capability="features", own={"linear_probe": 0.2, "knn": 0.3})


def evidence_of(gain, accuracy=0.5, **more):
    """A source whose linear probe reaches log-odds of `accuracy`.

    Its tangent probe has `gain` over its twins, and its linear probe has 0.25 over them.
    """
    return Evidence(
        capability="gradients",
        own={
            "linear_probe": exact(accuracy, 400),
            "tangent_probe": exact(0.4 + gain, 400),
            **more,
        },
        twins={"linear_probe": exact(accuracy - 0.25, 400), "tangent_probe": exact(0.4, 400)},
        reference=0.4,
    )


def without_gradients(evidence):
    return replace(lacking(evidence, "tangent_probe"), capability="twins")


def forecast_of(gain, accuracy=0.5, calibration=None, **more):
    return make_forecast(
        evidence_of(gain, accuracy), HERE, calibration or made_calibration(), **more
    )


def between(value, low, high):
    """An interval whose ends are log-odds."""
    ends = [float(expit(each)) for each in (value, low, high)]
    return dict(zip(("value", "low", "high"), map(pytest.approx, ends), strict=True))


def ends_of(interval):
    return {name: getattr(interval, name) for name in ("value", "low", "high")}


def test_it_is_what_the_lines_say():
    """Both arms in log-odds; the gain is their difference in accuracy, with scratch held still."""
    found = forecast_of(0.3)
    assert (found.tier, found.capability) == ("cache", "gradients")
    assert ends_of(found.accuracy) == between(0.5, 0.4, 0.6)
    assert ends_of(found.scratch_accuracy) == between(0.2, 0.1, 0.3)
    gains = [expit(0.2 + added) - expit(0.2) for added in (0.3, 0.2, 0.4)]
    assert list(ends_of(found.gain).values()) == pytest.approx(gains)
    assert {
        interval.level for interval in (found.gain, found.accuracy, found.scratch_accuracy)
    } == {0.9}
    assert found.negative_transfer_probability == pytest.approx(1 / 2 / 6)  # of five data sets
    assert found.num_data_sets == 5
    lines = made_calibration().lines_of("gradients")
    wanted = {"probe": -0.04, "probe_then_full": 0.002}
    exceeded = {
        arm: lines.arms[arm].interval(value, HERE.size, level=0.6).low
        for arm, value in wanted.items()
    }
    assert found.arms == pytest.approx(exceeded)
    assert all(exceeded[arm] < wanted[arm] for arm in wanted)
    assert dict(found.parts) == pytest.approx({"tangent_probe": 0.3, "linear_probe": 0.0})


@pytest.mark.parametrize("accuracy", [-5.0, -1.0, 0.0, 1.0, 5.0])
def test_accuracy_is_scratch_and_gain_together_and_all_keep_between_0_and_1(accuracy):
    for gain in np.linspace(-4, 4, 25):
        found = forecast_of(float(gain), accuracy)
        assert found.accuracy.value == pytest.approx(
            found.scratch_accuracy.value + found.gain.value, abs=1e-12
        )
        for interval, low in ((found.accuracy, 0), (found.scratch_accuracy, 0), (found.gain, -1)):
            assert low < interval.low < interval.value < interval.high < 1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_scores_at_the_ends_make_a_forecast_too(share):
    own = {"linear_probe": share, "tangent_probe": share}
    evidence = replace(evidence_of(0.0), own=own, reference=1 - share)
    found = make_forecast(evidence, HERE, made_calibration())
    for interval in (found.accuracy, found.scratch_accuracy):
        assert 0 < interval.low <= interval.value <= interval.high < 1


def test_near_the_top_the_same_log_odds_are_fewer_points():
    """So there is never more to gain than what scratch leaves."""
    found = [forecast_of(1.0, accuracy).gain.value for accuracy in (0.5, 2.0, 4.0)]
    assert found[0] > 1.5 * found[1] > 6 * found[2] > 0


def test_more_evidence_means_more_gain_and_less_risk():
    found = [forecast_of(float(gain)) for gain in np.linspace(-0.3, 0.5, 60)]
    assert np.all(np.diff([each.gain.value for each in found]) > 0)
    assert np.all(np.diff([each.scratch_accuracy.value for each in found]) < 0)
    assert [each.accuracy.value for each in found] == pytest.approx([found[0].accuracy.value] * 60)
    risks = [each.negative_transfer_probability for each in found]
    assert np.all(np.diff(risks) <= 0)
    assert risks[0] > 0.8 > 0.2 > risks[-1]


def test_sources_without_gradients_take_lines_of_their_own():
    evidence = evidence_of(0.5)
    fewer = without_gradients(evidence)
    every = [make_forecast(each, HERE, made_calibration()) for each in (evidence, fewer, BARE)]
    assert [each.capability for each in every] == ["gradients", "twins", "features"]
    added = [odds(exact(0.2), 400), 0.25, odds(0.2, 400)]
    assert [dict(each.parts)["linear_probe"] for each in every[1:]] == pytest.approx(added[1:])
    low, high = (
        expit(0.5) - expit(0.25),
        expit(odds(0.2, 400)) - expit(0.0),
    )  # what the probe of BARE reaches is taken for both the accuracy and the gain
    assert [each.gain.value for each in every[1:]] == pytest.approx([low, high])
    halves = [
        odds_of(each.scratch_accuracy.value + each.gain.high) - odds_of(each.accuracy.value)
        for each in every
    ]
    assert halves == pytest.approx([0.1, 0.2, 0.2])


def odds_of(share):
    return math.log(share / (1 - share))


def test_without_a_reference_the_accuracy_starts_at_the_linear_probe():
    lost = replace(evidence_of(0.3), reference=None)
    found = make_forecast(lost, HERE, made_calibration())
    assert odds_of(found.accuracy.value) == pytest.approx(0.5)
    other = made_calibration(level=made_line({}, intercept=0.2))
    found = make_forecast(lost, HERE, other)
    assert odds_of(found.accuracy.value) == pytest.approx(0.7)


def test_short_runs_take_the_lines_of_their_share_and_are_left_out_where_there_are_none():
    short = Short(0.28, exact(0.9, 400), 0.5, exact(0.4, 400), 1.0)
    found = forecast_of(0.1, short=short)
    assert (found.tier, found.capability) == ("short", "gradients")
    assert odds_of(found.accuracy.value) == pytest.approx(0.5)
    assert odds_of(found.scratch_accuracy.value) == pytest.approx(0.5 - (0.5 * 0.1 + 0.5 * 0.5))
    assert odds_of(found.scratch_accuracy.value + found.gain.high) == pytest.approx(0.55)
    fewer = without_gradients(evidence_of(0.1))
    twins = make_forecast(fewer, HERE, made_calibration(), short=short)
    assert (twins.tier, twins.capability) == ("cache", "twins")
    assert twins == make_forecast(fewer, HERE, made_calibration())


def weighed(anchor, foretold, deviation=1.0):
    """The mean of what was foretold and what was measured, each by its precision, by the letter."""
    hits, misses = anchor.accuracy * anchor.num_test, (1 - anchor.accuracy) * anchor.num_test
    measured = math.log((hits + 0.5) / (misses + 0.5))
    share = (hits + 0.5) / (anchor.num_test + 1)
    precisions = 1 / deviation**2, anchor.num_test * share * (1 - share)
    mean = (precisions[0] * foretold + precisions[1] * measured) / sum(precisions)
    return mean, 1 / math.sqrt(sum(precisions))


@pytest.mark.parametrize("measured", [-1.0, 0.2, 1.5])
def test_a_trained_scratch_is_scratch_and_moves_the_gain(measured):
    """Half of the gain is here what the accuracy is foretold over scratch, wherever that is."""
    anchor = Anchor(exact(measured), 250)
    found = forecast_of(0.3, anchor=anchor)
    start, deviation = weighed(anchor, 0.2)
    assert start == pytest.approx(measured, abs=0.06)
    added = 0.5 * 0.3 + 0.5 * (0.5 - start)
    assert found.tier == "anchor"
    ends = (start + side * 1.6448536 * deviation for side in (-1, 0, 1))
    told = found.scratch_accuracy
    assert (told.low, told.value, told.high) == pytest.approx([expit(each) for each in ends])
    assert told.level == 0.9
    assert odds_of(found.accuracy.value) == pytest.approx(start + added)
    assert found.gain.value == pytest.approx(expit(start + added) - expit(start))
    assert found.accuracy.value == pytest.approx(told.value + found.gain.value)
    half = odds_of(expit(start) + found.gain.high) - start - added
    assert half == pytest.approx(0.05)  # the lines of the anchor are narrower
    parts = {"tangent_probe": 0.15, "expected less scratch": 0.5 * (0.5 - start)}
    assert dict(found.parts) == pytest.approx(parts)


def test_a_scratch_that_is_as_foretold_leaves_the_forecast_where_it_is():
    cache = forecast_of(0.3)
    found = forecast_of(0.3, anchor=Anchor(exact(0.2), 1000))
    for name in ("accuracy", "scratch_accuracy", "gain"):
        assert getattr(found, name).value == pytest.approx(getattr(cache, name).value, abs=0.0005)
    higher = forecast_of(0.3, anchor=Anchor(exact(1.2), 1000))
    assert higher.gain.value < found.gain.value
    assert higher.negative_transfer_probability > found.negative_transfer_probability
    assert found.accuracy.value < higher.accuracy.value  # half the surprise is the accuracy's too


def test_few_test_rows_move_the_forecast_less_than_many():
    starts = [
        odds_of(forecast_of(0.3, anchor=Anchor(0.9, rows)).scratch_accuracy.value)
        for rows in (1, 10, 100, 1000)
    ]
    assert 0.2 < starts[0] < starts[1] < starts[2] < starts[3] < odds_of(0.9)
    assert starts[0] < 0.5
    assert starts[3] == pytest.approx(odds_of(0.9), abs=0.03)


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_a_scratch_of_no_hit_or_no_miss_is_an_anchor_too(accuracy):
    found = forecast_of(0.3, anchor=Anchor(accuracy, 40))
    told = found.scratch_accuracy
    assert 0 < told.low < told.value < told.high < 1
    assert abs(told.value - accuracy) < 0.25
    assert -1 <= found.gain.low < found.gain.value < found.gain.high <= 1


def test_fewer_test_rows_leave_a_measured_scratch_more_open():
    widths = [
        np.ptp([found.low, found.high])
        for rows in (20, 200, 1000)
        for found in [forecast_of(0.3, anchor=Anchor(0.55, rows)).scratch_accuracy]
    ]
    assert widths[0] > 2 * widths[1] > 4 * widths[2]


def far_lines():
    """Lines that know how predictors scattered: by 1, around 0."""
    level, gain = made_line({"linear_probe": 1.0}), made_line({"tangent_probe": 1.0})
    return made_calibration(
        level=replace(level, precision=((1.0,),), farthest=4.0),
        gain=replace(gain, precision=((1.0,),), farthest=9.0),
    )


@pytest.mark.parametrize(("gain", "accuracy"), [(0.3, 0.5), (6.0, 0.5), (0.3, 6.0), (5.0, 6.0)])
def test_evidence_unlike_the_study_has_wider_intervals(gain, accuracy):
    """The gain's by its own predictors, those of both arms by whichever are farther."""
    found = forecast_of(gain, accuracy, far_lines())
    base = odds(0.4, 400)
    squares = {"gain": gain**2, "level": (accuracy - base) ** 2}
    wider = {
        name: math.sqrt(max(1.0, (1 + (1 + square) / 5) / (1 + 2 / 5)))
        for name, square in squares.items()
    }
    apart = 0.1 * max(wider.values())
    scratch = accuracy - gain
    assert ends_of(found.accuracy) == between(accuracy, accuracy - apart, accuracy + apart)
    assert ends_of(found.scratch_accuracy) == between(scratch, scratch - apart, scratch + apart)
    high = expit(accuracy + 0.1 * wider["gain"]) - expit(scratch)
    assert found.gain.high == pytest.approx(high)
    assert found.distance == pytest.approx(max(squares["gain"] / 9, squares["level"] / 4))


def test_where_it_is_wider_it_is_less_sure():
    lines = far_lines().lines_of("gradients")
    plain = replace(lines, gain=made_line({"tangent_probe": 1.0}, intercept=-5.93))
    far = replace(lines, gain=replace(lines.gain, intercept=-5.93))
    near, wide = (
        forecast_of(6.0, 0.5, Calibration(fitted=(Fitted(capability="gradients", lines=each),)))
        for each in (plain, far)
    )
    assert near.gain.value == pytest.approx(wide.gain.value)
    assert near.negative_transfer_probability < wide.negative_transfer_probability < 0.5


def test_lines_that_know_no_scatter_call_nothing_far():
    found = forecast_of(50.0, -20.0)
    assert found.distance == 0


def test_at_n_the_curve_is_the_forecast():
    steep = replace(made_line({"ratio": -1.0}, intercept=5.0), scale_slope=0.7, scale_start=3.0)
    for calibration in (made_calibration(), made_calibration(drift=steep, growth=steep)):
        found = forecast_of(0.3, calibration=calibration)
        assert list(found.gain_by_size) == [round(share * 400) for share in CURVE]
        here = found.gain_by_size[400]
        assert (here.value, here.low, here.high) == pytest.approx(
            (found.gain.value, found.gain.low, found.gain.high), abs=1e-12
        )
        lines, expected = calibration.lines_of("gradients"), Expected(0.2, 0.3)
        there = expected_at(lines, HERE, expected, 400)
        assert (there.scratch, there.added) == pytest.approx((0.2, 0.3))


def test_scratch_grows_and_the_gain_falls_as_the_lines_say():
    found = forecast_of(0.3)
    for size, gain in found.gain_by_size.items():
        ratio = math.log(size / 400)
        scratch, added = 0.2 + 0.3 * ratio, 0.3 - 0.2 * ratio
        for told, moved in ((gain.value, 0.0), (gain.low, -0.1), (gain.high, 0.1)):
            assert told == pytest.approx(expit(scratch + added + moved) - expit(scratch))


def test_what_is_high_may_grow_otherwise():
    growth = made_line({"ratio": 0.3, "ratio x level": -0.5})
    drift = made_line({"ratio": 0.0, "ratio x level": -0.25})
    lines = made_calibration(growth=growth, drift=drift).lines_of("gradients")
    there = expected_at(lines, HERE, Expected(0.2, 0.4), 1600)
    assert there.scratch == pytest.approx(0.2 + (0.3 - 0.5 * 0.2) * math.log(4))
    assert there.added == pytest.approx(0.4 - 0.25 * 0.4 * math.log(4))


@pytest.mark.parametrize(("slope", "wider"), [(0.5, 2.0), (0.0, 1.0), (-0.5, 1.0)])
def test_its_band_is_wider_far_from_n_and_never_narrower(slope, wider):
    """At a quarter and at four times n, as the errors of the drift grow: by 4 ** slope."""
    drift = replace(made_line({"ratio": 0.0}), scale_slope=slope)
    flat = made_line({"ratio": 0.0})
    found = forecast_of(0.3, calibration=made_calibration(drift=drift, growth=flat))
    for size in (100, 1600):
        gain = found.gain_by_size[size]
        assert gain.value == pytest.approx(found.gain.value)
        high = expit(0.5 + 0.1 * wider) - expit(0.2)
        assert gain.high == pytest.approx(high)


def test_it_is_plain_data():
    found = forecast_of(0.3, anchor=Anchor(0.5, 100))
    record = json.loads(json.dumps(to_plain(found), allow_nan=False))
    assert record["gain"] == vars(found.gain)
    assert list(map(int, record["gain_by_size"])) == list(found.gain_by_size)
    assert record["gain_by_size"]["100"]["value"] == found.gain_by_size[100].value
    assert record["parts"] == found.parts
    assert (record["tier"], record["capability"]) == ("anchor", "gradients")
    assert from_plain(Forecast, record) == found


def test_a_calibration_without_arms_forecasts_none():
    lines = replace(made_lines(), arms={})
    without = Calibration(fitted=(Fitted(capability="gradients", lines=lines),))
    assert make_forecast(evidence_of(0.1), HERE, without).arms == {}


def test_what_fresh_weights_reach_may_be_missing():
    """There may be too few rows for a tangent probe of the twins.

    The forecast has numbers all the same, or none at all, and never one that is not a number.
    """
    lost = replace(
        lacking(evidence_of(0.1), "tangent_probe", twins=("tangent_probe",)), reference=None
    )
    for anchor in (None, Anchor(0.4, 50)):
        found = make_forecast(
            replace(lost, capability="features"), HERE, made_calibration(), anchor=anchor
        )
        intervals = [each for each in vars(found).values() if isinstance(each, Interval)]
        assert len(intervals) == 3
        ends = [end for each in intervals for end in (each.value, each.low, each.high)]
        assert all(map(math.isfinite, (*ends, found.negative_transfer_probability)))


def test_known_sources_take_the_lines_for_such_ones():
    known = Fitted(
        capability="gradients", known=True, lines=made_lines(gain=made_line({"known advantage": 2}))
    )
    calibration = Calibration(fitted=(*made_calibration().fitted, known))
    example = world(targets=1, sources=1, sizes=(400,))[0]
    for advantage, by_it in ((None, False), (math.nan, False), (0.1, True)):
        evidence = replace(example.evidence, advantage=advantage)
        found = make_forecast(evidence, example.situation, calibration)
        assert ("known advantage" in found.parts) == by_it
