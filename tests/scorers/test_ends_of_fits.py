"""Every search ends at an optimum, no worse than it began, or says by a status that it did not."""

import math
from inspect import unwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import featalign
from featalign.arrays import check_labels
from featalign.records.score import Status
from featalign.scorers import logme
from featalign.scorers.registry import select
from featalign.scorers.scorer import evaluate
from featalign.scorers.sfda import largest_eigenvalue
from featalign.statistics import mixture
from featalign.statistics.decomposition import uncentred_eigenvalues
from featalign.statistics.gather import gather
from featalign.statistics.mixture import first_clusters, fit_mixture
from featalign.statistics.precision import double_precision
from featalign.statistics.rows import Rows
from featalign.statistics.spectrum import Spectrum
from tests import oracles
from tests.scorers.cases import hostile, tall, wide

pytestmark = pytest.mark.slow

NAMES = (
    "logme nleep ncti sfda lda ridge_probe spectral_alignment label_overlap alpha_req "
    "cka transrate h_score_shrunk parc gbc neural_collapse rankme stable_rank"
).split()
SHAPES = ({"num_rows": 40, "num_features": 6}, {"num_rows": 20, "num_features": 30})


def score(features, labels, name):
    return featalign.score(features, labels, [name])[name]


@pytest.mark.parametrize("shape", SHAPES, ids=["tall", "wide"])
def test_hostile_features_have_a_value_or_a_status(shape):
    for seed in range(12):
        features, labels = hostile(seed, **shape)
        for name, result in featalign.score(features, labels, NAMES).items():
            assert math.isfinite(result.value) == result.ok, (seed, name, result)
            assert result.status is not Status.NOT_CONVERGED, (seed, name)


@pytest.mark.parametrize("shape", SHAPES, ids=["tall", "wide"])
def test_logme_ends_at_the_maximum_of_its_evidence(shape):
    """Of data with one maximum: noise with a signal, at scales from 0.03 to 30."""
    random, count = np.random.default_rng(0), shape["num_rows"]
    for _ in range(100):
        labels = random.permutation(np.arange(count) % 3)
        signal = random.uniform(0.5, 2) * random.normal(size=(3, shape["num_features"]))
        features = random.normal(size=(count, shape["num_features"])) + signal[labels]
        features *= 10 ** random.uniform(-1.5, 1.5)
        expected = [oracles.evidence_maximum(features, column) for column in np.eye(3)[labels].T]
        found = score(features, labels, "logme").value
        assert found == pytest.approx(np.mean(expected), rel=1e-8, abs=1e-8)


def test_logme_ends_where_its_steps_go_round_in_a_circle():
    """Features that fit every label by weights so small that t and c / t follow each other."""
    features, labels = wide(0)
    features = features * 1e6
    expected = [oracles.evidence_maximum(features, column) for column in np.eye(3)[labels].T]
    found = score(features, labels, "logme")
    assert found.value == pytest.approx(np.mean(expected), rel=1e-8)
    assert "without features" in found.note


def test_logme_without_steps_has_no_value(monkeypatch):
    plain = unwrap(logme.log_evidence)
    monkeypatch.setattr(logme, "MAX_STEPS", 3)
    monkeypatch.setattr(logme, "log_evidence", jax.jit(lambda spectrum: plain(spectrum)))
    assert score(*tall(0), "logme").status is Status.NOT_CONVERGED


def test_the_likelihood_of_a_mixture_never_falls():
    for seed in range(300):
        features, _ = hostile(seed)
        rows = features - features.mean(axis=0)
        rows /= np.sqrt((rows**2).mean(axis=0).max()) or 1.0
        clusters = first_clusters(rows, 8)
        assert np.bincount(clusters).all(), seed
        mixture = fit_mixture(rows, clusters)
        assert mixture.ended, seed
        assert np.isfinite(mixture.memberships).all()
        np.testing.assert_allclose(mixture.memberships.sum(axis=1), 1, rtol=1e-9)
        assert np.diff(mixture.likelihoods).min(initial=0) > -1e-9, seed


def test_numbers_that_differ_by_rounding_leave_no_cluster_empty():
    """The mean of three equal numbers may be rounded to less than each of them."""
    values = np.random.default_rng(0).normal(size=(200, 1))
    assert any(np.repeat(value, 3).mean() < value[0] for value in values)
    for value in values:
        assert not first_clusters(np.repeat(value[None], 3, axis=0), 2).any()


def test_a_mixture_out_of_steps_has_no_value(monkeypatch):
    monkeypatch.setattr(mixture, "MAX_STEPS", 1)
    assert score(*tall(0), "nleep").status is Status.NOT_CONVERGED


@pytest.mark.parametrize("name", ["nleep", "ncti", "sfda", "lda", "transrate", "parc"])
def test_a_sample_whose_rows_are_alike(name):
    features, labels = np.zeros((60, 4)), np.arange(60) % 3
    (scorer,) = select([name])
    kept = np.random.default_rng(0).choice(60, 20, replace=False)
    features[np.setdiff1d(np.arange(60), kept)[0]] = 1e6
    statistics = gather(features, check_labels(labels, 60), scorer.needs, max_rows=20)
    assert not np.ptp(statistics[Rows].features, axis=0).any()
    with double_precision():
        result = evaluate(scorer, statistics)
    assert math.isfinite(result.value) == result.ok


def test_the_largest_of_many_eigenvalues_near_it():
    """Sixty steps are too few where they crowd at the end of the spectrum."""
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(300, 300)))
    values = 1 - np.linspace(0, 1, 300) ** 4
    with double_precision():
        found = largest_eigenvalue(jnp.asarray((rotation * values) @ rotation.T))
    assert float(found) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("shape", SHAPES, ids=["tall", "wide"])
def test_uncentred_eigenvalues_of_hostile_features(shape):
    for seed in range(40):
        features, labels = hostile(seed, **shape)
        with double_precision():
            checked = check_labels(labels, len(labels))
            spectrum = gather(features, checked, frozenset({Spectrum}))[Spectrum]
            found = np.asarray(uncentred_eigenvalues(spectrum))
        expected = np.linalg.svd(features, compute_uv=False) ** 2
        near = {"rtol": 1e-9, "atol": 1e-12 * expected[0], "err_msg": str(seed)}
        np.testing.assert_allclose(found, expected, **near)


def test_a_best_ridge_at_the_end_of_those_tried_is_noted():
    """The labels are in a column of a hundred thousandth of the others' scale."""
    features, labels = tall(0)
    features[:, 0] = labels + 0.1 * features[:, 0]
    assert score(features, labels, "spectral_alignment").note == ""
    features[:, 1:] *= 1e5
    hidden = score(features, labels, "spectral_alignment")
    assert "below the smallest" in hidden.note
