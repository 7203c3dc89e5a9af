"""What must not change a score.

That is what each scorer declares, the names and order of classes, and the order of rows.
"""

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import featalign
from featalign.scorers.registry import SCORERS
from tests.scorer_table import FEATURE_ROWS
from tests.scorers.cases import imbalanced, tall

# fixed examples, the same in every run, and few: each costs about a tenth of a second
quick = settings(max_examples=8, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**20)
ROWS = {row.name: row for row in FEATURE_ROWS}
NUM_ROWS = 60


def scores(features, labels, names):
    results = featalign.score(features, labels, names)
    assert all(result.ok for result in results.values()), results
    return {name: result.value for name, result in results.items()}


@cache
def original(case, seed, names):
    features, labels = case(seed)
    return scores(features, labels, names)


def declaring(invariance):
    return tuple(
        scorer.name
        for scorer in SCORERS
        if scorer.name in ROWS and invariance in scorer.invariances
    )


def assert_equal(actual, expected, *, relative=1e-8):
    for name, value in expected.items():
        # a share of rows may move by the rows whose vote or logits are within rounding of a tie,
        # and no more
        slack = 1.01 / NUM_ROWS if ROWS[name].rows_off else 0.0
        assert actual[name] == pytest.approx(value, rel=relative, abs=max(slack, 1e-10)), name


def test_only_known_invariances_are_declared():
    assert frozenset().union(*(scorer.invariances for scorer in SCORERS)) <= {
        "rotation",
        "scale",
        "shift",
        "duplication",
    }


@quick
@given(st.sampled_from([tall, imbalanced]), st.integers(0, 2), seeds)
def test_rotation(case, seed, turn):
    features, labels = case(seed)
    rotation, _ = np.linalg.qr(np.random.default_rng(turn).normal(size=(features.shape[1],) * 2))
    names = declaring("rotation")
    assert_equal(scores(features @ rotation, labels, names), original(case, seed, names))


@quick
@given(st.sampled_from([tall, imbalanced]), st.integers(0, 2), st.floats(-20, 20))
def test_scale(case, seed, exponent):
    features, labels = case(seed)
    names = declaring("scale")
    assert_equal(scores(features * 10**exponent, labels, names), original(case, seed, names))


@quick
@given(st.sampled_from([tall, imbalanced]), st.integers(0, 2), seeds, st.floats(-3, 3))
def test_shift(case, seed, direction, exponent):
    features, labels = case(seed)
    names = declaring("shift")
    shifted = features + 10**exponent * np.random.default_rng(direction).normal(
        size=features.shape[1]
    )
    assert_equal(scores(shifted, labels, names), original(case, seed, names))


@pytest.mark.parametrize("case", [tall, imbalanced])
def test_duplication(case):
    features, labels = case(0)
    names = declaring("duplication")
    assert_equal(
        scores(np.concatenate([features, features]), np.concatenate([labels, labels]), names),
        original(case, 0, names),
    )


@quick
@given(
    st.sampled_from([tall, imbalanced]),
    st.integers(0, 2),
    st.lists(st.integers(-(10**9), 10**9), min_size=3, max_size=3, unique=True),
)
def test_other_names_in_the_same_order_change_nothing_at_all(case, seed, new_names):
    features, labels = case(seed)
    names = tuple(ROWS)
    assert scores(features, np.sort(new_names)[labels], names) == original(case, seed, names)


@quick
@given(st.sampled_from([tall, imbalanced]), st.integers(0, 2), st.permutations([0, 1, 2]))
def test_classes_in_another_order(case, seed, order):
    features, labels = case(seed)
    names = tuple(name for name, row in ROWS.items() if row.order == "none")
    assert_equal(
        scores(features, np.array(order)[labels], names), original(case, seed, names), relative=1e-9
    )


@quick
@given(st.sampled_from([tall, imbalanced]), st.integers(0, 2), seeds)
def test_rows_in_another_order(case, seed, order):
    features, labels = case(seed)
    rows = np.random.default_rng(order).permutation(len(labels))
    names = tuple(name for name, row in ROWS.items() if row.order != "folds")
    assert_equal(
        scores(features[rows], labels[rows], names), original(case, seed, names), relative=1e-9
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_other_folds_give_a_similar_probe(seed):
    features, labels = tall(seed)
    rows = np.random.default_rng(seed).permutation(len(labels))
    names = tuple(name for name, row in ROWS.items() if row.order == "folds")
    permuted = scores(features[rows], (2 - labels)[rows], names)
    for name, value in original(tall, seed, names).items():
        assert permuted[name] == pytest.approx(value, abs=0.15)


def test_the_same_input_gives_the_same_bits():
    features, labels = tall(0)
    assert scores(features, labels, tuple(ROWS)) == scores(
        features.copy(), labels.copy(), tuple(ROWS)
    )
