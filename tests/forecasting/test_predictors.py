"""From evidence to predictors: what each is, where it is nothing, and where it has no value."""

import math

import pytest

from featalign.forecasting.predictors import (
    ADVANTAGE,
    DIFFERENCES,
    KINDS,
    LEVELS,
    Short,
    Situation,
    arm_predictors,
    drift_predictors,
    gain_predictors,
    kind_of,
    scratch_base,
    scratch_predictors,
)

EVIDENCE = {
    "linear_probe": 0.7,
    "twin linear_probe": 0.5,
    "knn": 0.6,
    "logme": 0.2,
    "twin logme": -0.1,
    "lda": 0.6,
    "twin lda": 0.3,
    "label_overlap": 0.4,
    "cka": None,
    "tangent_probe": 0.75,
    "twin tangent_probe": 0.65,
    "reference tangent_probe": 0.6,
}
BLACK_BOX = {name: value for name, value in EVIDENCE.items() if name != "tangent_probe"}
ALONE = {
    name: value for name, value in BLACK_BOX.items() if not name.startswith(("twin", "reference"))
}
BY_KIND = dict(zip(KINDS, (EVIDENCE, BLACK_BOX, ALONE), strict=True))
EIGHT_HUNDRED = Situation(800, 10)
SHORT = Short(0.3, 0.62, 1.0, 0.5, 1.5)


def test_a_situation_counts_from_200_rows():
    assert Situation(200, 4).size == 0
    assert Situation(800, 4).size == pytest.approx(2 * math.log(2))
    assert Situation(100, 4).size == pytest.approx(-math.log(2))
    assert Situation(100, 4).chance == 0.25


def test_the_kind_is_what_the_evidence_holds():
    assert [kind_of(evidence) for evidence in BY_KIND.values()] == list(KINDS)
    assert kind_of(EVIDENCE | {"tangent_probe": None}) == "black box"
    assert kind_of(EVIDENCE | {"twin linear_probe": None}) == "features alone"
    assert kind_of(EVIDENCE | {"twin tangent_probe": None}) == "black box"
    assert (
        kind_of(EVIDENCE | dict.fromkeys(("twin tangent_probe", "reference tangent_probe")))
        == "features alone"
    )


@pytest.mark.parametrize("kind", ["differentiable", "black box"])
def test_predictors_are_differences_to_the_twins_and_these_times_size(kind):
    found = gain_predictors(EVIDENCE, EIGHT_HUNDRED, kind)
    differences = {"linear_probe": 0.2, "logme": 0.3, "lda": 0.3, "tangent_probe": 0.1}
    plain = {name: value for name, value in differences.items() if name in DIFFERENCES[kind]}
    assert {"linear_probe", "lda"} <= set(plain)
    assert ("tangent_probe" in plain) == (kind == "differentiable")
    expected = (
        plain
        | {f"{name} x size": value * math.log(4) for name, value in plain.items()}
        | {"size": math.log(4)}
    )
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["differentiable", "black box"])
def test_a_source_that_is_as_its_twins_are_says_nothing(kind):
    alike = {name: value for name, value in EVIDENCE.items() if not name.startswith("twin")}
    alike |= {f"twin {name}": EVIDENCE[name] for name in DIFFERENCES[kind]}
    found = gain_predictors(alike, EIGHT_HUNDRED, kind, Short(0.3, 0.5, 1.2, 0.5, 1.2))
    assert {name: value for name, value in found.items() if value != 0} == {"size": math.log(4)}


def test_a_missing_value_is_not_a_number_and_spoils_no_other():
    found = gain_predictors(EVIDENCE | {"twin lda": None}, EIGHT_HUNDRED, "differentiable")
    assert {name for name, value in found.items() if math.isnan(value)} == {"lda", "lda x size"}


def test_what_a_source_gained_in_the_study_speaks_where_it_is_known():
    plain, known, unknown = (
        gain_predictors(EVIDENCE | more, EIGHT_HUNDRED, "differentiable")
        for more in ({}, {ADVANTAGE: 0.07}, {ADVANTAGE: None})
    )
    assert known == plain | {ADVANTAGE: 0.07}
    assert math.isnan(unknown[ADVANTAGE])


def test_features_alone_go_by_scores_as_they_are_and_by_chance():
    found = gain_predictors(ALONE, EIGHT_HUNDRED, "features alone")
    assert {name: found[name] for name in LEVELS if name != "cka"} == {
        name: ALONE[name] for name in LEVELS if name != "cka"
    }
    assert math.isnan(found["cka"])
    assert found["chance"] == 0.1
    with_twins = gain_predictors(EVIDENCE, EIGHT_HUNDRED, "features alone")
    assert {name: value for name, value in with_twins.items() if not name.startswith("cka")} == {
        name: value for name, value in found.items() if not name.startswith("cka")
    }


def test_short_runs_add_what_the_source_has_over_scratch():
    plain, found = (
        gain_predictors(EVIDENCE, EIGHT_HUNDRED, "differentiable", short) for short in (None, SHORT)
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
    assert scratch_base(EVIDENCE, "differentiable") == 0.6
    assert scratch_base(BLACK_BOX, "black box") == 0.6
    own = {name: value for name, value in EVIDENCE.items() if name != "reference tangent_probe"}
    assert scratch_base(own, "differentiable") == 0.65
    assert scratch_base(own | {"reference tangent_probe": None}, "differentiable") == 0.65
    assert scratch_base(ALONE, "features alone") == 0.7
    assert scratch_base(EVIDENCE, "differentiable", SHORT) == pytest.approx((0.6 + 0.5) / 2)


def test_the_correction_of_scratch_knows_the_size_and_how_the_own_twins_differ():
    assert scratch_predictors(EVIDENCE, EIGHT_HUNDRED, "differentiable") == pytest.approx(
        {"size": math.log(4), "own twins": 0.05}
    )
    own = EVIDENCE | {"reference tangent_probe": None}
    assert scratch_predictors(own, EIGHT_HUNDRED, "differentiable")["own twins"] == 0
    alone = scratch_predictors(ALONE, EIGHT_HUNDRED, "features alone")
    assert (alone["chance"], alone["size"], alone["knn"]) == (0.1, math.log(4), 0.6)


SIZES = [40, 80, 160, 320]
CURVES = {
    "curve sizes": SIZES,
    "source curve": [0.9 - n**-0.5 for n in SIZES],
    "twin curve": [0.8 - 2 * n**-0.5 for n in SIZES],
}


def test_drift_is_nothing_at_n_itself():
    found = drift_predictors(EVIDENCE | CURVES, EIGHT_HUNDRED, 0.1, 800)
    assert found == {"ratio": 0, "ratio x gain": 0, "ratio x level": 0, "curves": 0}


def test_drift_knows_the_ratio_the_gain_the_level_and_the_curves():
    """800 rows gave curves that end at 320, so that 3,200 rows are 1,280 of these.

    Both curves are power laws, which say what happens there.
    """
    found = drift_predictors(EVIDENCE | CURVES, EIGHT_HUNDRED, 0.1, 3200)
    assert found["ratio"] == pytest.approx(math.log(4))
    assert found["ratio x gain"] == pytest.approx(0.1 * math.log(4))
    assert found["ratio x level"] == pytest.approx(0.7 * math.log(4))
    assert found["curves"] == pytest.approx(
        -(1280**-0.5) + 320**-0.5 - (-2 * 1280**-0.5 + 2 * 320**-0.5), abs=1e-6
    )
    assert drift_predictors(EVIDENCE | CURVES, EIGHT_HUNDRED, 0.1, 200)["ratio"] == pytest.approx(
        -math.log(4)
    )


@pytest.mark.parametrize(
    "lost",
    [
        {"source curve": None},
        {"twin curve": [0.3, 0.4, None, 0.6]},
        {"curve sizes": []},
        {"twin curve": []},
    ],
)
def test_curves_that_are_not_there_are_not_a_number(lost):
    found = drift_predictors(EVIDENCE | CURVES | lost, EIGHT_HUNDRED, 0.1, 3200)
    assert math.isnan(found["curves"])
    assert found["ratio"] == pytest.approx(math.log(4))


def test_arms_go_by_what_probes_of_the_source_reach():
    found = arm_predictors(EVIDENCE, EIGHT_HUNDRED, "differentiable")
    assert found["tangent less probe"] == pytest.approx(0.05)
    assert (found["linear_probe"], found["tangent_probe"], found["chance"]) == (0.7, 0.75, 0.1)
    without = arm_predictors(BLACK_BOX, EIGHT_HUNDRED, "black box")
    assert without == {name: value for name, value in found.items() if "tangent" not in name}
