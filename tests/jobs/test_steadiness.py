"""What is said of a source whose features are not the rows' alone."""

import numpy as np
import pytest

import featalign as fa

DRAW = np.random.default_rng(0)
ROWS = DRAW.normal(size=(30, 12)).astype(np.float32)
TARGET = fa.Target.from_arrays("table", ROWS, (ROWS[:, 0] > 0).astype(int))
WEIGHTS = DRAW.normal(size=(12, 16)).astype(np.float32)


def steady(batch):
    return np.asarray(batch) @ WEIGHTS


def noisy(batch):
    return steady(batch) + DRAW.normal(size=(len(batch), 16))


def masked(batch):
    return (np.asarray(batch) * (DRAW.random((1, 12)) > 0.75)) @ WEIGHTS


def centred(batch):
    return steady(batch) - steady(batch).mean(axis=0)


def ranged(batch):
    return steady(batch) / np.abs(steady(batch)).max()


def remarks(function, cache, target=TARGET, batch_size=16):
    source = fa.Source.from_function(function.__name__, function, revision="1")
    ranking = fa.rank(source, target, cache=cache, scorers=["knn"], batch_size=batch_size)
    return ranking.rows[0].warnings


@pytest.mark.parametrize("function", [noisy, masked])
def test_two_passes_that_differ(function, tmp_path):
    (said,) = remarks(function, tmp_path)
    assert said.startswith("two passes of the same rows differ by ")
    assert remarks(function, tmp_path) == (said,)  # it is kept with the answer


@pytest.mark.parametrize("function", [centred, ranged])
def test_rows_that_depend_on_their_batch(function, tmp_path):
    (said,) = remarks(function, tmp_path)
    assert said.startswith("rows depend on their batch: ")


@pytest.mark.parametrize("count", [3, 5, 30])
def test_of_a_steady_source_nothing_is_said(count, tmp_path):
    labels = np.arange(count) % 2
    target = fa.Target.from_arrays("few", ROWS[:count], labels)
    assert remarks(steady, tmp_path, target) == ()
    constant = fa.Target.from_arrays("alike", np.ones((count, 12), np.float32), labels)
    assert remarks(steady, tmp_path, constant) == ()
