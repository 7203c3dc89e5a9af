"""Distances of hostile features are finite and as defined, or refused where a fit does not end."""

import numpy as np
import pytest

from featalign.distances import proxy_a_distance
from featalign.distances.registry import DISTANCES, measure
from featalign.errors import FeatalignError
from tests import oracles
from tests.scorers.cases import hostile


def test_hostile_features_have_finite_distances():
    for seed in range(30):
        features, _ = hostile(seed)
        for name, result in measure(features[:25], features[25:]).items():
            assert np.isfinite(result.value), (seed, name)
            bound = next(distance.highest for distance in DISTANCES if distance.name == name)
            assert result.value <= (np.inf if bound is None else bound + 1e-9), (seed, name)


def test_the_root_in_the_distance_of_gaussians():
    """Against the eigenvalues of S T, which keep about half the digits."""
    for seed in range(60):
        features, _ = hostile(seed)
        first, second = features[:25], features[25:]
        found = measure(first, second, ["frechet"])["frechet"].value
        size = first.var(axis=0).sum() + second.var(axis=0).sum()
        expected = oracles.frechet_oracle(first, second)
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6 * size), seed


def test_a_classifier_out_of_steps_is_refused(monkeypatch):
    monkeypatch.setattr(proxy_a_distance, "MAX_STEPS", 1)
    random = np.random.default_rng(0)
    first, second = random.normal(size=(30, 4)), random.normal(1, 1, size=(30, 4))
    with pytest.raises(FeatalignError, match="a classifier can be fitted to in 1 steps"):
        measure(first, second, ["proxy_a_distance"])


def test_features_whose_squares_are_nothing_are_refused():
    """Where squares vanish, sets that differ would be at a distance of 0."""
    random = np.random.default_rng(0)
    first, second = 1e-170 * random.normal(size=(30, 4)), 1e-170 * random.normal(3, 1, size=(30, 4))
    with pytest.raises(FeatalignError, match="down to 1e-150"):
        measure(first, second, ["mmd"])
    assert measure(np.zeros((5, 2)), np.zeros((6, 2)), ["mmd"])["mmd"].value == 0
