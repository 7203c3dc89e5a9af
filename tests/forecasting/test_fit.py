"""From examples of a world whose truth is known to lines.

This tests what they learn, what they cover, and what each capability of a source is worth.
"""

import math
from dataclasses import replace

import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.forecasting.calibration import Calibration, Fitted
from featalign.forecasting.fit import advantages, fit_lines, with_advantages, without_gradients
from featalign.forecasting.forecast import make_forecast
from featalign.forecasting.predictors import CAPABILITIES, Short, gain_predictors
from featalign.records.evidence import capability_of
from tests.forecasting.examples import (
    ON_PROBE,
    ON_SIZE,
    ON_TANGENT,
    PROBE_ARM,
    PROBE_THEN_FULL_ARM,
    REFERENCE,
    SCRATCH_ON_SIZE,
    lacking,
    true_gain,
    world,
)


def seen_as(capability, examples):
    """The examples as sources of a capability.

    Without gradients the twins are those of the first source of their target and size.
    """
    if capability == "gradients":
        return examples
    references = {
        (each.target, each.situation.num_rows): each.evidence
        for each in examples
        if each.source == REFERENCE
    }
    found = []
    for each in examples:
        reference = references[each.target, each.situation.num_rows]
        found.append(without_gradients(each, reference if capability == "twins" else None))
    return found


def made_of(capability, examples, *, share=None):
    lines = fit_lines(seen_as(capability, examples), capability)
    return Calibration(fitted=(Fitted(capability=capability, share=share, lines=lines),))


@pytest.fixture(scope="module")
def calibration():
    return made_of("gradients", world(targets=12))


def weights(line):
    return dict(zip(line.names, line.weights, strict=True))


def test_the_weights_of_the_world_are_found(calibration):
    lines = calibration.lines_of("gradients")
    gain = weights(lines.gain)
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
    assert weights(lines.scratch) == pytest.approx(
        {"size": SCRATCH_ON_SIZE, "own twins": 0.0}, abs=0.06
    )
    assert weights(lines.drift)["ratio"] == pytest.approx(ON_SIZE, abs=0.01)


def test_arms_are_told_apart(calibration):
    lines = calibration.lines_of("gradients")
    for example in world(77, targets=3):
        forecast = make_forecast(example.evidence, example.situation, calibration)
        assert forecast.arms["probe"] == pytest.approx(
            -PROBE_ARM * (0.8 - example.evidence.own["linear_probe"]), abs=0.03
        )
        assert forecast.arms["probe_then_full"] == pytest.approx(PROBE_THEN_FULL_ARM, abs=0.01)
    without = [replace(each, arms={"full": each.arms["full"]}) for each in world(targets=4)]
    assert set(lines.arms) == {"probe", "probe_then_full"}
    assert fit_lines(without, "gradients").arms == {}


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
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_intervals_hold_nine_targets_of_ten(capability):
    """Each study is small and has its own luck.

    Over many of them targets that were not seen lie within as often as is said.
    """
    held = {"gain": [], "scratch_accuracy": [], "accuracy": []}
    below = []
    for seed in range(16):
        known = world(seed, targets=14, sources=3, sizes=(100, 800), noise=0.02, shift=0.02)
        study = made_of(capability, known)
        fresh = world(5000 + seed, targets=12, sources=3, sizes=(100, 800), noise=0.02, shift=0.02)
        for example, seen in zip(fresh, seen_as(capability, fresh), strict=True):
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


def half_width(capability, examples):
    example, study = seen_as(capability, examples)[0], made_of(capability, examples)
    gain = make_forecast(example.evidence, example.situation, study).gain
    return (gain.high - gain.low) / 2


def test_what_a_source_does_not_show_widens_its_intervals():
    """The gain is made of gradients and of what the source has over its twins.

    The level of the twins differs from target to target.
    """
    examples = world(3, targets=10)
    gradients, twins, alone = (half_width(each, examples) for each in CAPABILITIES)
    assert gradients < 0.5 * twins
    assert twins < alone


def test_short_runs_that_see_the_gain_narrow_the_intervals():
    examples = world(4, targets=10, hidden=0.05, share=0.3)
    example = examples[0]
    with_them = made_of("gradients", examples, share=0.3)
    without = made_of("gradients", [replace(each, short=None) for each in examples])
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
        line = fit_lines(some, "gradients").gain
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
        for size, gain in found.gain_by_size.items():
            truth = example.gain + ON_SIZE * math.log(size / 200)
            assert gain.value == pytest.approx(truth, abs=0.03)
            assert gain.low <= truth <= gain.high


def test_a_missing_value_moves_a_forecast_to_the_mean_of_what_is_missing(calibration):
    line, example = calibration.lines_of("gradients").gain, world(57, targets=1)[0]
    mean = dict(zip(line.names, line.means, strict=True))["tangent_probe"]
    own, twins = example.evidence.own, example.evidence.twins
    moved = replace(example.evidence, own={**own, "tangent_probe": twins["tangent_probe"] + mean})
    average = make_forecast(moved, example.situation, calibration)
    lost = lacking(example.evidence, "tangent_probe")
    found = line.predict(gain_predictors(lost, example.situation, "gradients"))
    assert found == pytest.approx(average.gain.value, abs=0.01)


def test_examples_with_a_value_missing_serve_all_the_same(calibration):
    lost = [
        replace(each, evidence=lacking(each.evidence, "lda", "cka")) if place % 4 == 0 else each
        for place, each in enumerate(world(targets=12))
    ]
    gain = weights(fit_lines(lost, "gradients").gain)
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
        same = one.evidence.advantage == other.evidence.advantage
        assert same == (one.target == "target 1"), one
    assert before[0].evidence.advantage == pytest.approx(
        advantages([each for each in examples if each.target != "target 0"])[examples[0].revision]
    )
    lonely = with_advantages([each for each in examples if each.target == "target 0"])
    advantages_of_lonely = [each.evidence.advantage for each in lonely]
    assert all(each is not None and math.isnan(each) for each in advantages_of_lonely)


def test_a_source_without_gradients_takes_the_twins_of_the_reference():
    first, other = world(targets=1, sources=2, sizes=(100,))
    twins = {**first.evidence.twins, "linear_probe": 0.123}
    found = without_gradients(
        replace(other, short=None), replace(first.evidence, twins=twins)
    ).evidence
    assert found.capability == "twins"
    assert found.capability == capability_of(
        found.own, found.twins, found.reference, own_twins=False
    )
    assert found.compared_with == "a reference architecture"
    assert found.twins["linear_probe"] == 0.123
    assert found.own["linear_probe"] == other.evidence.own["linear_probe"]
    assert found.twins["tangent_probe"] == first.evidence.twins["tangent_probe"]
    assert found.reference == first.evidence.reference
    assert "tangent_probe" not in found.own
    alone = without_gradients(other, None)
    assert alone.evidence.capability == "features"
    assert (alone.evidence.twins, alone.evidence.reference) == ({}, None)
    assert not [name for name in alone.evidence.own if name.startswith("tangent")]
    assert (alone.accuracy, alone.gain, alone.arms) == (other.accuracy, other.gain, other.arms)


def test_where_sources_are_compared_what_a_target_does_to_all_is_left_out():
    """A shift of whole targets widens the interval of the gain.

    It does not widen the scatter of sources among each other.
    """
    spreads = {}
    for shift in (0.0, 0.1):
        lines = vars(fit_lines(world(6, shift=shift), "gradients"))
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
        tangent = each.evidence.difference("tangent_probe")
        probe = each.evidence.difference("linear_probe")
        assert each.gain == pytest.approx(true_gain(tangent, probe, each.situation.size))


@pytest.mark.parametrize("count", [0, 2])
def test_too_few_targets_are_refused(count):
    with pytest.raises(
        FeatalignError, match=f"expected at least 3 targets to calibrate on, got {count}"
    ):
        fit_lines(world(targets=count), "gradients")
