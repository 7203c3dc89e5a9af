"""Degenerate input: the right value, or a status that says why there is none.

Never an exception, a warning or a silent NaN.
"""

import math

import ml_dtypes
import numpy as np
import pytest

import featalign
from featalign.records.score import Status
from featalign.scorers.registry import SCORERS
from tests.scorer_table import FEATURE_ROWS
from tests.scorers.cases import imbalanced, tall, wide

NAMES = tuple(row.name for row in FEATURE_ROWS)
ROWS = {row.name: row for row in FEATURE_ROWS}
LABEL_FREE = {scorer.name for scorer in SCORERS if scorer.name in ROWS and not scorer.uses_labels}
SCALE_FREE = tuple(
    scorer.name for scorer in SCORERS if scorer.name in ROWS and "scale" in scorer.invariances
)


def results(features, labels, names=NAMES):
    """All scores, each either a finite value with status OK or NaN with another status."""
    scores = featalign.score(features, labels, names)
    assert tuple(scores) == tuple(names)
    for name, result in scores.items():
        assert math.isfinite(result.value) == result.ok, (name, result)
        assert result.ok or math.isnan(result.value), (name, result)
    return scores


def assert_right(scores, features, labels, *, but=()):
    """Each score with status OK equals the oracle."""
    features = np.asarray(features, np.float64)
    for name, result in scores.items():
        row = ROWS[name]
        if result.ok and name not in but:
            near = pytest.approx(
                row.oracle(features, labels),
                rel=max(row.relative, 1e-7),
                abs=(row.rows_off + 1e-6) / len(labels) if row.rows_off else 1e-12,
            )
            assert result.value == near, name


def statuses(scores):
    return {name: result.status for name, result in scores.items() if not result.ok}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (17, 3), (59, 11)])
def test_a_value_that_is_not_finite(value, place):
    features, labels = tall(0)
    features[place] = value
    assert set(statuses(results(features, labels)).values()) == {Status.NOT_FINITE}
    assert statuses(results(features, labels)).keys() == set(NAMES)


def test_a_value_that_is_not_finite_with_fewer_rows_than_columns():
    features, labels = wide(0)
    features[3, 4] = np.nan
    assert statuses(results(features, labels)) == dict.fromkeys(NAMES, Status.NOT_FINITE)


def test_overflow_of_float16():
    features, labels = tall(0)
    with np.errstate(over="ignore"):
        overflowed = (features * 1e6).astype(np.float16)
    assert np.isinf(overflowed).any()
    assert statuses(results(overflowed, labels)) == dict.fromkeys(NAMES, Status.NOT_FINITE)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_features_are_read_as_the_numbers_they_are(dtype):
    features, labels = tall(0)
    rounded = features.astype(dtype)
    names = ("logme", "cka", "knn_1", "hoyer")
    whole = results(rounded.astype(np.float32), labels, names)
    assert results(rounded, labels, names) == whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("power", "dtype"),
    [
        (100, np.float64),
        (-100, np.float64),
        (100, np.float32),
        (-100, np.float32),
        (220, np.float64),
        (-220, np.float64),
    ],
)
@pytest.mark.parametrize("case", [tall, wide])
def test_huge_and_tiny_scales(case, power, dtype):
    """2^100 is 1.3e30; a power of two changes no digit of the features, so nothing may change."""
    features, labels = case(0)
    features = features.astype(np.float32)
    expected = results(features, labels, SCALE_FREE)
    scaled = results((features.astype(np.float64) * 2.0**power).astype(dtype), labels, SCALE_FREE)
    for name in SCALE_FREE:
        assert scaled[name].value == pytest.approx(expected[name].value, rel=1e-10), name


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_decimal_scales(scale):
    features, labels = imbalanced(0)
    scores = results(features * scale, labels)
    expected = results(features, labels)
    # at 1e30 the prior of pactran lets the weights grow without end
    assert statuses(scores) == ({"pactran": Status.NOT_CONVERGED} if scale > 1 else {})
    for name in SCALE_FREE:
        assert scores[name].value == pytest.approx(expected[name].value, rel=1e-9), name
    assert scores["logme"].value == pytest.approx(
        ROWS["logme"].oracle(features * scale, labels), rel=1e-8
    )


@pytest.mark.parametrize("scale", [1e150, 1e300, 1e-120, 1e-300])
def test_scales_beyond_the_range_of_squares(scale):
    features, labels = tall(0)
    assert set(statuses(results(features * scale, labels)).values()) == {Status.OUT_OF_RANGE}


def test_one_class():
    features, _ = tall(0)
    scores = results(features, np.full(60, 7))
    assert statuses(scores) == dict.fromkeys(set(NAMES) - LABEL_FREE, Status.ONE_CLASS)
    assert_right(scores, features, np.zeros(60, int))


@pytest.mark.slow
def test_a_class_of_one_row():
    features, labels = tall(0)
    labels = np.where(np.arange(60) == 4, 2, labels % 2)
    scores = results(features, labels)
    assert not statuses(scores)
    assert_right(scores, features, labels)


@pytest.mark.slow
def test_two_classes_of_which_one_has_one_row():
    """The debiased norm of these labels is exactly zero.

    Alignment with them is not defined, and rounding must not stand in for it.
    """
    features, labels = tall(0)
    labels = (np.arange(60) == 4).astype(int)
    scores = results(features, labels)
    assert statuses(scores) == {"cka": Status.UNDEFINED}
    assert_right(
        scores, features, labels, but=["linear_probe"]
    )  # a fold has one training class alone, which scikit-learn refuses
    assert scores["linear_probe"].value == 59 / 60


def test_one_row_apart_from_all_others():
    features, labels = tall(0)
    features = np.where(np.arange(60)[:, None] == 4, features, features[0])
    assert results(features, labels)["cka"].status is Status.UNDEFINED


def test_every_row_its_own_class():
    features, _ = wide(0)
    assert results(features, np.arange(30), ["knn_1"])["knn_1"].value == 0


@pytest.mark.slow
@pytest.mark.parametrize("case", [tall, wide])
@pytest.mark.parametrize("constant", [0.0, 1.0, 3.3, "row"])
def test_constant_features(case, constant):
    features, labels = case(0)
    features = np.zeros_like(features) + (
        np.random.default_rng(0).normal(size=features.shape[1]) if constant == "row" else constant
    )
    scores = results(features, labels)
    expected = {"constant": Status.CONSTANT}
    if constant == 0.0:
        expected |= {"constant at zero": Status.CONSTANT, "undefined at zero": Status.UNDEFINED}
    assert statuses(scores) == {
        name: expected[row.alike] for name, row in ROWS.items() if row.alike in expected
    }
    # numpy's covariance is rounding alone here; and for the probe, classes of equal size are a tie
    # that rounding decides
    assert_right(scores, features, labels, but=["h_score", "linear_probe", "pactran"])
    assert scores["h_score"].value == 0
    assert scores["pactran"].value == pytest.approx(
        math.log(3), rel=1e-9
    )  # scikit-learn's solver complains about rows of zeros
    assert scores["linear_probe"].value <= 0.5


def test_a_large_constant_column_hides_nothing():
    features, labels = tall(0)
    expected = results(features, labels)
    features[:, 5] = 0.0
    without = results(features, labels)
    features[:, 5] = 1e9 / 3
    scores = results(features, labels)
    for name in (
        "linear_probe",
        "ridge_probe",
        "knn",
        "h_score",
        "h_score_shrunk",
        "cka",
        "cka_biased",
        "participation_ratio",
    ):
        assert scores[name].value == pytest.approx(without[name].value, rel=1e-8), name
    assert expected["h_score"].value != pytest.approx(without["h_score"].value, rel=1e-3)


@pytest.mark.slow
def test_dead_and_duplicated_columns():
    """Rounding in a duplicated column must not be whitened into signal.

    That made the H-score of 135,902 of a peer.
    """
    features, labels = tall(0)
    features = features.astype(np.float32)
    expected = results(features, labels)
    widened = np.concatenate(
        [features, features[:, ::-1], np.zeros((60, 6), np.float32)], axis=1
    )  # N stays above D
    scores = results(widened, labels, tuple(name for name in NAMES if name != "linear_probe"))
    assert not statuses(scores)
    assert_right(scores, widened, labels)
    assert scores["h_score"].value == pytest.approx(expected["h_score"].value, rel=1e-9)
    assert scores["h_score"].value <= 2


@pytest.mark.slow
def test_one_column():
    features, labels = tall(0)
    scores = results(
        features[:, :1], labels, tuple(name for name in NAMES if name != "linear_probe")
    )
    assert statuses(scores) == dict.fromkeys(["hoyer", "alpha_req", "parc"], Status.UNDEFINED)
    assert_right(scores, features[:, :1], labels)


def test_two_rows():
    features, labels = tall(0)
    scores = results(features[:2], labels[:2])
    too_few = dict.fromkeys(
        ["linear_probe", "ridge_probe", "knn", "knn_5", "cka", "spectral_alignment", "parc"],
        Status.TOO_FEW_ROWS,
    )
    assert statuses(scores) == too_few | dict.fromkeys(
        ["ncti", "ncti_features", "alpha_req"], Status.UNDEFINED
    )
    singular = (
        "sfda",
        "ncti_confidence",
        "ncti_classes",
    )  # no variance within classes: numpy refuses, the limit is certain
    assert_right(scores, features[:2], labels[:2], but=singular)
    assert [scores[name].value for name in singular] == pytest.approx([1, 1, 0], abs=1e-12)


def test_one_row():
    features, _ = tall(0)
    scores = results(features[:1], [3])
    assert set(statuses(scores)) == (set(NAMES) - LABEL_FREE) | {
        name for name in LABEL_FREE if ROWS[name].alike == "constant"
    }
    assert_right(scores, features[:1], np.array([0]))


@pytest.mark.parametrize(
    "relabel",
    [
        lambda labels: np.array([-5, 0, 10**12])[labels],
        lambda labels: np.array(["ant", "bee", "cat"])[labels],
        lambda labels: [["ant", "bee", "cat"][label] for label in labels],
        lambda labels: np.array(["ant", "bee", "cat"], dtype=object)[labels],
        lambda labels: labels[:, None],
        lambda labels: labels.astype(np.uint8),
    ],
    ids=["gaps and negatives", "strings", "list", "objects", "column", "uint8"],
)
def test_labels_of_every_form(relabel):
    features, labels = tall(0)
    assert results(features, relabel(labels)) == results(features, labels)


def test_boolean_labels():
    features, labels = imbalanced(0)
    scores = results(features, labels > 0)
    assert not statuses(scores)
    assert_right(scores, features, (labels > 0).astype(int))


def test_regression_targets_that_do_not_vary():
    features, _ = tall(0)
    scores = results(features, np.full(60, 2.5))
    assert scores["ridge_probe"].status is Status.UNDEFINED
    assert_right(scores, features, np.full((60, 1), 2.5))


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_regression_at_huge_and_tiny_scales(scale):
    features, _ = tall(0)
    targets = features[:, :2] + np.random.default_rng(0).normal(size=(60, 2))
    scores, expected = results(features * scale, targets), results(features, targets)
    assert scores["ridge_probe"].value == pytest.approx(expected["ridge_probe"].value, rel=1e-9)
    assert scores["logme"].value == pytest.approx(
        ROWS["logme"].oracle(features * scale, targets), rel=1e-8
    )


@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_regression_targets_at_huge_and_tiny_scales(scale):
    features, _ = tall(0)
    targets = features[:, :2] + np.random.default_rng(0).normal(size=(60, 2))
    scores, expected = results(features, targets * scale), results(features, targets)
    assert scores["ridge_probe"].value == pytest.approx(expected["ridge_probe"].value, rel=1e-9)
