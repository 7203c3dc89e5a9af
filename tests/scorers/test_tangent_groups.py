"""Tangent scores with groups, and under another metric."""

from dataclasses import replace

import numpy as np
import pytest

from featalign.arrays import Labels
from featalign.metrics import metric_for
from featalign.scorers.scorer import answer, evaluate
from featalign.scorers.tangent import TANGENT_GAIN, TANGENT_PROBE, tangent_folds
from featalign.statistics.gather import gather
from featalign.statistics.kernel_ridge import held_out_predictions
from featalign.statistics.tangent import Draw, Draws, Tangent


def gathered(task="classes", *, grouped=True, seed=0):
    """People of four rows each, who give themselves away; a class is drawn for each of them."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(20), 4)
    people = random.normal(size=(20, 40))[groups]
    features = people + 0.1 * random.normal(size=people.shape)
    labels = Labels(random.permutation(np.arange(20) % 2)[groups], ("no", "yes"))
    if task == "numbers":
        labels = Labels(features[:, :1] + 0.3 * random.normal(size=(80, 1)), ())
    labels = replace(labels, groups=groups if grouped else None)
    draws = [Draw(features, features @ random.normal(size=(40, 9))) for _ in range(2)]
    twins = tuple(
        (Draw(random.normal(size=(80, 4)), random.normal(size=(80, 4))),) * 2 for _ in "ab"
    )
    drawn = Draws(np.arange(80), tangent_folds(labels, 0), tuple(draws), twins)
    return gather(features, labels, frozenset({Tangent}), given=[Tangent(labels, drawn)])


def test_folds_hold_whole_groups_and_the_probe_cannot_cheat():
    honest, leaked = gathered(), gathered(grouped=False)
    folds, groups = honest[Tangent].drawn.folds, honest.labels.groups
    assert groups is not None
    assert all(len(set(folds[groups == group])) == 1 for group in range(20))
    assert evaluate(TANGENT_PROBE, leaked).value > 0.9
    assert evaluate(TANGENT_PROBE, honest).value < 0.7


def test_the_interval_of_the_gain_is_that_of_groups():
    plain = gathered(grouped=False)
    labels = plain.labels
    groups = np.arange(80) // 4
    tangent = plain[Tangent]
    same = replace(tangent, labels=replace(labels, groups=groups))  # the same folds
    grouped = replace(plain, found={**plain.found, Tangent: same})
    one, other = (evaluate(TANGENT_GAIN, each) for each in (plain, grouped))
    assert other.value == pytest.approx(one.value)
    assert one.interval is not None
    assert other.interval is not None
    assert other.interval != one.interval


@pytest.mark.parametrize(
    ("task", "name"),
    [("classes", "accuracy"), ("classes", "macro_f1"), ("numbers", "r2"), ("numbers", "spearman")],
)
def test_another_metric_judges_the_held_out_predictions(task, name):
    statistics = gathered(task)
    metric = metric_for(statistics.task, name)
    judged = replace(statistics, metric=metric)
    found = answer(TANGENT_PROBE, judged).result
    parts = statistics[Tangent].drawn.source_parts()
    rows = [held_out_predictions(each, statistics.labels, centred=metric.ranks) for each in parts]
    expected = np.mean([metric.compute(statistics.labels.values, each) for each in rows])
    assert found.value == pytest.approx(expected, abs=1e-12)
    if name == "accuracy":
        assert found.value == pytest.approx(evaluate(TANGENT_PROBE, statistics).value, abs=1e-12)
    assert np.isfinite(evaluate(TANGENT_GAIN, judged).value)
