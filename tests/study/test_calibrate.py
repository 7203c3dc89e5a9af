"""From records to a calibration, and that what is left out of one is really left out."""

from dataclasses import replace

import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.forecasting.calibration import read_calibration
from featalign.forecasting.fit import advantages
from featalign.forecasting.forecast import make_forecast
from featalign.forecasting.predictors import CAPABILITIES
from featalign.records.evidence import capability_of
from featalign.study.calibrate import (
    anchored,
    calibrate,
    calibrate_on,
    examples_of,
    left_out,
    left_out_both,
    of_dataset,
    seen_as,
    short_of,
)
from tests.forecasting.examples import REFERENCE, lacking, there, world
from tests.study.examples import evidence_of, records_of, short_records_of

# five data sets of two targets each
WORLD = world(targets=10, sources=3, sizes=(100, 400), together=2, share=0.3, anchors=True)
PLAIN = [replace(each, short=None) for each in WORLD]
OTHER = "set of target 1"  # a data set; these are its targets
ITS_TARGETS = ("target 2", "target 3")


def by_source(example):
    return example.source


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
            anchor=each.anchor and replace(each.anchor, accuracy=each.scratch / 3),
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
        assert own.dataset == each.dataset
        assert own.short is None
        assert own.evidence == each.evidence
        assert own.evidence.capability == "gradients"
        assert own.reference_evidence == each.reference_evidence


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


def test_a_record_without_a_data_set_is_of_one_by_the_name_of_its_target():
    records = records_of(WORLD)
    for each in records:
        if each["target"] in ITS_TARGETS:
            del each["dataset"]
    for each in examples_of(records, evidence_of(WORLD)):
        alone = each.target in ITS_TARGETS
        place = int(each.target.removeprefix("target ")) // 2
        assert each.dataset == (each.target if alone else f"set of target {place}")


def test_the_anchor_is_the_training_from_scratch_of_the_first_seed():
    """That of the source itself, and that of the reference network on the same rows."""
    records = records_of(WORLD, seeds=(0, 1), spread=0.02)
    found = examples_of(records, evidence_of(WORLD))
    assert len(found) == len(WORLD)
    scratch = {key(each): each.scratch for each in WORLD}
    for each in found:
        reference = scratch[REFERENCE, *key(each)[1:]]
        told = there(each.anchor).accuracy, there(each.reference_anchor).accuracy
        assert told == pytest.approx((scratch[key(each)] - 0.01, reference - 0.01))
        assert each.scratch == pytest.approx(scratch[key(each)])  # a mean over both seeds
        assert there(each.anchor).num_test == records[0]["num_test"]


def test_sources_that_share_scratch_share_their_anchor():
    shared = "zoo/source 1"
    records = [
        each | {"scratch": shared} if each["arm"] != "scratch" else each
        for each in records_of(WORLD)
        if each["arm"] != "scratch" or each["source"] == shared
    ]
    scratch = {key(each): each.scratch for each in WORLD}
    for each in examples_of(records, evidence_of(WORLD)):
        accuracy = pytest.approx(scratch[shared, *key(each)[1:]])
        assert each.anchor == each.reference_anchor
        assert (there(each.anchor).accuracy, each.scratch) == (accuracy, accuracy)


def test_where_scratch_was_not_trained_with_that_seed_there_is_no_anchor():
    lost = WORLD[4]
    records = [
        each
        for each in records_of(WORLD, seeds=(0, 1))
        if (each["source"], each["target"], each["size"], each["seed"], each["arm"])
        != (*key(lost), 0, "scratch")
    ]
    without = {key(each) for each in examples_of(records, evidence_of(WORLD)) if not each.anchor}
    assert without == {key(lost)}
    assert key(lost) not in {
        key(each) for each in anchored(examples_of(records, evidence_of(WORLD)))
    }


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
        replace(each, reference_evidence=None) if each.target == "target 0" else each
        for each in PLAIN
    ]
    targets = {f"target {place}" for place in range(1, 10)}
    assert {each.target for each in seen_as(without, "twins")} == targets
    assert len(seen_as(without, "features")) == len(without)


def test_the_reference_serves_where_it_was_looked_at_and_never_trained():
    """Its evidence stands beside black boxes; an anchor needs its training too."""
    records = [each for each in records_of(WORLD) if each["source"] != REFERENCE]
    found = examples_of(records, evidence_of(WORLD))
    assert len(found) == len(WORLD) - 20
    boxes = seen_as(found, "twins")
    assert list(map(key, boxes)) == list(map(key, found))
    for each in boxes:
        assert each.evidence.twins == there(each.reference_evidence).twins
    assert anchored(boxes) == []
    blind = [each for each in evidence_of(WORLD) if each["source"] != REFERENCE]
    assert seen_as(examples_of(records, blind), "twins") == []


def test_a_black_box_with_an_anchor_is_compared_with_the_reference_from_scratch():
    """Its own architecture cannot be trained; with gradients it is compared with its own."""
    for each in anchored(PLAIN):
        own = next(one for one in PLAIN if key(one) == key(each))
        assert (each.scratch, each.anchor) == (own.scratch, own.anchor)
    for capability in ("twins", "features"):
        found = anchored(seen_as(PLAIN, capability))
        assert len(found) == len(PLAIN)
        for each, own in zip(found, PLAIN, strict=True):
            assert each.anchor == own.reference_anchor != own.anchor
            assert each.scratch == there(own.reference_anchor).accuracy != own.scratch
            assert each.accuracy == own.accuracy
            assert each.gain == pytest.approx(own.accuracy - there(own.reference_anchor).accuracy)


def test_examples_without_what_they_are_compared_with_have_no_anchor():
    lost = [replace(PLAIN[0], anchor=None), replace(PLAIN[1], reference_anchor=None), *PLAIN[2:]]
    assert list(map(key, anchored(lost))) == [key(each) for each in PLAIN if each is not PLAIN[0]]
    boxes = anchored(seen_as(lost, "features"))
    assert list(map(key, boxes)) == [key(each) for each in PLAIN if each is not PLAIN[1]]


WITHOUT_RUNS = {(each, tier, None) for each in CAPABILITIES for tier in ("cache", "anchor")}


def made_for(calibration):
    """What the lines of a calibration are for; none is there twice."""
    found = [(each.capability, each.tier, each.share, each.known) for each in calibration.fitted]
    assert len(found) == len(set(found))
    return set(found)


def test_a_calibration_has_lines_for_every_capability_and_says_where_from(tmp_path):
    calibration = calibrate_on(
        records_of(WORLD), evidence_of(WORLD), short_records_of(WORLD), shares=(0.3,)
    )
    expected = WITHOUT_RUNS | {("gradients", "short", 0.3)}
    both = {(*each, known) for each in expected for known in (False, True)}
    assert made_for(calibration) == both
    assert {each.lines.gain.num_groups for each in calibration.fitted} == {5}
    about = calibration.provenance
    assert (about["pairs"], about["records"], about["sizes"]) == (60, 60 * 4, [100, 400])
    assert about["data sets"] == [f"set of target {place}" for place in range(5)]
    assert about["targets"] == [f"target {place}" for place in range(10)]
    assert about["sources"] == sorted({each.source for each in WORLD})
    assert about["pairs with short runs"] == {"0.3": 60}
    assert about["training"] == ["300 steps, batches of 32"]
    assert set(calibration.advantages) == {each.revision for each in WORLD}
    path = tmp_path / "calibration.json"
    path.write_text(calibration.to_json())
    assert read_calibration(path) == calibration
    for tier, given in (("short", "short"), ("anchor", "anchor"), ("cache", None)):
        for each in WORLD[::7]:
            beside = {given: getattr(each, given)} if given else {}
            one, other = (
                make_forecast(each.evidence, each.situation, some, **beside)
                for some in (calibration, read_calibration(path))
            )
            assert one == other
            assert one.tier == tier


def test_without_trainings_of_the_reference_black_boxes_have_no_lines_for_an_anchor():
    lost = [replace(each, reference_anchor=None) for each in PLAIN]
    without = {
        (each, "anchor", None, known) for each in ("twins", "features") for known in (False, True)
    }
    every = {(*each, known) for each in WITHOUT_RUNS for known in (False, True)}
    assert made_for(calibrate(PLAIN, {}, {})) == every
    assert made_for(calibrate(lost, {}, {})) == every - without


def test_short_runs_on_too_few_data_sets_give_no_lines():
    """Four targets of two data sets are two."""
    few = [f"target {place}" for place in range(4)]
    some = short_records_of([each for each in WORLD if each.target in few])
    calibration = calibrate_on(records_of(WORLD), evidence_of(WORLD), some, shares=(0.3,))
    both = {(*each, known) for each in WITHOUT_RUNS for known in (False, True)}
    assert made_for(calibration) == both


@pytest.mark.parametrize("lost", ["no evidence", "two data sets", "other rows"])
def test_too_few_data_sets_are_refused(lost):
    records, evidence = records_of(WORLD), evidence_of(WORLD)
    if lost == "no evidence":
        evidence = []
    elif lost == "two data sets":
        few = [f"target {place}" for place in range(4)]
        evidence = [each for each in evidence if each["target"] in few]
    else:
        evidence = [each | {"fingerprint": "other"} for each in evidence]
    got = "set of target 0, set of target 1;" if lost == "two data sets" else "none;"
    with pytest.raises(
        FeatalignError,
        match=f"expected trained pairs with evidence on at least 3 data sets, got {got}",
    ):
        calibrate_on(records, evidence)


FOLDS = {"data set": (of_dataset, OTHER), "source": (by_source, "zoo/source 1")}


@pytest.mark.parametrize("tier", ["cache", "anchor"])
@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("fold", FOLDS)
def test_what_is_left_out_does_not_see_its_own_outcomes(fold, capability, tier):
    """All targets of a data set are left out together.

    What scratch reached is known beforehand where it is an anchor.
    """
    fold_of, left = FOLDS[fold]
    examples = seen_as(PLAIN, capability)
    examples = anchored(examples) if tier == "anchor" else examples
    changed = with_other_outcomes(examples, lambda each: fold_of(each) == left)
    changed = [
        replace(other, anchor=each.anchor) for each, other in zip(examples, changed, strict=True)
    ]
    before, after = (
        by_key(left_out(some, fold_of, capability, tier)) for some in (examples, changed)
    )
    assert {forecast.tier for forecast in before.values()} == {tier}
    within = [key(each) for each in examples if fold_of(each) == left]
    assert len(within) == (12 if fold == "data set" else 20)
    for where, forecast in before.items():
        assert (forecast == after[where]) == (where in within), where


def test_a_data_set_that_is_left_out_is_left_out_as_a_whole():
    """One of two targets of a data set with other outcomes changes nothing for the other one."""
    changed = with_other_outcomes(PLAIN, lambda each: each.target == ITS_TARGETS[0])
    before, after = (by_key(left_out(some, of_dataset, "gradients")) for some in (PLAIN, changed))
    for where, forecast in before.items():
        assert (forecast == after[where]) == (where[1] in ITS_TARGETS), where
    for example, forecast in left_out(PLAIN, of_dataset, "gradients"):
        others = [each for each in PLAIN if each.dataset != example.dataset]
        calibration = calibrate(others, {}, {})
        evidence = replace(example.evidence, advantage=advantages(others)[example.revision])
        assert forecast == make_forecast(evidence, example.situation, calibration)
        assert forecast.num_data_sets == 4
        break


def test_a_pair_that_is_left_out_sees_neither_its_data_set_nor_its_source():
    before = by_key(left_out_both(PLAIN, "gradients"))
    changed = with_other_outcomes(
        PLAIN, lambda each: each.source == "zoo/source 1" or each.dataset == OTHER
    )
    after = by_key(left_out_both(changed, "gradients"))
    for where, forecast in before.items():
        both = where[0] == "zoo/source 1" and where[1] in ITS_TARGETS
        assert (forecast == after[where]) == both, where


def test_sources_of_one_family_are_left_out_together():
    def family(each):
        return "zoo" if each.source == REFERENCE else "others"

    before = by_key(left_out_both(PLAIN, "gradients", family=family))
    changed = with_other_outcomes(
        PLAIN, lambda each: family(each) == "others" or each.dataset == OTHER
    )
    after = by_key(left_out_both(changed, "gradients", family=family))
    for where, forecast in before.items():
        both = where[0] != REFERENCE and where[1] in ITS_TARGETS
        assert (forecast == after[where]) == both, where


def test_short_runs_that_are_left_out_do_not_leak_either():
    before = by_key(left_out(WORLD, of_dataset, "gradients", "short"))
    assert {forecast.tier for forecast in before.values()} == {"short"}
    changed = with_other_outcomes(WORLD, lambda each: each.dataset == OTHER)
    after = by_key(left_out(changed, of_dataset, "gradients", "short"))
    for where, forecast in before.items():
        assert (forecast == after[where]) == (where[1] in ITS_TARGETS), where


def test_an_anchor_that_is_left_out_is_a_measured_scratch_all_the_same():
    for each, forecast in left_out(PLAIN, of_dataset, "gradients", "anchor"):
        off = forecast.scratch_accuracy.value - there(each.anchor).accuracy
        assert abs(off) < 0.03
    surprise = with_other_outcomes(PLAIN, lambda each: each.dataset == OTHER)
    before, after = (
        by_key(left_out(some, of_dataset, "gradients", "anchor")) for some in (PLAIN, surprise)
    )
    moved = [where for where in before if where[1] in ITS_TARGETS]
    for where in moved:
        assert after[where].scratch_accuracy.value < before[where].scratch_accuracy.value


def test_what_is_left_out_is_forecast_well_all_the_same():
    errors = [
        forecast.gain.value - example.gain
        for example, forecast in left_out(PLAIN, of_dataset, "gradients")
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
    for name, fold in (("data set", of_dataset), ("source", by_source)):
        found = [
            (example, forecast)
            for example, forecast in left_out(examples, fold, "gradients")
            if example.source == "zoo/source 1"
        ]
        misses[name] = np.mean([forecast.gain.value - example.gain for example, forecast in found])
    assert abs(misses["data set"]) < 0.6 * abs(misses["source"])
