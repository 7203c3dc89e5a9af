"""From evidence to predictors: what each is, where it is nothing, and where it has no value."""

import math
from dataclasses import replace

import pytest

from featalign.forecasting.predictors import (
    ADVANTAGE,
    BELOW,
    CAPABILITIES,
    DIFFERENCES,
    LEAD,
    LEVELS,
    RIDGE_ERROR,
    accuracy_base,
    accuracy_predictors,
    arm_predictors,
    gain_predictors,
    growth_predictors,
)
from featalign.forecasting.situation import Short, Situation
from featalign.records.evidence import Evidence, capability_of
from tests.forecasting.examples import lacking, odds

EVIDENCE = Evidence(
    capability="gradients",
    own={
        "linear_probe": 0.7,
        "knn": 0.6,
        "logme": 0.2,
        "lda": 0.6,
        "label_overlap": 0.4,
        "spectral_alignment": 0.45,
        "tangent_probe": 0.75,
    },
    twins={"linear_probe": 0.5, "logme": -0.1, "lda": 0.3, "tangent_probe": 0.65},
    reference=0.6,
)
TWINS = replace(lacking(EVIDENCE, "tangent_probe"), capability="twins")
ALONE = replace(TWINS, capability="features", twins={}, reference=None)
EIGHT_HUNDRED = Situation(800, 10)
SHORT = Short(0.3, 0.62, 1.0, 0.5, 1.5)


def at(share):
    """The log-odds of a share of 800 rows."""
    return odds(share, 800)


def test_a_situation_counts_from_200_rows():
    assert Situation(200, 4).size == 0
    assert Situation(800, 4).size == pytest.approx(2 * math.log(2))
    assert Situation(100, 4).size == pytest.approx(-math.log(2))


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
def test_predictors_are_differences_to_the_twins_in_log_odds(capability):
    found = gain_predictors(EVIDENCE, EIGHT_HUNDRED, capability)
    shares = {"linear_probe": (0.7, 0.5), "lda": (0.6, 0.3)}
    shares |= {"tangent_probe": (0.75, 0.65)} if capability == "gradients" else {}
    assert set(shares) == set(DIFFERENCES[capability])
    differences = {name: at(own) - at(twin) for name, (own, twin) in shares.items()}
    assert found == pytest.approx(differences | {BELOW: 0.0, "size": math.log(4)})


@pytest.mark.parametrize(("own", "below"), [(0.2, True), (0.4, False)])
def test_a_loss_in_features_counts_once_more(own, below):
    features = replace(EVIDENCE, own={**EVIDENCE.own, "lda": own})
    found = gain_predictors(features, EIGHT_HUNDRED, "twins")
    assert (found["lda"] < 0) == below
    assert found[BELOW] == (found["lda"] if below else 0.0)


@pytest.mark.parametrize("capability", ["gradients", "twins"])
def test_a_source_that_is_as_its_twins_are_says_nothing(capability):
    twins = {name: EVIDENCE.own[name] for name in DIFFERENCES[capability]}
    alike = replace(EVIDENCE, twins=twins)
    found = gain_predictors(alike, EIGHT_HUNDRED, capability, Short(0.3, 0.5, 1.2, 0.5, 1.2))
    assert {name: value for name, value in found.items() if value != 0} == {"size": math.log(4)}


def test_a_missing_value_is_not_a_number_and_spoils_no_other():
    found = gain_predictors(lacking(EVIDENCE, twins=("lda",)), EIGHT_HUNDRED, "gradients")
    assert {name for name, value in found.items() if math.isnan(value)} == {"lda", BELOW}


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_scores_at_the_ends_have_finite_predictors(share):
    own = dict.fromkeys(EVIDENCE.own, share)
    ends = replace(EVIDENCE, own=own, reference=1 - share)
    found = gain_predictors(ends, EIGHT_HUNDRED, "gradients", Short(0.3, share, 0.0, 1 - share, 0))
    found |= accuracy_predictors(ends, EIGHT_HUNDRED)
    assert all(map(math.isfinite, found.values()))


def test_what_a_source_gained_in_the_study_speaks_where_it_is_known():
    plain, known, unknown = (
        gain_predictors(replace(EVIDENCE, advantage=advantage), EIGHT_HUNDRED, "gradients")
        for advantage in (None, 0.07, math.nan)
    )
    assert known == plain | {ADVANTAGE: 0.07}
    assert math.isnan(unknown[ADVANTAGE])


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_a_trained_scratch_speaks_by_what_the_accuracy_has_over_it(capability):
    plain, found = (
        gain_predictors(EVIDENCE, EIGHT_HUNDRED, capability, lead=lead) for lead in (None, 0.3)
    )
    assert found == plain | {LEAD: 0.3}
    nothing = gain_predictors(EVIDENCE, EIGHT_HUNDRED, capability, lead=0.0)
    assert nothing == plain | {LEAD: 0.0}


def test_features_alone_go_by_scores_as_they_are_and_by_chance():
    found = gain_predictors(ALONE, EIGHT_HUNDRED, "features")
    wanted = {name: at(ALONE.own[name]) for name in LEVELS}
    assert found == pytest.approx(wanted | {"chance": at(0.1), "size": math.log(4)})
    assert gain_predictors(EVIDENCE, EIGHT_HUNDRED, "features") == found


def test_short_runs_add_what_the_source_has_over_scratch():
    plain, found = (
        gain_predictors(EVIDENCE, EIGHT_HUNDRED, "gradients", short) for short in (None, SHORT)
    )
    added = {name: value for name, value in found.items() if name not in plain}
    assert added == pytest.approx(
        {"short accuracy": at(0.62) - at(0.5), "short loss": math.log(1.5)}
    )


def test_accuracy_starts_at_what_fresh_weights_of_the_reference_reach():
    assert accuracy_base(EVIDENCE, EIGHT_HUNDRED) == pytest.approx(at(0.6))
    assert accuracy_base(TWINS, EIGHT_HUNDRED) == pytest.approx(at(0.6))
    without = replace(EVIDENCE, reference=None)
    assert accuracy_base(without, EIGHT_HUNDRED) == pytest.approx(at(0.7))
    assert accuracy_base(ALONE, EIGHT_HUNDRED) == pytest.approx(at(0.7))


def test_the_correction_of_the_accuracy_knows_own_scores_over_the_start_and_the_size():
    plain = {"linear_probe": at(0.7) - at(0.6), "lda": 0.0, "size": math.log(4)}
    plain[RIDGE_ERROR] = 0.45
    assert accuracy_predictors(EVIDENCE, EIGHT_HUNDRED) == pytest.approx(plain)
    assert accuracy_predictors(TWINS, EIGHT_HUNDRED) == pytest.approx(plain)
    with_runs = accuracy_predictors(EVIDENCE, EIGHT_HUNDRED, SHORT)
    assert with_runs == pytest.approx(plain | {"short level": at(0.62) - at(0.6)})
    alone = accuracy_predictors(ALONE, EIGHT_HUNDRED)
    assert (alone["linear_probe"], alone["lda"]) == pytest.approx((0, at(0.6) - at(0.7)))


def test_growth_is_nothing_at_n_itself():
    assert growth_predictors(EIGHT_HUNDRED, 800, 0.7) == {"ratio": 0, "ratio x level": 0}


def test_growth_knows_the_ratio_alone_and_times_the_level():
    more, less = (growth_predictors(EIGHT_HUNDRED, size, -0.5) for size in (3200, 200))
    assert more == pytest.approx({"ratio": math.log(4), "ratio x level": -0.5 * math.log(4)})
    assert less == pytest.approx({name: -value for name, value in more.items()})


def test_arms_go_by_what_probes_of_the_source_reach():
    found = arm_predictors(EVIDENCE, EIGHT_HUNDRED, "gradients")
    assert found["tangent less probe"] == pytest.approx(0.05)
    assert (found["linear_probe"], found["tangent_probe"], found["chance"]) == (0.7, 0.75, 0.1)
    without = arm_predictors(TWINS, EIGHT_HUNDRED, "twins")
    assert without == {name: value for name, value in found.items() if "tangent" not in name}
