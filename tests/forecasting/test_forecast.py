"""The forecast from a calibration made by hand.

This tests sums, bounds, order, and what happens at other sizes.
"""

import json
import math

import numpy as np
import pytest

from featalign.forecasting.forecast import CURVE, gain_at, make_forecast, within_headroom
from featalign.forecasting.predictors import Short, Situation
from tests.forecasting.examples import made_calibration, made_line, made_lines

HERE = Situation(400, 4)
TANGENT = ("tangent_probe", "twin tangent_probe", "reference tangent_probe")


def evidence_of(tangent, scratch=0.4, **more):
    """A source whose tangent probe is `tangent` over its twins, which reach `scratch`."""
    found = {
        "linear_probe": 0.5,
        "twin linear_probe": 0.5,
        "tangent_probe": scratch + tangent,
        "twin tangent_probe": scratch,
    }
    return found | {"reference tangent_probe": scratch} | more


def forecast_of(tangent, scratch=0.4, calibration=None, **more):
    return make_forecast(
        evidence_of(tangent, scratch, **more), HERE, calibration or made_calibration()
    )


def test_it_is_what_the_lines_say():
    found = forecast_of(0.12)
    assert (found.tier, found.kind) == ("cache", "differentiable")
    assert (found.gain.value, found.gain.low, found.gain.high) == pytest.approx((0.12, 0.02, 0.22))
    assert (
        found.scratch_accuracy.value,
        found.scratch_accuracy.low,
        found.scratch_accuracy.high,
    ) == pytest.approx((0.4, 0.3, 0.5))
    assert (found.accuracy.value, found.accuracy.low, found.accuracy.high) == pytest.approx(
        (0.52, 0.42, 0.62)
    )
    assert {
        interval.level for interval in (found.gain, found.accuracy, found.scratch_accuracy)
    } == {0.9}
    assert found.negative_transfer_probability == pytest.approx(1 / 7)
    lines = made_calibration().lines["differentiable"]
    wanted = {"probe": -0.04, "probe_then_full": 0.002}
    exceeded = {
        arm: lines[f"{arm} less full"].interval(value, HERE.size, level=0.6).low
        for arm, value in wanted.items()
    }
    assert found.arms == pytest.approx(exceeded)
    assert all(exceeded[arm] < wanted[arm] for arm in wanted)
    assert dict(found.parts) == pytest.approx({"tangent_probe": 0.12, "linear_probe": 0.0})


@pytest.mark.parametrize("scratch", [0.05, 0.3, 0.6, 0.9, 0.99])
def test_accuracy_is_scratch_and_gain_together(scratch):
    for tangent in np.linspace(-0.04, 0.9, 25):
        found = forecast_of(float(tangent), scratch)
        assert found.accuracy.value == pytest.approx(
            found.scratch_accuracy.value + found.gain.value, abs=1e-9
        )
        assert found.accuracy.value < 1 or tangent > 5 * (1 - scratch)
        for interval, low in ((found.accuracy, 0), (found.scratch_accuracy, 0), (found.gain, -1)):
            assert low <= interval.low <= interval.value <= interval.high <= 1


@pytest.mark.parametrize(("tangent", "scratch"), [(-0.3, 0.05), (0.2, 1.0), (-0.02, 0.0)])
def test_at_the_ends_they_add_up_too(tangent, scratch):
    """Accuracies lie between 0 and 1, whatever the lines say.

    A loss is no more than what scratch reaches, a gain no more than what it leaves.
    """
    found = forecast_of(tangent, scratch)
    assert 0 <= found.accuracy.value <= 1
    assert found.accuracy.value == pytest.approx(
        found.scratch_accuracy.value + found.gain.value, abs=1e-9
    )


def test_headroom_keeps_order_and_what_is_small():
    for scratch in (0.0, 0.3, 0.8, 0.97):
        raw = np.linspace(-scratch, 3, 701)
        gains = np.array([within_headroom(float(gain), scratch) for gain in raw])
        room = 1 - scratch
        assert (
            within_headroom(-scratch - 0.1, scratch) == -scratch
        )  # a loss is no more than what scratch reaches
        assert np.all(np.diff(gains) >= 0)
        assert np.all(np.diff(gains)[raw[1:] < 4 * room] > 0)
        np.testing.assert_array_equal(gains[raw <= room / 2], raw[raw <= room / 2])
        assert gains.max() <= room
        assert np.abs(np.diff(gains, 2)).max() < 2e-4 / room  # no corner where it begins to bend


def test_more_evidence_means_more_gain_and_less_risk():
    found = [forecast_of(float(tangent)) for tangent in np.linspace(-0.3, 0.5, 60)]
    assert np.all(np.diff([each.gain.value for each in found]) > 0)
    assert np.all(np.diff([each.accuracy.value for each in found]) > 0)
    risks = [each.negative_transfer_probability for each in found]
    assert np.all(np.diff(risks) <= 0)
    assert risks[0] > 0.8 > 0.2 > risks[-1]


def test_sources_without_gradients_take_lines_of_their_own():
    gradients = forecast_of(0.2, linear_probe=0.6)
    black_box = forecast_of(0.2, linear_probe=0.6, tangent_probe=None)
    bare = {"linear_probe": 0.2, "knn": 0.3}
    alone = make_forecast(bare, HERE, made_calibration())
    assert [each.kind for each in (gradients, black_box, alone)] == [
        "differentiable",
        "black box",
        "features alone",
    ]
    assert [each.gain.value for each in (gradients, black_box, alone)] == pytest.approx(
        [0.2, 0.1, 0.2]
    )
    widths = [each.gain.high - each.gain.low for each in (gradients, black_box, alone)]
    assert widths == pytest.approx([0.2, 0.4, 0.4])
    assert alone.scratch_accuracy.value == pytest.approx(0.2)


def test_short_runs_take_the_lines_of_their_share_and_are_left_out_where_there_are_none():
    short = Short(0.28, 0.7, 0.5, 0.4, 1.0)
    found = make_forecast(evidence_of(0.1), HERE, made_calibration(), short)
    assert (found.tier, found.kind) == ("short", "differentiable")
    assert found.gain.value == pytest.approx(0.5 * 0.1 + 0.5 * 0.3)
    assert found.gain.high - found.gain.low == pytest.approx(0.1)
    assert found.scratch_accuracy.value == pytest.approx(0.4)
    black_box = make_forecast(evidence_of(0.1, tangent_probe=None), HERE, made_calibration(), short)
    assert (black_box.tier, black_box.kind) == ("cache", "black box")
    assert black_box == make_forecast(
        evidence_of(0.1, tangent_probe=None), HERE, made_calibration()
    )


def test_at_n_the_curve_is_the_forecast():
    found = forecast_of(0.12)
    sizes = [size for size, _ in found.gain_by_size]
    assert sizes == [round(share * 400) for share in CURVE]
    here = dict(found.gain_by_size)[400]
    assert here.value == pytest.approx(found.gain.value, abs=1e-12)
    assert (here.low, here.high) == pytest.approx((found.gain.low, found.gain.high))
    for evidence in (evidence_of(0.12), {"linear_probe": 0.2}):
        assert gain_at(
            made_line({"ratio": -1.0, "curves": 2.0}, intercept=5.0), evidence, HERE, 0.12, 400
        ) == pytest.approx(0.12, abs=1e-12)


def test_the_curve_falls_as_the_drift_says_and_its_band_is_no_narrower_than_here():
    drift = made_line({"ratio": -0.05}, residuals=tuple(np.linspace(-0.3, 0.3, 19)))
    for calibration in (made_calibration(), made_calibration(drift=drift)):
        found = forecast_of(0.12, calibration=calibration)
        for size, gain in found.gain_by_size:
            assert gain.value == pytest.approx(0.12 - 0.05 * math.log(size / 400))
            assert gain.high - gain.low >= found.gain.high - found.gain.low - 1e-12
            assert -1 <= gain.low <= gain.value <= gain.high <= 1
    assert gain.high - gain.low == pytest.approx(0.6)


@pytest.mark.parametrize("tangent", [0.005, 0.03, 0.08, 0.13])
def test_scratch_catches_up_where_the_gain_is_used_up(tangent):
    assert forecast_of(tangent).catches_up == pytest.approx(
        400 * math.exp(tangent / 0.05), rel=0.011
    )


def test_scratch_does_not_catch_up_with_a_loss_or_beyond_sixteen_times_n():
    assert 0.05 * math.log(16) == pytest.approx(0.1386, abs=1e-4)
    assert forecast_of(0.139).catches_up is None
    assert forecast_of(0.138).catches_up is not None
    assert forecast_of(-0.01).catches_up is None
    assert forecast_of(0.0).catches_up is None
    assert (
        forecast_of(0.1, calibration=made_calibration(drift=made_line({"ratio": 0.05}))).catches_up
        is None
    )


def test_it_is_plain_data():
    found = forecast_of(0.12)
    record = json.loads(json.dumps(found.to_record(), allow_nan=False))
    assert record["gain"] == pytest.approx({"value": 0.12, "low": 0.02, "high": 0.22, "level": 0.9})
    assert [point["size"] for point in record["gain_by_size"]] == [
        size for size, _ in found.gain_by_size
    ]
    assert record["gain_by_size"][0]["value"] == found.gain_by_size[0][1].value
    assert record["parts"] == dict(found.parts)
    assert (record["tier"], record["kind"], record["catches_up"]) == (
        "cache",
        "differentiable",
        found.catches_up,
    )


def test_a_calibration_without_arms_forecasts_none():
    lines = {name: line for name, line in made_lines().items() if not name.endswith("less full")}
    calibration = made_calibration()
    without = type(calibration)({"differentiable": lines}, {})
    assert make_forecast(evidence_of(0.1), HERE, without).arms == {}


def test_what_fresh_weights_reach_may_be_missing():
    """There may be too few rows for a tangent probe of the twins.

    The forecast has numbers all the same, or none at all, and never one that is not a number.
    """
    found = make_forecast(evidence_of(0.1) | dict.fromkeys(TANGENT), HERE, made_calibration())
    assert all(
        map(
            math.isfinite,
            (
                found.accuracy.value,
                found.accuracy.low,
                found.scratch_accuracy.value,
                found.gain.value,
            ),
        )
    )
