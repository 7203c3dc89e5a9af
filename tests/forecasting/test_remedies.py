"""What would tell where a forecast cannot, and which sources it cannot tell apart."""

from dataclasses import replace

import pytest

from featalign.forecasting.calibration import shipped_calibration
from featalign.forecasting.comparison import ties_of, worse_probability
from featalign.forecasting.remedies import what_would_tell
from featalign.forecasting.verdict import judge
from featalign.records.interval import Interval
from tests.forecasting.test_verdict import EVIDENCE, forecast
from tests.views.made import forecast as forecast_of
from tests.views.made import row


def around(value, half=0.1):
    return Interval(value=value, low=value - half, high=value + half, level=0.9)


UNSURE = replace(
    forecast(0.4, gain=0.02),
    gain_by_size={100: around(0.3), 200: around(0.02), 400: around(0.04), 800: around(0.08)},
)


def test_short_runs_more_rows_and_training_are_named_with_numbers():
    short, more, training = what_would_tell(UNSURE, 200)
    assert short.startswith('short runs may tell: effort="short"')
    # 0.08 is 1.3 deviations of 0.1 / 1.645 above zero, 0.04 only 0.66
    assert more == "more rows may tell: at about 800 a gain is expected with a chance of 91%"
    # (0.8416 / 0.02)² (0.7 · 0.3 + 0.6 · 0.4)
    assert training.endswith("a difference of +2.0 points stands out on about 797 held-out rows")


def test_a_loss_and_rows_that_would_not_tell():
    losing = replace(UNSURE, gain_by_size={200: around(0.02), 1600: around(-0.1)})
    assert "at about 1,600 a loss is expected" in " / ".join(what_would_tell(losing, 200))
    flat = replace(UNSURE, gain_by_size={200: around(0.02), 3200: around(0.01)})
    assert "as unsure up to 3,200" in " / ".join(what_would_tell(flat, 200))
    assert not any("more rows" in each for each in what_would_tell(flat))


@pytest.mark.parametrize(
    "known", [{"tier": "short"}, {"capability": "twins"}, {"capability": "features"}]
)
def test_short_runs_are_named_where_they_can_be_made(known):
    assert not any("short runs" in each for each in what_would_tell(replace(UNSURE, **known), 200))


def test_no_difference_needs_no_rows():
    nothing = replace(UNSURE, gain=around(0.001))
    assert not any("training both" in each for each in what_would_tell(nothing, 200))


def test_a_verdict_of_cannot_tell_says_so_and_others_say_their_rule():
    unsure = judge(UNSURE, EVIDENCE, 200)
    assert unsure.decision == "cannot tell"
    assert any("short runs may tell" in reason for reason in unsure.reasons)
    assert not any("the rule is" in reason for reason in unsure.reasons)
    sure = " / ".join(judge(forecast(0.13), EVIDENCE).reasons)
    assert "the rule is a gain with a chance of at least 80%, here 87%; the 90% interval" in sure
    assert "reaches across zero" in sure
    clear = " / ".join(judge(forecast(0.01, gain=0.3), EVIDENCE).reasons)
    assert "here 99%" in clear
    assert "across zero" not in clear
    loss = " / ".join(judge(forecast(0.9, gain=-0.3), EVIDENCE).reasons)
    assert "the rule is a loss with a chance of at least 80%, here 90%" in loss


def test_sources_of_nearly_the_same_forecast_are_tied():
    calibration = shipped_calibration()
    best, near, far = (
        row(name, forecast_of(accuracy, 0.1))
        for name, accuracy in (("best", 0.7), ("near", 0.695), ("far", 0.2))
    )
    assert 0.5 < worse_probability(near, best, calibration, 200) < 0.8
    assert worse_probability(far, best, calibration, 200) > 0.95
    unknown, last = row("unknown"), row("last", forecast_of(0.19, 0.1))
    rows = [best, near, far, last, unknown]
    assert ties_of(rows, calibration, 200) == (("best", "near"), ("far", "last"))
    assert ties_of([best, far], calibration, 200) == ()
    assert ties_of([unknown], calibration, 200) == ()
    assert ties_of([], calibration, 200) == ()
