"""From evidence to predictors: what each is, where it is nothing, and where it has no value."""

import math
from dataclasses import replace

import pytest

from featalign.forecasting.predictors import (
    ADVANTAGE,
    CAPABILITIES,
    DIFFERENCES,
    LEVELS,
    Short,
    Situation,
    arm_predictors,
    drift_predictors,
    gain_predictors,
    scratch_base,
    scratch_predictors,
)
from featalign.records.evidence import Curves, Evidence, capability_of
from tests.forecasting.examples import lacking

EVIDENCE = Evidence(
    capability="gradients",
    own={
        "linear_probe": 0.7,
        "knn": 0.6,
        "logme": 0.2,
        "lda": 0.6,
        "label_overlap": 0.4,
        "tangent_probe": 0.75,
    },
    twins={"linear_probe": 0.5, "logme": -0.1, "lda": 0.3, "tangent_probe": 0.65},
    reference=0.6,
)
TWINS = replace(lacking(EVIDENCE, "tangent_probe"), capability="twins")
ALONE = replace(TWINS, capability="features", twins={}, reference=None)
EIGHT_HUNDRED = Situation(800, 10)
SHORT = Short(0.3, 0.62, 1.0, 0.5, 1.5)


def test_a_situation_counts_from_200_rows():
    assert Situation(200, 4).size == 0
    assert Situation(800, 4).size == pytest.approx(2 * math.log(2))
    assert Situation(100, 4).size == pytest.approx(-math.log(2))
    assert Situation(100, 4).chance == 0.25


def allowed(evidence, *, own_twins=True):
    return capability_of(evidence.own, evidence.twins, evidence.reference, own_twins=own_twins)


def test_the_capability_is_what_the_evidence_holds():
    assert [allowed(evidence) for evidence in (EVIDENCE, TWINS, ALONE)] == list(CAPABILITIES)
    assert [each.capability for each in (EVIDENCE, TWINS, ALONE)] == list(CAPABILITIES)
    assert allowed(lacking(EVIDENCE, "tangent_probe")) == "twins"
    assert allowed(lacking(EVIDENCE, twins=("linear_probe",))) == "features"
    without = lacking(EVIDENCE, twins=("tangent_probe",))
    assert allowed(without) == "twins"
    assert allowed(replace(without, reference=None)) == "features"
    assert allowed(EVIDENCE, own_twins=False) == "twins"


@pytest.mark.parametrize("capability", ["gradients", "twins"])
def test_predictors_are_differences_to_the_twins_and_these_times_size(capability):
    found = gain_predictors(EVIDENCE, EIGHT_HUNDRED, capability)
    differences = {"linear_probe": 0.2, "logme": 0.3, "lda": 0.3, "tangent_probe": 0.1}
    plain = {name: value for name, value in differences.items() if name in DIFFERENCES[capability]}
    assert {"linear_probe", "lda"} <= set(plain)
    assert ("tangent_probe" in plain) == (capability == "gradients")
    expected = (
        plain
        | {f"{name} x size": value * math.log(4) for name, value in plain.items()}
        | {"size": math.log(4)}
    )
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("capability", ["gradients", "twins"])
def test_a_source_that_is_as_its_twins_are_says_nothing(capability):
    twins = {name: EVIDENCE.own[name] for name in DIFFERENCES[capability]}
    alike = replace(EVIDENCE, twins=twins)
    found = gain_predictors(alike, EIGHT_HUNDRED, capability, Short(0.3, 0.5, 1.2, 0.5, 1.2))
    assert {name: value for name, value in found.items() if value != 0} == {"size": math.log(4)}


def test_a_missing_value_is_not_a_number_and_spoils_no_other():
    found = gain_predictors(lacking(EVIDENCE, twins=("lda",)), EIGHT_HUNDRED, "gradients")
    assert {name for name, value in found.items() if math.isnan(value)} == {"lda", "lda x size"}


def test_what_a_source_gained_in_the_study_speaks_where_it_is_known():
    plain, known, unknown = (
        gain_predictors(replace(EVIDENCE, advantage=advantage), EIGHT_HUNDRED, "gradients")
        for advantage in (None, 0.07, math.nan)
    )
    assert known == plain | {ADVANTAGE: 0.07}
    assert math.isnan(unknown[ADVANTAGE])


def test_features_alone_go_by_scores_as_they_are_and_by_chance():
    found = gain_predictors(ALONE, EIGHT_HUNDRED, "features")
    assert {name: found[name] for name in LEVELS if name != "cka"} == {
        name: ALONE.own[name] for name in LEVELS if name != "cka"
    }
    assert math.isnan(found["cka"])
    assert found["chance"] == 0.1
    with_twins = gain_predictors(EVIDENCE, EIGHT_HUNDRED, "features")
    assert {name: value for name, value in with_twins.items() if not name.startswith("cka")} == {
        name: value for name, value in found.items() if not name.startswith("cka")
    }


def test_short_runs_add_what_the_source_has_over_scratch():
    plain, found = (
        gain_predictors(EVIDENCE, EIGHT_HUNDRED, "gradients", short) for short in (None, SHORT)
    )
    added = {name: value for name, value in found.items() if name not in plain}
    assert added == pytest.approx(
        {
            "short accuracy": 0.12,
            "short loss": math.log(1.5),
            "short accuracy x size": 0.12 * math.log(4),
            "short loss x size": math.log(1.5) * math.log(4),
        }
    )


def test_scratch_is_what_fresh_weights_of_the_reference_reach():
    assert scratch_base(EVIDENCE, "gradients") == 0.6
    assert scratch_base(TWINS, "twins") == 0.6
    assert scratch_base(replace(EVIDENCE, reference=None), "gradients") == 0.65
    assert scratch_base(ALONE, "features") == 0.7
    assert scratch_base(EVIDENCE, "gradients", SHORT) == pytest.approx((0.6 + 0.5) / 2)


def test_the_correction_of_scratch_knows_the_size_and_how_the_own_twins_differ():
    assert scratch_predictors(EVIDENCE, EIGHT_HUNDRED, "gradients") == pytest.approx(
        {"size": math.log(4), "own twins": 0.05}
    )
    own = replace(EVIDENCE, reference=None)
    assert scratch_predictors(own, EIGHT_HUNDRED, "gradients")["own twins"] == 0
    alone = scratch_predictors(ALONE, EIGHT_HUNDRED, "features")
    assert (alone["chance"], alone["size"], alone["knn"]) == (0.1, math.log(4), 0.6)


SIZES = (40, 80, 160, 320)
CURVES = Curves(
    sizes=SIZES,
    source=tuple(0.9 - n**-0.5 for n in SIZES),
    twin=tuple(0.8 - 2 * n**-0.5 for n in SIZES),
)
WITH_CURVES = replace(EVIDENCE, curves=CURVES)


def test_drift_is_nothing_at_n_itself():
    found = drift_predictors(WITH_CURVES, EIGHT_HUNDRED, 0.1, 800)
    assert found == {"ratio": 0, "ratio x gain": 0, "ratio x level": 0, "curves": 0}


def test_drift_knows_the_ratio_the_gain_the_level_and_the_curves():
    """800 rows gave curves that end at 320, so that 3,200 rows are 1,280 of these.

    Both curves are power laws, which say what happens there.
    """
    found = drift_predictors(WITH_CURVES, EIGHT_HUNDRED, 0.1, 3200)
    assert found["ratio"] == pytest.approx(math.log(4))
    assert found["ratio x gain"] == pytest.approx(0.1 * math.log(4))
    assert found["ratio x level"] == pytest.approx(0.7 * math.log(4))
    assert found["curves"] == pytest.approx(
        -(1280**-0.5) + 320**-0.5 - (-2 * 1280**-0.5 + 2 * 320**-0.5), abs=1e-6
    )
    assert drift_predictors(WITH_CURVES, EIGHT_HUNDRED, 0.1, 200)["ratio"] == pytest.approx(
        -math.log(4)
    )


@pytest.mark.parametrize(
    "lost",
    [
        {"source": (None,) * 4},
        {"source": ()},
        {"twin": (0.3, 0.4, None, 0.6)},
        {"sizes": ()},
        {"twin": ()},
    ],
)
def test_curves_that_are_not_there_are_not_a_number(lost):
    for curves in (replace(CURVES, **lost), None):
        evidence = replace(EVIDENCE, curves=curves)
        found = drift_predictors(evidence, EIGHT_HUNDRED, 0.1, 3200)
        assert math.isnan(found["curves"])
        assert found["ratio"] == pytest.approx(math.log(4))


def test_arms_go_by_what_probes_of_the_source_reach():
    found = arm_predictors(EVIDENCE, EIGHT_HUNDRED, "gradients")
    assert found["tangent less probe"] == pytest.approx(0.05)
    assert (found["linear_probe"], found["tangent_probe"], found["chance"]) == (0.7, 0.75, 0.1)
    without = arm_predictors(TWINS, EIGHT_HUNDRED, "twins")
    assert without == {name: value for name, value in found.items() if "tangent" not in name}
