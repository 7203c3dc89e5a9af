"""Inputs that leave the range of a fit have a status, in finite time, and stop no other score."""

import numpy as np
import pytest

import featalign as fa
from featalign.arrays import Labels
from featalign.jobs.scoring import collect, scored
from featalign.records.score import Status
from featalign.scorers.registry import select


@pytest.mark.parametrize("count", [400, 20_500])
def test_targets_whose_squares_are_infinite_have_no_ridge_probe(count):
    random = np.random.default_rng(0)
    features = random.normal(size=(count, 3))
    targets = 1e160 * (features[:, 0] + random.normal(size=count))
    found = fa.score(features, targets, ["ridge_probe", "rankme"])
    assert found["ridge_probe"].status is Status.UNDEFINED
    assert found["rankme"].ok


def test_a_class_without_rows_stops_no_other_score():
    random = np.random.default_rng(0)
    values = np.arange(90) % 3
    features = random.normal(size=(90, 150)) + np.eye(3, 150)[values]
    scorers = select(["sfda", "lda", "knn"])
    labels = Labels(values, ("a", "b", "c", "none"))
    found = scored(collect(features, labels, scorers), scorers)
    assert found["knn"].ok
    for name in ("sfda", "lda"):
        assert found[name].ok or found[name].status is Status.UNDEFINED
