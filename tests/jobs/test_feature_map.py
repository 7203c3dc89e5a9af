"""Maps of features, from arrays and from the cache."""

import numpy as np
import pytest

import featalign as fa
from featalign.jobs.feature_map import MOST_POINTS, feature_map

random = np.random.default_rng(0)
LABELS = np.arange(600) % 3
FEATURES = random.normal(size=(600, 5)) * (9, 4, 1, 0.1, 0.1) + 2
TARGET = fa.Target.from_arrays("clouds", FEATURES, LABELS)


def test_points_lie_along_the_directions_of_most_variance():
    found = feature_map(FEATURES, TARGET, source="s", layer="l")
    points = np.array(found.points)
    assert points.shape == (MOST_POINTS, 2)
    assert np.abs(points).max() == pytest.approx(1)
    assert found.num_rows == 600
    counts = np.bincount(found.labels)
    assert counts.max() - counts.min() <= 1, "classes come in proportion"
    first, second = found.variances
    assert first > second > 0.05
    assert first + second < 1
    flipped = feature_map(-FEATURES, TARGET, source="s", layer="l")
    np.testing.assert_allclose(np.array(flipped.points), points, atol=2e-4)


@pytest.mark.parametrize(
    "features", [np.ones((600, 3)), FEATURES[:, :1], np.full((600, 2), np.nan)]
)
def test_features_without_two_directions_are_points_on_a_line(features):
    found = feature_map(features, TARGET, source="s", layer="l")
    assert np.isfinite(found.points).all()
    assert np.isfinite(found.variances).all()


def test_huge_features_are_drawn():
    found = feature_map(FEATURES * 1e200, TARGET, source="s", layer="l")
    assert np.abs(np.array(found.points)).max() == pytest.approx(1)


def test_a_ranking_has_maps_of_the_best_and_the_worst_if_asked(tmp_path):
    sources = [
        fa.Source.from_function("same", lambda batch: batch, revision="1"),
        fa.Source.from_function("noise", lambda batch: np.sin(1e3 * batch), revision="1"),
        fa.Source.from_function("half", lambda batch: batch[:, :2], revision="1"),
    ]
    labels = (FEATURES[:, 0] > 2).astype(int)
    target = fa.Target.from_arrays("halves", FEATURES, labels, class_names=["low", "high"])
    options = {"cache": tmp_path, "scorers": ["linear_probe"], "progress": False}
    plain = fa.rank(sources, target, **options)
    asked = fa.rank(sources, target, maps=True, **options)
    assert plain.feature_maps == ()
    assert asked == plain
    names = [(row.source, row.layer) for row in (asked.rows[0], asked.rows[-1])]
    assert [(shown.source, shown.layer) for shown in asked.feature_maps] == names
    assert asked.feature_maps[0].class_names == ("low", "high")
    assert len({row.key for row in asked.rows if len(row.key) == 32}) == 3
    assert asked.made is not None
    assert asked.made.request.sources == ("same", "noise", "half")
    assert asked.made.versions["jax"]
    assert asked.made.calibration == {}
