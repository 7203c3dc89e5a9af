"""The verdict: which it is, and the numbers that it names."""

import math
from collections.abc import Mapping
from dataclasses import replace

import pytest

from featalign.forecasting.predictors import ADVANTAGE, CAPABILITIES
from featalign.forecasting.verdict import judge
from featalign.records.evidence import Capability, Evidence
from featalign.records.forecast import Forecast
from featalign.records.interval import Interval

EVIDENCE = Evidence(
    capability="gradients",
    own={"linear_probe": 0.712, "lda": 0.1234, "tangent_probe": 0.8, "knn": 0.7},
    twins={"linear_probe": 0.534, "lda": 0.65, "tangent_probe": 0.6, "knn": 0.4},
)


def forecast(
    loss: float = 0.05,
    *,
    gain: float = 0.08,
    probe: float | None = -0.03,
    gradual: float | None = 0.0,
    capability: Capability = "gradients",
    parts: Mapping[str, float] = {"linear_probe": 0.05},
    distance: float = 0.4,
) -> Forecast:
    arms = {
        name: value
        for name, value in (("probe", probe), ("probe_then_full", gradual))
        if value is not None
    }
    band = Interval(value=gain, low=gain - 0.1, high=gain + 0.1, level=0.9)
    return Forecast(
        tier="cache",
        capability=capability,
        accuracy=Interval(value=0.7, low=0.6, high=0.8, level=0.9),
        scratch_accuracy=Interval(value=0.6, low=0.5, high=0.7, level=0.9),
        gain=band,
        negative_transfer_probability=loss,
        parts=parts,
        arms=arms,
        num_data_sets=20,
        distance=distance,
    )


@pytest.mark.parametrize(
    ("found", "decision"),
    [
        (forecast(0.05), "fine-tune"),
        (forecast(0.81, gain=-0.1), "train from scratch"),
        (forecast(0.80, gain=-0.1), "train from scratch"),
        (forecast(0.79, gain=-0.05), "cannot tell"),
        (forecast(0.5, gain=0.0), "cannot tell"),
        (forecast(0.21), "cannot tell"),
        (forecast(0.19), "fine-tune"),
        (forecast(probe=-0.009), "probe only"),
        (forecast(probe=0.02), "probe only"),
        (forecast(probe=-0.011), "fine-tune"),
        (forecast(gradual=0.006), "probe then fine-tune"),
        (forecast(gradual=0.004), "fine-tune"),
        (forecast(probe=-0.005, gradual=0.02), "probe only"),
        (forecast(0.5, probe=0.1, gradual=0.1), "cannot tell"),
        (forecast(0.9, probe=0.1, gradual=0.1), "train from scratch"),
        (forecast(probe=None, gradual=None), "fine-tune"),
    ],
)
def test_the_decision_follows_from_the_numbers(found, decision):
    assert judge(found, EVIDENCE).decision == decision


def test_a_gain_with_a_chance_of_just_0_8_is_one():
    """The chances of a loss and of a gain are judged alike: 0.2 of the one is 0.8 of the other."""
    assert judge(forecast(0.2), EVIDENCE).decision == "fine-tune"


def test_the_first_reason_has_gain_interval_and_chance():
    reason = judge(forecast(0.134, gain=0.0789), EVIDENCE).reasons[0]
    assert (
        reason
        == "expected gain over scratch +7.9 points (90%: -2.1 to +17.9); chance that it hurts 13%"
    )


def test_reasons_name_the_two_numbers_that_moved_most_beside_their_twins():
    parts = {
        "linear_probe": -0.06,
        "lda": 0.3,
        "tangent_probe": 0.01,
        "size": 0.5,
        "knn": 0.4,
        "short accuracy": 0.9,
    }
    reasons = judge(forecast(parts=parts), EVIDENCE).reasons
    assert reasons[1] == "discriminant posterior 12.3%, of a fresh network 65.0%"
    assert reasons[2] == "linear probe 71.2%, of a fresh network 53.4%"
    assert not any("tangent probe" in reason or "knn" in reason for reason in reasons)


def test_evidence_unlike_the_study_is_said_with_the_number_of_its_data_sets():
    told = "the evidence is unlike that of all 20 data sets of the study: the intervals are wider"
    for distance in (0.0, 0.9, 1.0):
        assert told not in judge(forecast(distance=distance), EVIDENCE).reasons
    for distance in (1.01, 30.0):
        assert told in judge(forecast(distance=distance), EVIDENCE).reasons


def test_reasons_of_each_decision_say_their_numbers():
    def told(found):
        return " / ".join(judge(found, EVIDENCE).reasons)

    assert (
        "a new head alone should lose less than 1.0 points against fine-tuning everything"
        in told(forecast(probe=-0.004))
    )
    assert "should add at least 1.2 points" in told(forecast(gradual=0.012))
    assert "a new head alone may lose 3.0 points against fine-tuning everything" in told(forecast())
    assert "neither a gain nor a loss has a chance of 80%" in told(forecast(0.5))
    assert "new head" not in told(forecast(0.9))


@pytest.mark.parametrize(
    ("advantage", "part", "told"),
    [
        (0.034, 0.05, True),
        (-0.034, -0.05, True),
        (0.034, 0.04, True),
        (0.034, 0.03, False),
        (None, 0.0, False),
        (math.nan, 0.0, False),
    ],
)
def test_what_a_source_gained_in_the_study_is_told_where_it_counts(advantage, part, told):
    reasons = judge(
        forecast(parts={ADVANTAGE: part, "linear_probe": 0.05}),
        replace(EVIDENCE, advantage=advantage),
    ).reasons
    assert any("in the study this source gained" in reason for reason in reasons) == told
    if told:
        assert (
            f"gained {100 * advantage:+.1f} points against the mean of all sources"
            in " / ".join(reasons)
        )


def test_what_the_source_does_not_show_is_said():
    told = {
        each: " / ".join(judge(forecast(capability=each), EVIDENCE).reasons)
        for each in CAPABILITIES
    }
    no_gradients = "no gradients: compared by features, with fresh networks of"
    assert f"{no_gradients} its own architecture" in told["twins"]
    elsewhere = replace(EVIDENCE, compared_with="a reference architecture")
    reference = judge(forecast(capability="twins"), elsewhere).reasons
    assert f"{no_gradients} a reference architecture, not its own" in reference
    assert "its own architecture" not in " / ".join(reference)
    assert "features alone" in told["features"]
    assert "no gradients" not in told["gradients"]
    assert "features alone" not in told["gradients"]
