"""From examples of a world whose truth is known to lines.

This tests what they learn, what they cover, and what each capability of a source is worth.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.forecasting.calibration import Calibration, Fitted
from featalign.forecasting.fit import advantages, fit_lines, with_advantages, without_gradients
from featalign.forecasting.forecast import make_forecast
from featalign.forecasting.logits import share_of
from featalign.forecasting.predictors import (
    BELOW,
    CAPABILITIES,
    LEAD,
    RIDGE_ERROR,
    gain_predictors,
)
from featalign.forecasting.situation import Short
from featalign.records.evidence import capability_of
from featalign.records.forecast import Tier
from tests.forecasting.examples import (
    GROWTH,
    LEVEL_ON_SIZE,
    ON_LDA,
    ON_PROBE,
    ON_SIZE,
    ON_TANGENT,
    PROBE_ARM,
    PROBE_THEN_FULL_ARM,
    REFERENCE,
    added,
    exact,
    lacking,
    odds,
    there,
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


def made_of(capability, examples, *, tier: Tier = "cache", share=None):
    """Lines of a tier, and those from the cache, against which an anchor is weighed."""
    seen = seen_as(capability, examples)
    plain: Tier = "cache"
    fitted = [
        Fitted(
            capability=capability,
            tier=each,
            share=share if each == tier else None,
            lines=fit_lines(seen, capability, each),
        )
        for each in dict.fromkeys((plain, tier))
    ]
    return Calibration(fitted=tuple(fitted))


@pytest.fixture(scope="module")
def calibration():
    return made_of("gradients", world(targets=12))


def weights(line):
    return dict(zip(line.names, line.weights, strict=True))


def test_the_weights_of_the_world_are_found(calibration):
    lines = calibration.lines_of("gradients")
    assert weights(lines.level) == pytest.approx(
        {"linear_probe": 0.0, "lda": ON_LDA, RIDGE_ERROR: 0.0, "size": LEVEL_ON_SIZE}, abs=0.03
    )
    assert weights(lines.gain) == pytest.approx(
        {
            "tangent_probe": ON_TANGENT,
            "linear_probe": ON_PROBE,
            "lda": 0.0,
            BELOW: 0.0,
            "size": ON_SIZE,
        },
        abs=0.03,
    )
    for line, ratio in ((lines.growth, GROWTH), (lines.drift, ON_SIZE)):
        assert weights(line) == pytest.approx({"ratio": ratio, "ratio x level": 0.0}, abs=0.03)
        assert line.intercept == pytest.approx(0, abs=0.01)


def test_every_line_knows_how_many_data_sets_it_is_of(calibration):
    lines = vars(calibration.lines_of("gradients"))
    assert {lines[name].num_groups for name in lines if name != "arms"} == {12}
    assert {line.num_groups for line in lines["arms"].values()} == {12}
    of_three = fit_lines(world(targets=12, together=4), "gradients")
    assert of_three.gain.num_groups == of_three.scratch.num_groups == 3


def test_residuals_are_those_of_data_sets_left_out():
    """Those of both arms are what is wrong with the forecasts of lines of other data sets."""
    examples = world(12, targets=9, together=3, sizes=(200,), shift=0.5)
    lines = fit_lines(examples, "gradients")
    errors = {"accuracy": [], "scratch": []}
    for name in dict.fromkeys(each.dataset for each in examples):
        own = [each for each in examples if each.dataset == name]
        others = [each for each in examples if each.dataset != name]
        blind = made_of("gradients", [*others, *renamed(others[:15], "spare")])
        for each in own:
            found = make_forecast(each.evidence, each.situation, blind)
            errors["accuracy"].append(odds(each.accuracy) - at(found.accuracy.value))
            errors["scratch"].append(odds(each.scratch) - at(found.scratch_accuracy.value))
    for name, wanted in errors.items():
        line = getattr(lines, name)
        scaled = np.array(line.residuals) * line.scale(0.0)
        correlation = np.corrcoef(
            np.quantile(wanted, np.linspace(0.05, 0.95, 19)),
            np.quantile(scaled, np.linspace(0.05, 0.95, 19)),
        )[0, 1]
        assert correlation > 0.97, name
        assert np.std(scaled) == pytest.approx(np.std(wanted), rel=0.25), name


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
        assert np.sqrt(np.mean(np.square(found))) < 0.02, name


SMALL: dict[str, Any] = {
    "targets": 24,
    "sources": 3,
    "sizes": (100, 800),
    "together": 2,
    "noise": 0.08,
}


@pytest.mark.slow
@pytest.mark.parametrize("tier", ["cache", "anchor"])
@pytest.mark.parametrize("capability", CAPABILITIES)
def test_intervals_hold_nine_data_sets_of_ten(capability, tier):
    """Whole data sets shift. Each study is small and has its own luck.

    Over many of them data sets that were not seen lie within as often as is said, or oftener. With
    an anchor scratch is measured, and its interval holds what is drawn with the test rows alone.
    """
    held = {"gain": [], "scratch_accuracy": [], "accuracy": []}
    below = []
    for seed in range(12):
        known = world(seed, shift=0.3, anchors=True, **SMALL)
        study = made_of(capability, known, tier=tier)
        fresh = world(5000 + seed, shift=0.3, anchors=True, **SMALL)
        for example, seen in zip(fresh, seen_as(capability, fresh), strict=True):
            anchor = seen.anchor if tier == "anchor" else None
            found = make_forecast(seen.evidence, seen.situation, study, anchor=anchor)
            for name, truth in (
                ("gain", example.gain),
                ("scratch_accuracy", example.scratch),
                ("accuracy", example.accuracy),
            ):
                interval = getattr(found, name)
                held[name].append(interval.low <= truth <= interval.high)
            below.append((found.negative_transfer_probability, example.gain < 0))
    for name, hits in held.items():
        if tier == "cache" or name != "scratch_accuracy":
            assert 0.85 <= np.mean(hits) < 0.98, name
    told, happened = np.array(below, float).T
    assert told.mean() == pytest.approx(happened.mean(), abs=0.05)
    for some in (told < 0.3, told > 0.7):
        assert some.sum() > 20
        assert told[some].mean() == pytest.approx(happened[some].mean(), abs=0.15)


def renamed(examples, prefix):
    return [
        replace(each, target=f"{prefix} {each.target}", dataset=f"{prefix} {each.dataset}")
        for each in examples
    ]


def at(share):
    """The log-odds of a share that is one of no rows."""
    return math.log(share / (1 - share))


@pytest.mark.slow
def test_coverage_counts_data_sets_and_not_their_rows():
    """Few data sets of many rows that hardly shift, and many of few rows that do.

    A new data set is one of the many. The quantile of all rows together would not hold it.
    """
    few: dict[str, Any] = {"targets": 8, "together": 2, "sources": 8}
    shifts: dict[str, Any] = {"targets": 9, "sources": 2}
    covered, pooled, sizes = [], [], (100, 400)
    for seed in range(12):
        calm = renamed(world(seed, sizes=sizes, **few), "calm")
        study = fit_lines(
            [*calm, *world(100 + seed, shift=1.0, sizes=sizes, **shifts)], "gradients"
        )
        errors = [abs(added(each) - study.gain.predict(predictors_of(each))) for each in calm]
        errors += [
            abs(added(each) - study.gain.predict(predictors_of(each)))
            for each in world(100 + seed, shift=1.0, sizes=sizes, **shifts)
        ]
        pool = np.sort(errors)[math.ceil((len(errors) + 1) * 0.9) - 1]
        calibration = Calibration(fitted=(Fitted(capability="gradients", lines=study),))
        for each in world(5000 + seed, shift=1.0, sizes=sizes, **shifts):
            gain = make_forecast(each.evidence, each.situation, calibration).gain
            covered.append(gain.low <= each.gain <= gain.high)
            pooled.append(abs(added(each) - study.gain.predict(predictors_of(each))) <= pool)
    assert np.mean(covered) >= 0.85
    assert np.mean(pooled) < 0.8


def predictors_of(example):
    return gain_predictors(example.evidence, example.situation, "gradients")


def test_what_a_source_does_not_show_widens_its_intervals():
    """The gain is made of gradients and of what the source has over its twins.

    The level of the twins differs from target to target.
    """
    spreads = {each: [] for each in CAPABILITIES}
    for seed in range(3):
        examples = world(seed, targets=24, sources=6, sizes=(200,))
        for each in CAPABILITIES:
            line = fit_lines(seen_as(each, examples), each).gain
            spreads[each].append(np.std(line.residuals) * line.scale(0.0))
    gradients, twins, features = (np.mean(spreads[each]) for each in CAPABILITIES)
    assert gradients < 0.5 * twins
    assert twins < 0.98 * features


def test_short_runs_that_see_the_gain_narrow_the_intervals():
    examples = world(4, targets=10, hidden=0.3, share=0.3)
    with_them = made_of("gradients", examples, tier="short", share=0.3)
    without = made_of("gradients", examples)
    widths, misses = [], []
    for example in world(5, targets=4, hidden=0.3, share=0.3):
        seen = example.evidence, example.situation
        short = make_forecast(*seen, with_them, short=example.short)
        cache = make_forecast(*seen, without, short=None)
        widths.append((short.gain.high - short.gain.low) / (cache.gain.high - cache.gain.low))
        misses.append([abs(each.gain.value - example.gain) for each in (short, cache)])
    assert max(widths) < 0.5
    assert np.mean(misses, axis=0)[0] < 0.3 * np.mean(misses, axis=0)[1]


def test_short_runs_that_see_nothing_narrow_nothing():
    random, examples = np.random.default_rng(0), world(4, targets=10, hidden=0.3, share=0.3)
    blind = []
    for each in examples:
        drawn = exact(0.3 * random.normal() - 0.4)
        runs = Short(0.3, drawn, math.exp(0.3 * random.normal()), 0.4, 1.0)
        blind.append(replace(each, short=runs))
    widths = [fit_lines(blind, "gradients", tier).gain.half_width() for tier in ("short", "cache")]
    assert widths[0] == pytest.approx(widths[1], rel=0.15)


HIDDEN: dict[str, Any] = {"shift": 0.8, "anchors": True, "sizes": (100, 400)}


def test_a_trained_scratch_tells_what_the_cache_cannot_see():
    """Both arms have a large part that no evidence shows, as large for the one as for the other.

    What the foretold accuracy has over scratch tells half of the gain.
    """
    known = world(1, targets=16, **HIDDEN)
    with_anchor = made_of("gradients", known, tier="anchor")
    without = made_of("gradients", known)
    assert 0.3 < weights(with_anchor.lines_of("gradients", tier="anchor").gain)[LEAD] < 0.7
    assert LEAD not in weights(without.lines_of("gradients").gain)
    errors, widths = {"anchor": [], "cache": []}, {"anchor": [], "cache": []}
    for each in world(2, targets=10, **HIDDEN):
        seen = each.evidence, each.situation
        found = make_forecast(*seen, with_anchor, anchor=each.anchor)
        assert found.scratch_accuracy.value == pytest.approx(there(each.anchor).accuracy, abs=0.02)
        for name, one in (("anchor", found), ("cache", make_forecast(*seen, without))):
            errors[name].append(abs(one.gain.value - each.gain))
            widths[name].append(one.gain.high - one.gain.low)
    assert np.mean(errors["anchor"]) < 0.8 * np.mean(errors["cache"])
    assert np.mean(widths["anchor"]) < 0.9 * np.mean(widths["cache"])


def test_where_the_accuracy_is_foretold_an_anchor_gives_the_gain_away():
    """Only scratch is hidden here: what is left of the gain is noise."""
    known, fresh = (only_scratch_hidden(seed) for seed in (1, 2))
    with_anchor = made_of("gradients", known, tier="anchor")
    without = made_of("gradients", known)
    assert weights(with_anchor.lines_of("gradients", tier="anchor").gain)[LEAD] > 0.9
    misses = []
    for each in fresh:
        seen = each.evidence, each.situation
        found = make_forecast(*seen, with_anchor, anchor=each.anchor)
        blind = make_forecast(*seen, without)
        misses.append([abs(one.gain.value - each.gain) for one in (found, blind)])
    anchor, cache = np.mean(misses, axis=0)
    assert anchor < 0.03
    assert anchor < 0.25 * cache


def only_scratch_hidden(seed):
    """A world in which scratch of a data set is moved as a whole, and the accuracy never."""
    random, moved, found = np.random.default_rng(seed), {}, []
    for each in world(seed, targets=12, sizes=(100, 400), noise=0.02):
        shift = moved.setdefault(each.dataset, 0.8 * random.normal())
        scratch = exact(odds(each.scratch) + shift)
        anchor = replace(ANCHOR, accuracy=exact(odds(scratch) + 0.02 * random.normal()))
        found.append(replace(each, scratch=scratch, anchor=anchor))
    return found


ANCHOR = there(world(targets=1, sources=1, sizes=(100,), anchors=True)[0].anchor)


def test_examples_without_an_anchor_are_named():
    examples = world(anchors=True)
    examples[7] = replace(examples[7], anchor=None)
    with pytest.raises(
        FeatalignError,
        match=f"expected a training from scratch for each, {examples[7].source} on target 0 has",
    ):
        fit_lines(examples, "gradients", "anchor")


def test_both_arms_at_other_sizes_are_those_of_the_world(calibration):
    for example in world(56, targets=3, sizes=(200,), noise=0.0):
        found = make_forecast(example.evidence, example.situation, calibration)
        for size, gain in found.gain_by_size.items():
            ratio = math.log(size / 200)
            scratch = odds(example.scratch) + GROWTH * ratio
            accuracy = scratch + added(example) + ON_SIZE * ratio
            truth = float(share_of(accuracy) - share_of(scratch))
            assert gain.value == pytest.approx(truth, abs=0.03)
            assert gain.low <= truth <= gain.high


def test_a_missing_value_moves_a_forecast_to_the_mean_of_what_is_missing(calibration):
    line, example = calibration.lines_of("gradients").gain, world(57, targets=1)[0]
    mean = dict(zip(line.names, line.means, strict=True))["tangent_probe"]
    own, rows = example.evidence.own, example.situation.num_rows
    twin = odds(example.evidence.twins["tangent_probe"], rows)
    average = replace(example.evidence, own={**own, "tangent_probe": exact(twin + mean, rows)})
    lost = lacking(example.evidence, "tangent_probe")
    found, wanted = (
        line.predict(gain_predictors(each, example.situation, "gradients"))
        for each in (lost, average)
    )
    assert found == pytest.approx(wanted)
    whole = line.predict(gain_predictors(example.evidence, example.situation, "gradients"))
    assert abs(found - whole) > 0.01


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


def test_the_advantage_of_an_example_comes_from_other_data_sets():
    """Two targets of one data set see nothing of each other."""
    examples = world(9, targets=6, sources=3, sizes=(100, 400), together=2)
    changed = [
        replace(each, accuracy=each.accuracy + 0.1)
        if (each.target, each.source) == ("target 2", "zoo/source 1")
        else each
        for each in examples
    ]
    before, after = (with_advantages(some) for some in (examples, changed))
    for one, other in zip(before, after, strict=True):
        same = one.evidence.advantage == other.evidence.advantage
        assert same == (one.target in ("target 2", "target 3")), one
    first = examples[0]
    others = [each for each in examples if each.dataset != first.dataset]
    assert {each.target for each in others} == {f"target {place}" for place in range(2, 6)}
    assert before[0].evidence.advantage == pytest.approx(advantages(others)[first.revision])
    assert advantages(examples, but=first.dataset) == advantages(others)
    lonely = with_advantages([each for each in examples if each.dataset == first.dataset])
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
    """A shift of whole data sets widens the intervals of both arms.

    It does not widen the scatter of sources among each other.
    """
    spreads = {}
    for shift in (0.0, 0.4):
        lines = vars(fit_lines(world(6, shift=shift), "gradients"))
        spreads[shift] = {
            name: np.std(lines[name].residuals) * lines[name].scale(0.0)
            for name in ("accuracy", "order")
        }
    assert spreads[0.4]["accuracy"] > 4 * spreads[0.0]["accuracy"]
    assert 0.1 < spreads[0.0]["order"] / spreads[0.0]["accuracy"] < 0.25  # a log-odd is a quarter
    assert spreads[0.4]["order"] < 0.3 * 0.25 * spreads[0.4]["accuracy"]


def test_the_truth_of_the_world_is_what_its_examples_say():
    """The gain of an example without noise is made of its evidence alone, and so is its level."""
    for each in world(8, targets=2, noise=0.0):
        rows, own, twins = each.situation.num_rows, each.evidence.own, each.evidence.twins
        tangent, probe = (
            odds(own[name], rows) - odds(twins[name], rows)
            for name in ("tangent_probe", "linear_probe")
        )
        assert added(each) == pytest.approx(true_gain(tangent, probe, each.situation.size))


@pytest.mark.parametrize("count", [0, 2])
@pytest.mark.parametrize("tier", ["cache", "anchor"])
def test_too_few_data_sets_are_refused(count, tier):
    """However many targets they have."""
    with pytest.raises(
        FeatalignError, match=f"expected at least 3 data sets to calibrate on, got {count}"
    ):
        fit_lines(world(targets=3 * count, together=3, anchors=True), "gradients", tier)
