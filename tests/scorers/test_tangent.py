"""Tangent scores: against their oracles, their interval, curve and zero, and what they say of black boxes."""

import numpy as np
import pytest

import featalign as fa
from featalign.arrays import Labels, check_labels
from featalign.scorers.intervals import evaluate_with_intervals
from featalign.scorers.registry import select
from featalign.scorers.scorer import Status, evaluate
from featalign.scorers.tangent import tangent_curve, tangent_folds
from featalign.statistics.gather import gather
from featalign.statistics.tangent import Draw, Tangent
from tests.scorer_table import TANGENT_ROWS

SCORERS = select([row.name for row in TANGENT_ROWS])
COUNT = 45


def evidence(labels: Labels, *, signal=1.5, twin_signal=0.5, twins=2, draws=2, seed=0):
    random = np.random.default_rng(seed)
    columns = np.eye(3)[labels.values] if labels.num_classes else np.hstack([labels.values] * 2)[:, :3]
    count = len(labels.values)

    def draws_with(strength):
        features = random.normal(size=(count, 6)) + strength * columns @ random.normal(size=(columns.shape[1], 6))
        return tuple(
            Draw(features, random.normal(size=(count, 9)) + strength * columns @ random.normal(size=(columns.shape[1], 9))) for _ in range(draws)
        )

    return Tangent(labels, np.arange(count), tangent_folds(labels, 0), draws_with(signal), tuple(draws_with(twin_signal) for _ in range(twins)))


def labels_of(task):
    random = np.random.default_rng(3)
    if task == "classification":
        return check_labels(random.permutation(np.arange(COUNT) % 3), COUNT)
    return check_labels(random.normal(size=(COUNT, 2)) if task == "regression" else random.integers(0, 2, (COUNT, 2)), COUNT)


def statistics_of(tangent, **options):
    return gather(np.ones((len(tangent.labels.values), 2)), tangent.labels, frozenset({"tangent"}), tangent=tangent, **options)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_equal_to_the_oracle(task):
    tangent = evidence(labels_of(task), draws=1)
    statistics = statistics_of(tangent)
    pairs = [[(draw.features, draw.gradients) for draw in draws] for draws in (tangent.source, *tangent.twins)]
    for scorer, row in zip(SCORERS, TANGENT_ROWS, strict=True):
        given = (pairs[0],) if row.name == "tangent_probe" else (pairs[0], pairs[1:])
        expected = row.oracle(*given, tangent.labels.values, tangent.folds)
        assert evaluate(scorer, statistics).value == pytest.approx(expected, rel=row.relative), row.name


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_a_better_source_gains_and_its_interval_says_so(task):
    labels = labels_of(task)
    probe, gain = (evaluate(scorer, statistics_of(evidence(labels, signal=2.0, twin_signal=0.1))) for scorer in SCORERS)
    assert probe.value > 0.6
    assert gain.interval is not None
    assert 0 < gain.interval[0] < gain.value < gain.interval[1]
    none = evaluate(SCORERS[1], statistics_of(evidence(labels, signal=0.5, twin_signal=0.5)))
    assert none.interval is not None
    assert none.interval[0] < 0.15


def test_the_interval_holds_the_scatter_over_new_rows_and_twins():
    values, halves = [], []
    for seed in range(30):
        labels = check_labels(np.random.default_rng([seed, 5]).permutation(np.arange(90) % 3), 90)
        result = evaluate(SCORERS[1], statistics_of(evidence(labels, signal=0.6, twin_signal=0.4, seed=seed, draws=1)))
        assert result.interval is not None
        values.append(result.value)
        halves.append((result.interval[1] - result.interval[0]) / 2)
    assert np.mean(halves) > 0.7 * 1.645 * np.std(values, ddof=1)


def test_zero_under_permuted_labels():
    tangent = evidence(labels_of("classification"), signal=2.0)
    statistics = statistics_of(tangent, for_intervals=True)
    results = evaluate_with_intervals(SCORERS, statistics)
    probe, gain = results["tangent_probe"], results["tangent_gain"]
    assert probe.zero is not None
    assert gain.zero is not None
    assert 0.2 < probe.zero.mean < 0.45
    assert abs(gain.zero.mean) < 0.1
    assert gain.interval == evaluate(SCORERS[1], statistics_of(tangent)).interval


def test_the_curve_ends_at_the_scores_and_rises():
    tangent = evidence(labels_of("classification"), signal=1.0)
    curve = tangent_curve(tangent)
    assert list(curve) == [4, 9, 18, 36]
    statistics = statistics_of(tangent)
    probe, gain = (evaluate(scorer, statistics).value for scorer in SCORERS)
    assert curve[36] == pytest.approx((probe, probe - gain))
    assert curve[4][0] < curve[36][0]


def test_black_boxes_few_rows_and_no_twins():
    labels = labels_of("classification")
    for result in fa.score(np.ones((COUNT, 2)), labels.values, [scorer.name for scorer in SCORERS]).values():
        assert result.status is Status.BLACK_BOX
        assert result.status.value.startswith("not available (black box)")
    alone = statistics_of(evidence(labels, twins=0))
    assert evaluate(SCORERS[0], alone).ok
    assert evaluate(SCORERS[1], alone).status is Status.BLACK_BOX
    few = check_labels(np.arange(9) % 3, 9)
    assert evaluate(SCORERS[0], statistics_of(evidence(few))).status is Status.TOO_FEW_ROWS


def test_constant_evidence_predicts_the_mean():
    labels = check_labels(np.array([0] * 20 + [1] * 10), 30)
    still = (Draw(np.ones((30, 3)), np.zeros((30, 4))),)
    probe = evaluate(SCORERS[0], statistics_of(Tangent(labels, np.arange(30), tangent_folds(labels, 0), still, (still,))))
    assert probe.value == pytest.approx(2 / 3)


def test_rank_shows_the_gain_of_differentiable_sources_and_says_what_others_lack(tmp_path):
    target = fa.load_target("sklearn:digits", subset=60)
    pixels = fa.Source.from_function("pixels", lambda images: images.reshape(len(images), -1) / 255, revision="1")
    names = ["tangent_probe", "tangent_gain"]
    ranking = fa.rank(["zoo/resnet_digits", pixels], target, cache=tmp_path, scorers=names)
    rows = {row.source: row.scores for row in ranking.rows}
    gain = rows["zoo/resnet_digits"]["tangent_gain"]
    assert gain.ok
    assert gain.interval is not None
    assert gain.value > 0.1
    assert rows["pixels"]["tangent_gain"].status is Status.BLACK_BOX
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.h5"))
    again = fa.rank(["zoo/resnet_digits", pixels], target, cache=tmp_path, scorers=names)
    assert again.to_json() == ranking.to_json()
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*.h5")) == before
