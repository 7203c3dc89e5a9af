"""Metrics against scikit-learn and SciPy, and what the probes make of them."""

from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn import metrics as sk

import featalign as fa
from featalign.arrays import Task
from featalign.errors import FeatalignError
from featalign.metrics import (
    METRIC_NAMES,
    METRICS,
    bounds,
    default_metric,
    jackknife,
    metric_for,
    predicted,
)
from featalign.scorers.ridge_probe import means_without
from tests import oracles

ranks_agree: Any = lambda one, other: spearmanr(one, other)[0]  # noqa: E731
NOTHING: Any = 0  # the stubs know words alone


def classes(seed, count=90, number=4):
    """Unbalanced classes, and scores of which some are equal."""
    random = np.random.default_rng(seed)
    labels = np.minimum(random.geometric(0.5, count) - 1, number - 1)
    scores = random.normal(size=(count, number)).round(1)
    scores[np.arange(count), labels] += 1
    return labels, scores


def several(seed, count=60):
    random = np.random.default_rng(seed)
    labels = (random.random((count, 3)) < (0.5, 0.2, 0.1)).astype(np.uint8)
    return labels, (random.normal(size=(count, 3)) + 2 * labels - 1).round(1)


def numbers(seed, count=50):
    random = np.random.default_rng(seed)
    targets = random.normal(size=(count, 2)).round(1)
    return targets, (targets + random.normal(size=(count, 2))).round(1)


def one_versus_rest(labels, scores):
    occurring = np.unique(labels)
    return np.mean([sk.average_precision_score(labels == c, scores[:, c]) for c in occurring])


REFERENCES = {
    ("classification", "accuracy"): lambda y, s: sk.accuracy_score(y, s.argmax(axis=1)),
    ("classification", "balanced_accuracy"): lambda y, s: sk.recall_score(
        y, s.argmax(axis=1), average="macro", labels=np.unique(y)
    ),
    ("classification", "macro_f1"): lambda y, s: sk.f1_score(
        y, s.argmax(axis=1), average="macro", zero_division=NOTHING
    ),
    ("classification", "average_precision"): one_versus_rest,
    ("multilabel", "accuracy"): lambda y, s: 1 - sk.hamming_loss(y, s > 0),
    ("multilabel", "macro_f1"): lambda y, s: sk.f1_score(
        y, s > 0, average="macro", zero_division=NOTHING
    ),
    ("multilabel", "average_precision"): lambda y, s: sk.average_precision_score(y, s),
    ("regression", "r2"): sk.r2_score,
    ("regression", "spearman"): lambda y, s: np.mean(
        [ranks_agree(y[:, k], s[:, k]) for k in range(2)]
    ),
}
EXAMPLES = {"classification": classes, "multilabel": several, "regression": numbers}


def test_every_metric_of_every_task_has_a_reference():
    assert set(REFERENCES) == {(task, each.name) for each in METRICS for task in each.tasks}
    assert tuple(each.name for each in METRICS) == METRIC_NAMES


@pytest.mark.parametrize(("task", "name"), REFERENCES)
@pytest.mark.parametrize("seed", range(4))
def test_values_are_those_of_scikit_learn(task, name, seed):
    labels, scores = EXAMPLES[task](seed)
    value = metric_for(task, name).compute(labels, scores)
    assert value == pytest.approx(REFERENCES[task, name](labels, scores), abs=1e-12)
    assert metric_for(task, name).low <= value <= metric_for(task, name).high


def test_classes_that_do_not_occur():
    labels, scores = np.array([0, 0, 2, 2]), np.eye(4)[[0, 1, 2, 2]]
    found = {name: metric_for("classification", name) for name in METRIC_NAMES[:4]}
    assert found["balanced_accuracy"].compute(labels, scores) == 0.75
    # class 1 is predicted and does not occur, class 3 neither
    assert found["macro_f1"].compute(labels, scores) == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert found["average_precision"].compute(labels, scores) == pytest.approx((0.75 + 1) / 2)


def test_what_is_not_defined_is_nan():
    constant, varying = np.ones((5, 1)), np.arange(5.0)[:, None]
    assert np.isnan(metric_for("regression", "r2").compute(constant, varying))
    assert np.isnan(metric_for("regression", "spearman").compute(varying, constant))
    none = metric_for("multilabel", "average_precision").compute(np.zeros((3, 2)), np.ones((3, 2)))
    assert np.isnan(none)


@pytest.mark.parametrize(
    ("task", "name", "fitting"),
    [
        ("regression", "accuracy", "r2, spearman"),
        ("classification", "r2", "accuracy, balanced_accuracy, macro_f1, average_precision"),
        ("multilabel", "balanced_accuracy", "accuracy, macro_f1, average_precision"),
        ("classification", "auc", "accuracy, balanced_accuracy"),
    ],
)
def test_metrics_that_do_not_fit_are_refused(task, name, fitting):
    with pytest.raises(FeatalignError, match=f"metric: expected one of {fitting}"):
        metric_for(task, name)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    labels, scores = classes(0, count=400)
    error = jackknife(metric_for("classification", "accuracy").compute, labels, scores)
    share = (predicted(labels, scores) == labels).mean()
    assert error == pytest.approx(1.677 * np.sqrt(share * (1 - share) / 400), rel=0.3)


def test_bounds_heed_groups_and_the_range():
    labels, scores = classes(1, count=200)
    metric = metric_for("classification", "macro_f1")
    groups = np.repeat(np.arange(20), 10)
    scores[:100] = np.eye(4)[labels[:100]]  # groups are all right, or as they come
    plain, grouped = bounds(metric, labels, scores), bounds(metric, labels, scores, groups)
    assert plain is not None
    assert grouped is not None
    assert grouped[1] - grouped[0] > plain[1] - plain[0]
    right = np.eye(4)[labels]
    assert bounds(metric, labels, right) == (1.0, 1.0)
    assert bounds(metric, labels, scores, np.zeros(200)) is None


def rare(seed=0, count=200):
    """A class of a tenth that only one direction tells, weakly."""
    random = np.random.default_rng(seed)
    labels = (np.arange(count) % 10 == 0).astype(int)
    return random.normal(size=(count, 8)) + 1.5 * labels[:, None] * np.eye(8)[0], labels


@pytest.mark.parametrize("name", ["balanced_accuracy", "macro_f1", "average_precision"])
def test_probes_are_judged_by_the_metric(name):
    features, labels = rare()
    plain = fa.score(features, labels, ["linear_probe", "ridge_probe", "knn"])
    found = fa.score(features, labels, ["linear_probe", "ridge_probe", "knn"], metric=name)
    for probe in ("linear_probe", "ridge_probe"):
        assert plain[probe].value > 0.88
        assert 0.4 < found[probe].value < 0.85
    assert found["knn"] == plain["knn"]


@pytest.mark.parametrize("name", ["macro_f1", "average_precision", "accuracy"])
def test_the_linear_probe_is_the_best_penalty_of_the_oracle(name):
    features, labels = rare(1, count=120)
    value = fa.score(features, labels, ["linear_probe"], metric=name)["linear_probe"].value
    judge = metric_for("classification", name).compute
    expected = max(judge(labels, each) for each in oracles.held_out_probabilities(features, labels))
    assert value == pytest.approx(expected, abs=2e-3)


def test_the_default_metric_changes_nothing():
    features, labels = rare()
    given: dict[Task, Any] = {"classification": labels, "regression": features[:, :1]}
    for task, values in given.items():
        one = fa.score(features, values, ["ridge_probe"], intervals=True)
        other = fa.score(
            features, values, ["ridge_probe"], intervals=True, metric=default_metric(task)
        )
        assert one == other


@pytest.mark.parametrize(
    ("task", "name"), [("regression", "spearman"), ("classes", "average_precision")]
)
def test_ranks_of_left_out_rows_say_nothing_where_there_is_nothing(task, name):
    """Without a common zero the mean of all other rows would rank each row in reverse."""
    found = []
    for seed in range(6):
        random = np.random.default_rng(seed)
        features = random.normal(size=(80, 5))
        labels = random.normal(size=80) if task == "regression" else np.arange(80) % 2
        found.append(fa.score(features, labels, ["ridge_probe"], metric=name)["ridge_probe"].value)
    assert abs(np.mean(found) - (0 if task == "regression" else 0.5)) < 0.15


def test_means_without_groups():
    columns = np.array([[1.0], [2.0], [6.0]])
    assert means_without(columns, np.array([4, 4, 9]))[:, 0].tolist() == [6, 6, 1.5]


def test_intervals_and_zeros_under_a_metric():
    features, labels = rare(2)
    found = fa.score(features, labels, ["linear_probe"], intervals=True, metric="balanced_accuracy")
    (result,) = found.values()
    assert result.interval is not None
    assert result.zero is not None
    assert result.interval[0] < result.value < result.interval[1]
    assert 0.4 < result.zero.mean < 0.6


def test_several_labels_and_numbers_under_a_metric():
    random = np.random.default_rng(0)
    features = random.normal(size=(100, 6))
    labels = (features[:, :3] + random.normal(size=(100, 3)) > 1).astype(np.uint8)
    for name in ("macro_f1", "average_precision"):
        found = fa.score(features, labels, ["linear_probe", "ridge_probe"], metric=name)
        assert all(0.3 < each.value < 0.95 for each in found.values())
    found = fa.score(features, np.exp(3 * features[:, :1]), ["ridge_probe"], metric="spearman")
    plain = fa.score(features, np.exp(3 * features[:, :1]), ["ridge_probe"])
    assert found["ridge_probe"].value > 0.8 > plain["ridge_probe"].value


def ranked(tmp_path, **options):
    features, labels = rare()
    source = fa.Source.from_function("same", np.asarray, revision="1")
    target = fa.Target.from_arrays("rare", features.astype(np.float32), labels)
    return fa.rank(source, target, cache=tmp_path, scorers=["linear_probe"], **options)


def test_a_ranking_carries_its_metric_and_its_key(tmp_path):
    plain, judged = ranked(tmp_path), ranked(tmp_path, metric="macro_f1")
    assert (plain.metric, judged.metric) == ("accuracy", "macro_f1")
    assert plain.best.scores["linear_probe"].value > judged.best.scores["linear_probe"].value
    assert ranked(tmp_path, metric="accuracy") == plain
    assert fa.Ranking.from_json(judged.to_json()) == judged
    assert "ordered by linear_probe (macro_f1)" in " ".join(str(judged).split())
    assert "there is no forecast, which is of accuracy alone" in judged.target_warnings[-1]


def test_imbalance_is_said(tmp_path):
    (said,) = ranked(tmp_path).target_warnings
    assert said.startswith("classes are unbalanced: 0 has 180 rows, 1 20 (9 to 1); who always says")


def test_a_forecast_under_another_metric_is_refused(tmp_path):
    with pytest.raises(FeatalignError, match="forecasts are of accuracy alone"):
        ranked(tmp_path, metric="macro_f1", forecast=True)
    with pytest.raises(FeatalignError, match="forecasts are of accuracy alone"):
        ranked(tmp_path, metric="macro_f1", effort="short")
