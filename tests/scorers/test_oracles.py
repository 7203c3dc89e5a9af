"""Every scorer against its slow, readable version."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

import featalign
from featalign.scorers.registry import SCORERS
from tests import oracles
from tests.scorer_table import FEATURE_ROWS, SCORER_ROWS, ScorerRow
from tests.scorers.cases import CASES, tall, wide

NAMES = [row.name for row in FEATURE_ROWS]


def assert_near(row: ScorerRow, actual: float, expected: float, num_rows: int) -> None:
    assert actual == pytest.approx(
        expected,
        rel=row.relative,
        abs=max(1e-12, (row.rows_off + 1e-6) / num_rows if row.rows_off else 0),
    ), row.name


def test_every_scorer_has_one_row_and_every_row_a_scorer():
    assert sorted(row.name for row in SCORER_ROWS) == sorted(scorer.name for scorer in SCORERS)


def test_the_rows_know_which_scorers_take_regression():
    assert {row.name for row in SCORER_ROWS if row.regression} == {
        scorer.name for scorer in SCORERS if "regression" in scorer.tasks
    }


@pytest.mark.parametrize(("seed", "dtype"), [(0, "float64"), (1, "float32")])
@pytest.mark.parametrize("case", CASES)
def test_equal_to_the_oracle(case, seed, dtype):
    features, labels = case(seed)
    features = features.astype(dtype)
    scores = featalign.score(features, labels, NAMES)
    for row in FEATURE_ROWS:
        assert scores[row.name].ok, (row.name, scores[row.name])
        assert_near(
            row,
            scores[row.name].value,
            row.oracle(features.astype(np.float64), labels),
            len(labels),
        )


@pytest.mark.parametrize("case", [tall, wide])
def test_the_oracle_of_logme_is_the_multivariate_normal_density(case):
    features, labels = case(0)
    column = np.eye(3)[labels][:, 0]
    alpha, beta = oracles.evidence_precisions(features, column)
    covariance = np.eye(len(labels)) / beta + features @ features.T / alpha
    density = multivariate_normal(np.zeros(len(labels)), covariance).logpdf(column)
    assert oracles.log_evidence(features, column) == pytest.approx(density / len(labels), rel=1e-9)


@pytest.mark.parametrize("case", [tall, wide])
def test_regression_equal_to_the_oracle(case):
    features, labels = case(3)
    generator = np.random.default_rng(3)
    targets = (
        features[:, :2] @ generator.normal(size=(2, 2))
        + generator.normal(size=(len(features), 2))
        + [10.0, 0.0]
    )
    scores = featalign.score(features, targets, NAMES)
    for row in FEATURE_ROWS:
        if row.regression:
            assert_near(row, scores[row.name].value, row.oracle(features, targets), len(labels))
        else:
            assert scores[row.name].status is featalign.Status.NOT_FOR_REGRESSION


def test_equal_distances_of_whole_numbers_are_equal():
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 3
    names = ["knn", "knn_1"]
    for _ in range(10):
        features = generator.integers(0, 3, size=(60, 12)).astype(np.float32)
        scores = featalign.score(features, labels, names)
        for row in FEATURE_ROWS:
            if row.name in names:
                assert scores[row.name].value == row.oracle(features.astype(np.float64), labels)


@pytest.mark.slow
def test_the_probe_draws_its_folds_from_the_seed():
    features, labels = tall(5)
    row = next(row for row in FEATURE_ROWS if row.name == "linear_probe")
    for seed in (1, 2):
        value = featalign.score(features, labels, ["linear_probe"], seed=seed)["linear_probe"].value
        assert_near(row, value, row.oracle(features, labels, seed=seed), len(labels))
