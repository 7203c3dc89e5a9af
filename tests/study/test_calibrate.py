"""From records to a calibration, and that what is left out of one is really left out."""

from dataclasses import replace

import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.forecasting.calibration import read_calibration
from featalign.forecasting.forecast import make_forecast
from featalign.forecasting.predictors import CAPABILITIES
from featalign.records.evidence import capability_of
from featalign.study.calibrate import (
    calibrate,
    calibrate_on,
    examples_of,
    left_out,
    left_out_both,
    left_out_outside,
    outside_of,
    seen_as,
    short_of,
)
from tests.forecasting.examples import REFERENCE, lacking, world
from tests.study.examples import evidence_of, records_of, short_records_of

WORLD = world(targets=4, sources=3, sizes=(100, 400), share=0.3)
PLAIN = [replace(each, short=None) for each in WORLD]
BY_TARGET, BY_SOURCE = (lambda each: each.target), (lambda each: each.source)


def key(example):
    return example.source, example.target, example.situation.num_rows


def by_key(pairs):
    found = {key(example): forecast for example, forecast in pairs}
    assert len(found) == len(WORLD)
    return found


def with_other_outcomes(examples, changed):
    """The examples, with accuracies turned upside down where `changed` says so."""
    return [
        replace(
            each,
            accuracy=1 - each.accuracy,
            scratch=each.scratch / 2,
            arms={arm: 1 - value for arm, value in each.arms.items()},
            noise=0.3,
        )
        if changed(each)
        else each
        for each in examples
    ]


def test_records_and_evidence_become_the_examples_they_were_made_of():
    found = {key(each): each for each in examples_of(records_of(WORLD), evidence_of(WORLD))}
    assert set(found) == set(map(key, WORLD))
    for each in WORLD:
        own = found[key(each)]
        assert own.situation == each.situation
        assert (own.accuracy, own.scratch) == pytest.approx((each.accuracy, each.scratch))
        assert own.arms == pytest.approx(each.arms)
        assert own.revision == each.revision
        assert own.short is None
        assert own.evidence == each.evidence
        assert own.evidence.capability == "gradients"


def test_accuracies_are_means_over_seeds_and_evidence_is_of_the_first():
    evidence = evidence_of(WORLD, seed=1)
    for each in evidence:
        own = {**each["evidence"]["own"], "linear_probe": 0.123}
        each["evidence"] = {**each["evidence"], "own": own}
    found = examples_of(
        records_of(WORLD, seeds=(0, 1), spread=0.02), [*evidence, *evidence_of(WORLD)]
    )
    for own, each in zip(sorted(found, key=key), sorted(WORLD, key=key), strict=True):
        assert own.gain == pytest.approx(each.gain)
        assert own.evidence.own["linear_probe"] == each.evidence.own["linear_probe"]


def test_pairs_without_evidence_of_their_rows_and_weights_are_left_out():
    lost = [key(WORLD[place]) for place in range(3)]
    without = lacking(WORLD[2].evidence, twins=("tangent_probe",))
    fewer = replace(WORLD[2], evidence=replace(without, capability="features"))
    evidence = evidence_of([*WORLD[:2], fewer, *WORLD[3:]])
    evidence[0] |= {"fingerprint": "other rows"}
    evidence[1] |= {"revision": "other weights"}
    found = {key(each) for each in examples_of(records_of(WORLD), evidence)}
    assert set(map(key, WORLD)) - found == set(lost)


def test_short_runs_are_read_where_their_share_ends():
    found = {
        key(each): each
        for each in examples_of(
            records_of(WORLD), evidence_of(WORLD), short_records_of(WORLD), share=0.3
        )
    }
    for each in WORLD:
        assert found[key(each)].short == each.short
    some = examples_of(
        records_of(WORLD), evidence_of(WORLD), short_records_of(WORLD[:5]), share=0.3
    )
    assert {key(each) for each in some} == set(map(key, WORLD[:5]))


def test_a_short_run_is_its_last_accuracy_and_its_lowest_loss_until_then():
    own = {
        "steps": [15, 30, 45, 60],
        "whole": 300,
        "accuracies": [0.1, 0.4, 0.3, 0.9],
        "losses": [1.0, 0.8, 0.9, 0.1],
    }
    scratch = {
        "steps": [15, 30, 45, 60],
        "whole": 300,
        "accuracies": [0.2, 0.2, 0.2, 0.2],
        "losses": [2.0, 1.9, 1.8, 1.7],
    }
    found = short_of(own, scratch, 0.15)
    assert (
        found.share,
        found.accuracy,
        found.loss,
        found.scratch_accuracy,
        found.scratch_loss,
    ) == (0.15, 0.3, 0.8, 0.2, 1.8)
    assert short_of(own, scratch, 0.1).accuracy == 0.4
    assert short_of(own, scratch, 0.19).accuracy == 0.3


def test_with_another_capability_they_are_the_same_examples_with_less_to_see():
    for capability in CAPABILITIES:
        found = seen_as(PLAIN, capability)
        assert [key(each) for each in found] == [key(each) for each in PLAIN]
        assert {each.evidence.capability for each in found} == {capability}
        for known in (each.evidence for each in found):
            own_twins = known.compared_with == "its own architecture"
            assert own_twins == (capability != "twins")
            allowed = capability_of(known.own, known.twins, known.reference, own_twins=own_twins)
            assert allowed == capability
    without = [
        each for each in PLAIN if not (each.source == REFERENCE and each.target == "target 0")
    ]
    assert {each.target for each in seen_as(without, "twins")} == {
        "target 1",
        "target 2",
        "target 3",
    }
    assert len(seen_as(without, "features")) == len(without)


WITHOUT_RUNS = {(capability, None) for capability in CAPABILITIES}


def made_for(calibration):
    """What the lines of a calibration are for; none is there twice."""
    found = [(each.capability, each.share, each.known) for each in calibration.fitted]
    assert len(found) == len(set(found))
    return set(found)


def test_a_calibration_has_lines_for_every_capability_and_says_where_from(tmp_path):
    calibration = calibrate_on(
        records_of(WORLD), evidence_of(WORLD), short_records_of(WORLD), shares=(0.3,)
    )
    expected = WITHOUT_RUNS | {("gradients", 0.3)}
    both = {(*each, known) for each in expected for known in (False, True)}
    assert made_for(calibration) == both
    about = calibration.provenance
    assert (about["pairs"], about["records"], about["sizes"]) == (24, 24 * 4, [100, 400])
    assert about["targets"] == [f"target {place}" for place in range(4)]
    assert about["sources"] == sorted({each.source for each in WORLD})
    assert about["pairs with short runs"] == {"0.3": 24}
    assert about["training"] == ["300 steps, batches of 32"]
    assert set(calibration.advantages) == {each.revision for each in WORLD}
    path = tmp_path / "calibration.json"
    path.write_text(calibration.to_json())
    assert read_calibration(path) == calibration
    for each in WORLD:
        one, other = (
            make_forecast(each.evidence, each.situation, some, each.short)
            for some in (calibration, read_calibration(path))
        )
        assert one == other
        assert one.tier == "short"


def made_elsewhere(error):
    """Pairs of sources that are not in the world, on its targets and others.

    They gain so much more than anything shows.
    """
    found = world(seed=5, targets=6, sources=4, sizes=(100, 400), noise=0.01)
    sign = {
        each: 1 if place % 2 else -1
        for place, each in enumerate(sorted({each.source for each in found}))
    }
    return [
        replace(
            each,
            source=f"outside/{each.source}",
            revision=f"outside {each.revision}",
            accuracy=each.accuracy + sign[each.source] * error,
            arms={name: value + sign[each.source] * error for name, value in each.arms.items()},
        )
        for each in found
    ]


def test_sources_outside_make_the_intervals_of_sources_that_are_not_in_the_study():
    plain = calibrate(PLAIN, {}, {})
    for error in (0.0, 0.2):
        outside = made_elsewhere(error)
        found = calibrate(PLAIN, {}, {}, outside)
        for capability in CAPABILITIES:
            known, before = (each.lines_of(capability, known=True) for each in (found, plain))
            assert known == before
            lines, fitted = (each.lines_of(capability) for each in (found, plain))
            for name in ("gain", "scratch", "accuracy", "order"):
                own, other = getattr(lines, name), getattr(fitted, name)
                assert (own.weights, own.intercept) == (other.weights, other.intercept)
            assert lines.drift == fitted.drift
        line, fitted = (each.lines_of("gradients").gain for each in (found, plain))
        assert len(line.residuals) == len(outside)
        halves = [each.interval(0.0, 0.0).high for each in (line, fitted)]
        assert (halves[0] > 0.15) == (error > 0)
        assert halves[1] < 0.1


def test_sources_outside_are_read_beside_the_study():
    records, evidence = records_of(PLAIN), evidence_of(PLAIN)
    targets = {each.target for each in PLAIN}
    outside = [each for each in made_elsewhere(0.2) if each.target in targets]
    theirs = records_of(outside), evidence_of(outside)
    found = outside_of(records, evidence, *theirs)
    assert {each.source for each in found} == {each.source for each in outside}
    assert all(each.evidence.reference is not None for each in found)
    mixed = outside_of(records, evidence, [*records, *theirs[0]], [*evidence, *theirs[1]])
    assert [key(each) for each in mixed] == [key(each) for each in found]
    calibration = calibrate_on(
        records, evidence, short_records_of(WORLD), shares=(0.3,), outside=theirs
    )
    plain = calibrate_on(records, evidence, short_records_of(WORLD), shares=(0.3,))
    for share in (None, 0.3):
        wide, narrow = (
            each.lines_of("gradients", share=share).gain.half_width()
            for each in (calibration, plain)
        )
        assert wide > narrow
    known, before = (
        each.lines_of("gradients", share=0.3, known=True) for each in (calibration, plain)
    )
    assert known == before


def test_a_source_outside_is_forecast_without_its_family_and_its_target():
    outside = made_elsewhere(0.2)
    found = list(left_out_outside(PLAIN, outside, BY_SOURCE))
    assert len(found) == len(outside)
    coverage = np.mean(
        [forecast.gain.low <= each.gain <= forecast.gain.high for each, forecast in found]
    )
    assert coverage > 0.8
    of_first = outside[0].source, outside[0].target
    spoiled = [
        replace(each, accuracy=0.0) if (each.source, each.target) == of_first else each
        for each in outside
    ]
    first = next(
        forecast
        for each, forecast in left_out_outside(PLAIN, spoiled, BY_SOURCE)
        if key(each) == key(outside[0])
    )
    assert first == next(forecast for each, forecast in found if key(each) == key(outside[0]))


def test_short_runs_on_too_few_targets_give_no_lines():
    some = short_records_of([each for each in WORLD if each.target in ("target 0", "target 1")])
    calibration = calibrate_on(records_of(WORLD), evidence_of(WORLD), some, shares=(0.3,))
    both = {(*each, known) for each in WITHOUT_RUNS for known in (False, True)}
    assert made_for(calibration) == both


@pytest.mark.parametrize("lost", ["no evidence", "two targets", "other rows"])
def test_too_few_targets_are_refused(lost):
    records, evidence = records_of(WORLD), evidence_of(WORLD)
    if lost == "no evidence":
        evidence = []
    elif lost == "two targets":
        evidence = [each for each in evidence if each["target"] in ("target 0", "target 1")]
    else:
        evidence = [each | {"fingerprint": "other"} for each in evidence]
    with pytest.raises(
        FeatalignError, match="expected trained pairs with evidence on at least 3 targets, got"
    ):
        calibrate_on(records, evidence)


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_target_that_is_left_out_does_not_see_its_own_outcomes(capability):
    examples = seen_as(PLAIN, capability)
    before = by_key(left_out(examples, BY_TARGET, capability))
    after = by_key(
        left_out(
            with_other_outcomes(examples, lambda each: each.target == "target 1"),
            BY_TARGET,
            capability,
        )
    )
    for where, forecast in before.items():
        assert (forecast == after[where]) == (where[1] == "target 1"), where


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_source_that_is_left_out_does_not_see_its_own_outcomes(capability):
    examples = seen_as(PLAIN, capability)
    before = by_key(left_out(examples, BY_SOURCE, capability))
    after = by_key(
        left_out(
            with_other_outcomes(examples, lambda each: each.source == "zoo/source 1"),
            BY_SOURCE,
            capability,
        )
    )
    for where, forecast in before.items():
        assert (forecast == after[where]) == (where[0] == "zoo/source 1"), where


def test_a_pair_that_is_left_out_sees_neither_its_target_nor_its_source():
    before = by_key(left_out_both(PLAIN, "gradients"))
    changed = with_other_outcomes(
        PLAIN, lambda each: each.source == "zoo/source 1" or each.target == "target 2"
    )
    after = by_key(left_out_both(changed, "gradients"))
    for where, forecast in before.items():
        assert (forecast == after[where]) == (where[:2] == ("zoo/source 1", "target 2")), where


def test_short_runs_that_are_left_out_do_not_leak_either():
    before = by_key(left_out(WORLD, BY_TARGET, "gradients"))
    assert {forecast.tier for forecast in before.values()} == {"short"}
    after = by_key(
        left_out(
            with_other_outcomes(WORLD, lambda each: each.target == "target 1"),
            BY_TARGET,
            "gradients",
        )
    )
    for where, forecast in before.items():
        assert (forecast == after[where]) == (where[1] == "target 1"), where


def test_what_is_left_out_is_forecast_well_all_the_same():
    errors = [
        forecast.gain.value - example.gain
        for example, forecast in left_out(PLAIN, BY_TARGET, "gradients")
    ]
    assert np.sqrt(np.mean(np.square(errors))) < 0.5 * np.std([each.gain for each in PLAIN])


def test_a_known_source_is_forecast_with_what_it_gained_elsewhere():
    """In this world the same source gains everywhere alike and no evidence shows it.

    Only sources that are left out are guessed.
    """
    examples = [
        replace(each, accuracy=each.accuracy + 0.1 * int(each.source[-1] == "1")) for each in PLAIN
    ]
    misses = {}
    for name, fold in (("target", BY_TARGET), ("source", BY_SOURCE)):
        found = [
            (example, forecast)
            for example, forecast in left_out(examples, fold, "gradients")
            if example.source == "zoo/source 1"
        ]
        misses[name] = np.mean([forecast.gain.value - example.gain for example, forecast in found])
    assert abs(misses["target"]) < 0.6 * abs(misses["source"])
