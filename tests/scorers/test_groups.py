"""Probes with groups: no row is predicted by a fit that saw a row of its group."""

import numpy as np
import pytest

import featalign as fa
from featalign.arrays import Labels
from featalign.errors import FeatalignError
from featalign.scorers import ridge_probe
from featalign.statistics import nearest as search
from featalign.statistics.folds import NUM_FOLDS, check_enough_groups
from featalign.statistics.gather import gather
from featalign.statistics.precision import double_precision
from tests import oracles


def signatures(num_groups=24, rows=6, width=40, seed=0):
    """Rows that give their group away, and a class drawn for each group: nothing to learn."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(num_groups), rows)
    labels = random.permutation(np.arange(num_groups) % 2)[groups]
    features = random.normal(size=(num_groups, width))[groups]
    return features + 0.1 * random.normal(size=(len(groups), width)), labels, groups


@pytest.mark.parametrize("name", ["linear_probe", "ridge_probe", "knn"])
def test_groups_that_give_themselves_away_score_at_chance(name):
    leaked, honest = [], []
    for seed in range(4):
        features, labels, groups = signatures(seed=seed)
        leaked.append(fa.score(features, labels, [name])[name].value)
        honest.append(fa.score(features, labels, [name], groups=groups)[name].value)
    assert np.mean(leaked) > 0.95
    assert np.mean(honest) < 0.65


@pytest.mark.parametrize(("width", "sizes"), [(5, (3, 9)), (30, (1, 20)), (90, (4, 4))])
@pytest.mark.parametrize("task", ["classes", "numbers"])
def test_the_ridge_probe_leaves_out_whole_groups(width, sizes, task):
    random = np.random.default_rng(width)
    groups = np.repeat(np.arange(8), np.resize(sizes, 8))
    features = random.normal(size=(len(groups), width)) + groups[:, None] % 3
    numbers = features[:, :2] + random.normal(size=(len(groups), 2))
    values = groups % 2 if task == "classes" else numbers
    classes = ("0", "1") if task == "classes" else ()
    with double_precision():
        statistics = gather(features, Labels(values, classes, groups), ridge_probe.NEEDS)
        found = ridge_probe.held_out_predictions(statistics)
    expected = oracles.ridge_without_groups(features, values, groups)
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_groups_of_one_row_are_no_groups_to_the_ridge_probe_and_the_neighbours():
    features, labels, _ = signatures()
    alone = np.arange(len(labels))
    for name in ("ridge_probe", "knn"):
        one = fa.score(features, labels, [name])[name].value
        other = fa.score(features, labels, [name], groups=alone)[name].value
        assert other == pytest.approx(one, abs=1e-12)


@pytest.mark.parametrize("number", [1, 5])
def test_neighbours_are_of_other_groups(number):
    random = np.random.default_rng(number)
    features, groups = random.normal(size=(700, 6)), random.integers(0, 9, 700)
    found = search.nearest(features, number, groups)
    for row in range(0, 700, 7):
        distances = ((features - features[row]) ** 2).sum(axis=1)
        distances[groups == groups[row]] = np.inf
        assert found[row].tolist() == np.argsort(distances, kind="stable")[:number].tolist()


def test_too_few_rows_outside_the_largest_group_are_a_status():
    features, labels, _ = signatures(num_groups=5, rows=6)
    found = fa.score(features, labels, ["knn"], groups=[0] * 26 + [1, 2, 3, 4])
    assert found["knn"].status.value == "too_few_rows"


def test_intervals_grow_with_what_groups_share():
    features, labels, groups = signatures(num_groups=30, rows=8)
    features[:, :1] += labels[:, None]
    plain = fa.score(features, labels, ["linear_probe"], intervals=True)["linear_probe"]
    own = fa.score(features, labels, ["linear_probe"], intervals=True, groups=groups)
    (low, high), zero = own["linear_probe"].interval or (0, 0), own["linear_probe"].zero
    assert plain.interval is not None
    assert high - low > 1.5 * (plain.interval[1] - plain.interval[0])
    assert zero is not None
    assert 0.3 < zero.mean < 0.7


def test_fewer_groups_than_folds_are_refused():
    features, labels, groups = signatures()
    with pytest.raises(FeatalignError, match="at least 5 groups, one for each fold, got 4"):
        fa.score(features, labels, ["knn"], groups=groups % 4)
    check_enough_groups(Labels(labels, ("0", "1"), groups % NUM_FOLDS))
    with pytest.raises(FeatalignError, match="expected the group of each of 144 rows, got 3"):
        fa.score(features, labels, ["knn"], groups=[1, 2, 3])
