"""From examples of a world whose truth is known to lines.

This tests what they learn, what they cover, and what each kind of source costs.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.forecasting.calibration import Calibration
from featalign.forecasting.fit import advantages, as_black_box, fit_lines, with_advantages
from featalign.forecasting.forecast import make_forecast
from featalign.forecasting.predictors import ADVANTAGE, KINDS, Short, gain_predictors, kind_of
from tests.forecasting.examples import (
    ON_PROBE,
    ON_SIZE,
    ON_TANGENT,
    PROBE_ARM,
    PROBE_THEN_FULL_ARM,
    REFERENCE,
    SCRATCH_ON_SIZE,
    true_gain,
    world,
)


def seen_as(kind, examples):
    """The examples as sources of a kind.

    The twins of a black box are those of the first source of its target and size.
    """
    if kind == "differentiable":
        return examples
    twins = {
        (each.target, each.situation.num_rows): each.evidence
        for each in examples
        if each.source == REFERENCE
    }
    return [
        as_black_box(
            each, twins[each.target, each.situation.num_rows] if kind == "black box" else None
        )
        for each in examples
    ]


def fitted(kind, examples):
    return Calibration({kind: fit_lines(seen_as(kind, examples), kind)}, {})


@pytest.fixture(scope="module")
def calibration():
    return fitted("differentiable", world(targets=12))


def weights(line):
    return dict(zip(line.names, line.weights, strict=True))


def test_the_weights_of_the_world_are_found(calibration):
    lines = calibration.lines["differentiable"]
    gain = weights(lines["gain"])
    assert gain["tangent_probe"] == pytest.approx(ON_TANGENT, abs=0.03)
    assert gain["linear_probe"] == pytest.approx(ON_PROBE, abs=0.03)
    assert gain["size"] == pytest.approx(ON_SIZE, abs=0.01)
    nothing = {
        name: value
        for name, value in gain.items()
        if name not in ("tangent_probe", "linear_probe", "size")
    }
    assert nothing
    assert nothing == pytest.approx(dict.fromkeys(nothing, 0.0), abs=0.03)
    assert weights(lines["scratch"]) == pytest.approx(
        {"size": SCRATCH_ON_SIZE, "own twins": 0.0}, abs=0.06
    )
    assert weights(lines["drift"])["ratio"] == pytest.approx(ON_SIZE, abs=0.01)


def test_arms_are_told_apart(calibration):
    lines = calibration.lines["differentiable"]
    for example in world(77, targets=3):
        forecast = make_forecast(example.evidence, example.situation, calibration)
        assert forecast.arms["probe"] == pytest.approx(
            -PROBE_ARM * (0.8 - example.evidence["linear_probe"]), abs=0.03
        )
        assert forecast.arms["probe_then_full"] == pytest.approx(PROBE_THEN_FULL_ARM, abs=0.01)
    without = [replace(each, arms={"full": each.arms["full"]}) for each in world(targets=4)]
    assert {name for name in lines if name not in fit_lines(without, "differentiable")} == {
        "probe less full",
        "probe_then_full less full",
    }


def test_a_new_target_is_forecast_to_the_noise(calibration):
    misses = {"gain": [], "scratch_accuracy": [], "accuracy": []}
    for example in world(99, targets=6):
        found = make_forecast(example.evidence, example.situation, calibration)
        misses["gain"].append(found.gain.value - example.gain)
        misses["scratch_accuracy"].append(found.scratch_accuracy.value - example.scratch)
        misses["accuracy"].append(found.accuracy.value - example.accuracy)
    for name, found in misses.items():
        assert np.sqrt(np.mean(np.square(found))) < 0.025, name


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_intervals_hold_nine_targets_of_ten(kind):
    """Each study is small and has its own luck.

    Over many of them targets that were not seen lie within as often as is said.
    """
    held = {"gain": [], "scratch_accuracy": [], "accuracy": []}
    below = []
    for seed in range(16):
        study = fitted(
            kind, world(seed, targets=14, sources=3, sizes=(100, 800), noise=0.02, shift=0.02)
        )
        fresh = world(5000 + seed, targets=12, sources=3, sizes=(100, 800), noise=0.02, shift=0.02)
        for example, seen in zip(fresh, seen_as(kind, fresh), strict=True):
            found = make_forecast(seen.evidence, seen.situation, study)
            for name, truth in (
                ("gain", example.gain),
                ("scratch_accuracy", example.scratch),
                ("accuracy", example.accuracy),
            ):
                interval = getattr(found, name)
                held[name].append(interval.low <= truth <= interval.high)
            below.append((found.negative_transfer_probability, example.gain < 0))
    for name, hits in held.items():
        assert 0.85 < np.mean(hits) < 0.95, name
    told, happened = np.array(below, float).T
    assert told.mean() == pytest.approx(happened.mean(), abs=0.05)
    for some in (told < 0.3, told > 0.7):
        assert some.sum() > 20
        assert told[some].mean() == pytest.approx(happened[some].mean(), abs=0.15)


def half_width(kind, examples):
    example = seen_as(kind, examples)[0]
    gain = make_forecast(example.evidence, example.situation, fitted(kind, examples)).gain
    return (gain.high - gain.low) / 2


def test_what_a_source_does_not_show_widens_its_intervals():
    """The gain is made of gradients and of what the source has over its twins.

    The level of the twins differs from target to target.
    """
    examples = world(3, targets=10)
    own, black_box, alone = (half_width(kind, examples) for kind in KINDS)
    assert own < 0.5 * black_box
    assert black_box < alone


def test_short_runs_that_see_the_gain_narrow_the_intervals():
    examples = world(4, targets=10, hidden=0.05, share=0.3)
    example = examples[0]
    with_them, without = (
        Calibration({name: fit_lines(some, "differentiable")}, {})
        for name, some in (
            ("short 0.3", examples),
            ("differentiable", [replace(each, short=None) for each in examples]),
        )
    )
    short = make_forecast(example.evidence, example.situation, with_them, example.short)
    cache = make_forecast(example.evidence, example.situation, without)
    assert short.gain.high - short.gain.low < 0.5 * (cache.gain.high - cache.gain.low)
    assert abs(short.gain.value - example.gain) < abs(cache.gain.value - example.gain)


def test_short_runs_that_see_nothing_narrow_nothing():
    random, examples = np.random.default_rng(0), world(4, targets=10, hidden=0.05, share=0.3)
    blind = [
        replace(
            each,
            short=Short(
                0.3, 0.4 + 0.05 * random.normal(), math.exp(0.05 * random.normal()), 0.4, 1.0
            ),
        )
        for each in examples
    ]
    widths = []
    for some in (blind, [replace(each, short=None) for each in examples]):
        line = fit_lines(some, "differentiable")["gain"]
        interval = line.interval(0.0, 0.0)
        widths.append(interval.high - interval.low)
    assert widths[0] == pytest.approx(widths[1], rel=0.15)


def test_scratch_catches_up_where_the_truth_crosses_nothing(calibration):
    crossed = 0
    for example in world(55, targets=6, sizes=(200,), noise=0.0):
        found = make_forecast(example.evidence, example.situation, calibration)
        expected = 200 * math.exp(-example.gain / ON_SIZE)
        if not 0.02 < example.gain < 0.11:  # else too near to n or to 16 n to be sure of it
            continue
        crossed += 1
        assert found.catches_up == pytest.approx(expected, rel=0.35)
    assert crossed >= 8


def test_the_gain_at_other_sizes_is_that_of_the_world(calibration):
    for example in world(56, targets=3, sizes=(200,), noise=0.0):
        found = make_forecast(example.evidence, example.situation, calibration)
        for size, gain in found.gain_by_size:
            truth = example.gain + ON_SIZE * math.log(size / 200)
            assert gain.value == pytest.approx(truth, abs=0.03)
            assert gain.low <= truth <= gain.high


def test_a_missing_value_moves_a_forecast_to_the_mean_of_what_is_missing(calibration):
    line, example = calibration.lines["differentiable"]["gain"], world(57, targets=1)[0]
    mean = dict(zip(line.names, line.means, strict=True))["tangent_probe"]
    twin = example.evidence["twin tangent_probe"]
    average = make_forecast(
        dict(example.evidence) | {"tangent_probe": twin + mean}, example.situation, calibration
    )
    found = line.predict(
        gain_predictors(
            dict(example.evidence) | {"tangent_probe": None}, example.situation, "differentiable"
        )
    )
    assert found == pytest.approx(average.gain.value, abs=0.01)


def test_examples_with_a_value_missing_serve_all_the_same(calibration):
    lost = [
        replace(each, evidence=dict(each.evidence) | {"lda": None, "cka": None})
        if place % 4 == 0
        else each
        for place, each in enumerate(world(targets=12))
    ]
    gain = weights(fit_lines(lost, "differentiable")["gain"])
    assert gain["tangent_probe"] == pytest.approx(ON_TANGENT, abs=0.03)
    assert all(map(math.isfinite, gain.values()))


def test_an_advantage_is_what_a_source_gained_over_the_mean_of_all():
    examples = world(9, targets=3, sources=3, sizes=(100, 400))
    found = advantages(examples)
    assert len(found) == 3
    for each in examples[::2]:
        mine = []
        for other in (other for other in examples if other.revision == each.revision):
            group = [
                one.gain
                for one in examples
                if (one.target, one.situation) == (other.target, other.situation)
            ]
            mine.append(other.gain - np.mean(group))
        assert found[each.revision] == pytest.approx(np.mean(mine))
    assert sum(found.values()) == pytest.approx(0, abs=1e-12)


def test_the_advantage_of_an_example_comes_from_other_targets():
    examples = world(9, targets=3, sources=3, sizes=(100, 400))
    changed = [
        replace(each, accuracy=each.accuracy + 0.1)
        if (each.target, each.source) == ("target 1", "zoo/source 1")
        else each
        for each in examples
    ]
    before, after = (with_advantages(some) for some in (examples, changed))
    for one, other in zip(before, after, strict=True):
        same = one.evidence[ADVANTAGE] == other.evidence[ADVANTAGE]
        assert same == (one.target == "target 1"), one
    assert before[0].evidence[ADVANTAGE] == pytest.approx(
        advantages([each for each in examples if each.target != "target 0"])[examples[0].revision]
    )
    lonely = with_advantages([each for each in examples if each.target == "target 0"])
    assert all(each.evidence[ADVANTAGE] is None for each in lonely)


def test_a_black_box_keeps_no_gradients_and_takes_the_twins_of_the_reference():
    first, other = world(targets=1, sources=2, sizes=(100,))
    found = as_black_box(
        replace(other, short=None), dict(first.evidence) | {"twin linear_probe": 0.123}
    )
    assert kind_of(found.evidence) == "black box"
    assert found.evidence["twin linear_probe"] == 0.123
    assert found.evidence["linear_probe"] == other.evidence["linear_probe"]
    assert found.evidence["twin tangent_probe"] == first.evidence["twin tangent_probe"]
    assert "tangent_probe" not in found.evidence
    alone = as_black_box(other, None)
    assert kind_of(alone.evidence) == "features alone"
    assert not [
        name for name in alone.evidence if name.startswith(("twin", "reference", "tangent"))
    ]
    assert (alone.accuracy, alone.gain, alone.arms) == (other.accuracy, other.gain, other.arms)


def test_where_sources_are_compared_what_a_target_does_to_all_is_left_out():
    """A shift of whole targets widens the interval of the gain.

    It does not widen the scatter of sources among each other.
    """
    spreads = {}
    for shift in (0.0, 0.1):
        lines = fit_lines(world(6, shift=shift), "differentiable")
        spreads[shift] = {
            name: np.std(lines[name].residuals) * lines[name].scale(0.0)
            for name in ("gain", "order")
        }
    assert spreads[0.1]["gain"] > 4 * spreads[0.0]["gain"]
    assert spreads[0.1]["order"] < 0.4 * spreads[0.1]["gain"]
    assert spreads[0.0]["order"] > 0.7 * spreads[0.0]["gain"]


def test_the_truth_of_the_world_is_what_its_examples_say():
    """The gain of an example without noise is made of its evidence alone."""
    for each in world(8, targets=2, noise=0.0):
        tangent = each.evidence["tangent_probe"] - each.evidence["twin tangent_probe"]
        probe = each.evidence["linear_probe"] - each.evidence["twin linear_probe"]
        assert each.gain == pytest.approx(true_gain(tangent, probe, each.situation.size))


@pytest.mark.parametrize("count", [0, 2])
def test_too_few_targets_are_refused(count):
    with pytest.raises(
        FeatalignError, match=f"expected at least 3 targets to calibrate on, got {count}"
    ):
        fit_lines(world(targets=count), "differentiable")
