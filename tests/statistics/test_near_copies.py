"""Near copies are found, and neither collapsed features nor similar classes are taken for them."""

import numpy as np
import pytest

from featalign.statistics.near_copies import near_copies

RANDOM = np.random.default_rng(0)


def noise(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


@pytest.mark.parametrize(("count", "width"), [(60, 8), (500, 64), (300, 512)])
def test_pairs_are_found_whatever_the_width(count, width):
    features = noise(count, width)
    features[:4] = features[20:24] + 0.002 * noise(4, width, seed=1)
    expected = np.isin(np.arange(count), [*range(4), *range(20, 24)])
    np.testing.assert_array_equal(near_copies(features), expected)


def test_four_copies_of_a_row_are_found():
    features = noise(200, 30)
    features[:4] = features[9] + 0.01 * noise(4, 30, seed=1)
    assert np.flatnonzero(near_copies(features)).tolist() == [0, 1, 2, 3, 9]


DENSE = {
    "constant": np.ones((200, 8)),
    "collapsed classes": np.repeat(10 * np.eye(10), 40, axis=0) + 1e-3 * noise(400, 10),
    "classes that are points": np.repeat(np.eye(8), 30, axis=0),
    "a narrow cone": 100 + 0.01 * noise(400, 32),
    "a line": noise(600, 1) * np.ones((1, 6)),
    "a plane": noise(800, 2) @ noise(2, 12, seed=3),
    "heavy tails": np.random.default_rng(4).standard_t(2, size=(500, 12)),
    "scales that differ": noise(500, 12) * np.exp(2 * noise(500, 1, seed=5)),
    "one class much alike": np.concatenate([noise(100, 16), 5 + 1e-4 * noise(50, 16, seed=6)]),
    "mostly dead": np.maximum(noise(300, 10) - 2.5, 0),
    "zeros": np.zeros((50, 3)),
    "few rows": noise(5, 4),
    "not finite": np.full((20, 3), np.nan),
}


@pytest.mark.parametrize("name", DENSE)
def test_dense_or_collapsed_features_are_no_copies(name):
    assert not near_copies(DENSE[name]).any()


def test_copies_stand_out_among_collapsed_classes():
    features = np.repeat(10 * np.eye(6), 50, axis=0) + 1e-2 * noise(300, 6)
    features = np.concatenate([features, noise(300, 20, seed=1) @ noise(20, 6, seed=2)])
    features[7] = features[3] + 1e-9
    assert np.flatnonzero(near_copies(features)).tolist() == [3, 7]


def test_held_out_rows_are_compared_with_the_others_alone():
    training, held = noise(200, 24), noise(50, 24, seed=1)
    held[:3] = 1.001 * training[5:8]
    held[10] = held[11] + 1e-3  # copies of each other, of no training row
    assert np.flatnonzero(near_copies(held, training)).tolist() == [0, 1, 2]


def test_rows_of_one_group_are_not_compared():
    features, groups = noise(120, 16), np.arange(120) // 2
    features[1::2] = features[::2] + 1e-3 * noise(60, 16, seed=1)
    assert near_copies(features).sum() == 120
    assert not near_copies(features, groups=groups).any()


def test_rows_without_copies_are_hardly_ever_said_to_have_some():
    found = [near_copies(noise(300, 2 + seed % 7, seed=seed)).sum() for seed in range(30)]
    assert sum(map(bool, found)) <= 2
