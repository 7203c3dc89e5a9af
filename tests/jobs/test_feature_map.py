"""Maps of features, from arrays and from the cache."""

import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from featalign.jobs import feature_map as module
from featalign.jobs.feature_map import MOST_POINTS, chosen_rows, feature_map

random = np.random.default_rng(0)
LABELS = np.arange(600) % 3
FEATURES = random.normal(size=(600, 5)) * (9, 4, 1, 0.1, 0.1) + 2
TARGET = fa.Target.from_arrays("clouds", FEATURES, LABELS)


def made(features):
    chosen = chosen_rows(LABELS)
    return feature_map(features[chosen], chosen, TARGET, source="s", layer="l")


def test_points_lie_along_the_directions_of_most_variance():
    found = made(FEATURES)
    points = np.array(found.points)
    assert points.shape == (MOST_POINTS, 2)
    assert np.abs(points).max() == pytest.approx(1)
    assert found.num_rows == 600
    counts = np.bincount(found.labels)
    assert counts.max() - counts.min() <= 1, "classes come in proportion"
    first, second = found.variances
    assert first > second > 0.05
    assert first + second < 1
    flipped = made(-FEATURES)
    np.testing.assert_allclose(np.array(flipped.points), points, atol=2e-4)


@pytest.mark.parametrize(
    "features", [np.ones((600, 3)), FEATURES[:, :1], np.full((600, 2), np.nan)]
)
def test_features_without_two_directions_are_points_on_a_line(features):
    found = made(features)
    assert np.isfinite(found.points).all()
    assert np.isfinite(found.variances).all()


def test_huge_features_are_drawn():
    found = made(FEATURES * 1e200)
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


def test_a_ranking_is_not_lost_for_a_picture(tmp_path, monkeypatch, caplog):
    source = fa.Source.from_function("same", lambda batch: batch, revision="1")
    options = {"cache": tmp_path, "scorers": ["linear_probe"], "progress": False, "maps": True}

    def damaged(*given):
        raise FeatalignError("the shard is damaged")

    monkeypatch.setattr(module, "rows_at", damaged)
    found = fa.rank(source, TARGET, **options)
    assert (len(found.rows), found.feature_maps) == (1, ())
    assert "same: no map of its features: the shard is damaged" in caplog.text


def test_rows_of_several_blocks_are_found(tmp_path):
    source = fa.Source.from_function("same", lambda batch: batch, revision="1")
    embedding = fa.embed(source, TARGET, cache=tmp_path)["features"]

    class InBlocks:
        def blocks(self):
            for start in range(0, 600, 70):
                yield None, FEATURES[start : start + 70]

    chosen = chosen_rows(LABELS)
    np.testing.assert_array_equal(module.rows_at(InBlocks(), chosen), FEATURES[chosen])  # type: ignore
    np.testing.assert_allclose(module.rows_at(embedding, chosen), FEATURES[chosen], rtol=1e-6)
