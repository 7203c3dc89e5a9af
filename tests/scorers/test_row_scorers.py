"""PARC, N-LEEP and PACTran.

This tests samples of rows, seeds, and labels that have nothing to do with the features.
"""

import numpy as np
import pytest

import featalign
from featalign.scorers import parc
from featalign.statistics.mixture import first_clusters, fit_mixture
from tests.scorer_table import FEATURE_ROWS
from tests.scorers.cases import activations, balanced_labels, tall

NAMES = ["parc", "nleep", "pactran"]


def test_the_seed_changes_nothing_where_all_rows_are_read():
    features, labels = tall(0)
    assert featalign.score(features, labels, NAMES, seed=1) == featalign.score(
        features, labels, NAMES, seed=2
    )


def test_beyond_the_limit_a_seeded_sample_is_read_and_said():
    labels = balanced_labels(parc.MAX_ROWS + 300)
    features = activations(0, len(labels), 8, labels)
    first, again, other = (
        featalign.score(features, labels, ["parc", "lfc"], seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert first["parc"].note == f"on a seeded sample of {parc.MAX_ROWS} rows"
    assert first["lfc"].note == ""
    assert first["parc"].value != other["parc"].value
    assert first["parc"].value == pytest.approx(other["parc"].value, rel=0.05)
    kept = np.sort(np.random.default_rng(0).choice(len(labels), parc.MAX_ROWS, replace=False))
    oracle = next(row.oracle for row in FEATURE_ROWS if row.name == "parc")
    assert first["parc"].value == pytest.approx(
        oracle(features[kept], labels[kept]), rel=0.05
    )  # components of the sample alone


def test_informative_features_are_told_from_permuted_labels():
    for seed in range(3):
        features, labels = tall(seed)
        permuted = np.random.default_rng(seed).permutation(labels)
        scores, noise = (featalign.score(features, given, NAMES) for given in (labels, permuted))
        assert scores["parc"].value > noise["parc"].value + 10
        assert scores["nleep"].value > noise["nleep"].value
        assert scores["pactran"].value < noise["pactran"].value  # an error: smaller is better
        assert abs(noise["parc"].value) < 10


def test_clusters_split_where_the_rows_part():
    generator = np.random.default_rng(0)
    centres = np.array([[0.0, 0.0], [100.0, 0.0], [0.0, 50.0]])
    truth = np.arange(60) % 3
    rows = centres[truth] + generator.normal(size=(60, 2))
    clusters = first_clusters(rows, 3)
    memberships = fit_mixture(rows, clusters).memberships
    for label in range(3):
        assert len(set(clusters[truth == label])) == 1
    assert memberships.max(axis=1).min() > 0.999
    assert len(set(first_clusters(np.ones((9, 2)), 3))) == 1
    assert len(set(first_clusters(np.repeat(centres, 3, axis=0), 7))) == 3
