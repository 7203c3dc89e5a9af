import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedShuffleSplit

from featalign.errors import FeatalignError
from featalign.targets.splits import split
from featalign.targets.target import Target


def with_labels(labels) -> Target:
    return Target.from_arrays("numbers", np.zeros((len(labels), 1)), labels)


def test_parts_are_disjoint_and_complete():
    parts = split(with_labels(np.arange(100) % 4), validation=0.25, test=0.15, seed=3)
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [60, 25, 15]
    np.testing.assert_array_equal(
        np.sort(np.concatenate([parts.train, parts.validation, parts.test])), np.arange(100)
    )
    assert all((np.diff(part) > 0).all() for part in (parts.train, parts.validation, parts.test))


def test_each_part_has_the_proportions_that_scikit_learn_gives():
    labels = np.random.default_rng(0).choice(4, 1000, p=[0.55, 0.25, 0.15, 0.05])
    parts = split(with_labels(labels), validation=0, test=0.2)
    _, theirs = next(
        StratifiedShuffleSplit(n_splits=1, test_size=200, random_state=0).split(
            np.zeros((1000, 1)), labels
        )
    )
    assert np.abs(np.bincount(labels[parts.test]) - np.bincount(labels[theirs])).max() <= 1


def test_seed_decides():
    target = with_labels(np.arange(60) % 3)
    np.testing.assert_array_equal(split(target, seed=1).test, split(target, seed=1).test)
    assert set(split(target, seed=1).test) != set(split(target, seed=2).test)


def test_singletons_are_trained_on():
    labels = [0] * 20 + [1] * 20 + [2, 3]
    parts = split(with_labels(labels))
    assert {40, 41} <= set(parts.train)
    assert len(parts.test) == len(parts.validation) == 8


def test_the_other_parts_shrink_before_a_class_loses_its_training_row():
    target = with_labels([0, 1, 2, 3] * 2)
    parts = split(target, validation=0.25, test=0.375)
    assert set(target.labels[parts.train]) == {0, 1, 2, 3}
    assert (len(parts.train), len(parts.validation), len(parts.test)) == (4, 2, 2)


@settings(max_examples=80, deadline=None)
@given(
    counts=st.lists(st.integers(1, 12), min_size=2, max_size=10),
    validation=st.floats(0, 0.6),
    test=st.floats(0, 0.39),
    seed=st.integers(0, 1000),
)
def test_any_class_sizes(counts, validation, test, seed):
    target = with_labels(np.repeat(np.arange(len(counts)), counts))
    if sum(counts) - len(counts) < (validation > 0) + (test > 0):
        with pytest.raises(FeatalignError, match="rows to hold out"):
            split(target, validation=validation, test=test, seed=seed)
        return
    parts = split(target, validation=validation, test=test, seed=seed)
    assert set(target.labels[parts.train]) == set(range(len(counts)))
    assert (len(parts.validation) > 0) == (validation > 0)
    assert (len(parts.test) > 0) == (test > 0)
    assert sorted([*parts.train, *parts.validation, *parts.test]) == list(range(sum(counts)))


def test_regression_is_split_at_random():
    target = Target.from_arrays("numbers", np.zeros((10, 1)), np.arange(10.0))
    parts = split(target)
    assert [len(part) for part in (parts.train, parts.validation, parts.test)] == [6, 2, 2]


@pytest.mark.parametrize(
    ("validation", "test", "words"),
    [
        (1.0, 0.0, "validation: expected a fraction"),
        (0.2, -0.1, "test: expected a fraction"),
        (0.5, 0.5, "leave rows to train on"),
    ],
)
def test_fractions_that_cannot_be_used(validation, test, words):
    with pytest.raises(FeatalignError, match=words):
        split(with_labels([0, 1] * 10), validation=validation, test=test)


def test_single_rows_everywhere_cannot_be_split():
    with pytest.raises(FeatalignError, match="got 4 rows with 4 classes"):
        split(with_labels([0, 1, 2, 3]))
