"""Scorers of class shapes and spectra where the oracle does not reach.

This tests noise, notes, samples and learning curves.
"""

import math

import jax.numpy as jnp
import numpy as np
import pytest

import featalign
from featalign.arrays import check_labels
from featalign.errors import FeatalignError
from featalign.scorers.registry import select
from featalign.scorers.scorer import evaluate
from featalign.scorers.sfda import largest_eigenvalue
from featalign.scorers.spectral_alignment import spectral_curve
from featalign.statistics.gather import gather
from featalign.statistics.precision import double_precision
from featalign.statistics.rows import Rows
from tests import oracles
from tests.scorers.cases import tall, wide


def score(features, labels, name):
    result = featalign.score(features, labels, [name])[name]
    assert result.ok, result
    return result.value


@pytest.mark.parametrize("width", [12, 50])
def test_noise_has_its_zero_also_with_more_columns_than_rows(width):
    """Scored on the rows it was fitted on, a discriminant is certain of noise once D >= N."""
    generator = np.random.default_rng(0)
    labels = np.arange(30) % 3
    values = [
        featalign.score(
            generator.normal(size=(30, width)),
            labels,
            ["lda", "label_overlap", "spectral_alignment"],
        )
        for _ in range(20)
    ]
    assert np.mean([scores["lda"].value for scores in values]) == pytest.approx(1 / 3, abs=0.06)
    assert np.mean([scores["label_overlap"].value for scores in values]) == pytest.approx(
        0, abs=0.03
    )
    assert np.mean([scores["spectral_alignment"].value for scores in values]) > 0.9


def test_an_overlap_that_says_nothing_has_a_note():
    features, labels = wide(0)
    assert (
        "span every direction"
        in featalign.score(features, labels, ["label_overlap"])["label_overlap"].note
    )


@pytest.mark.parametrize("name", ["gbc", "gbc_spherical"])
def test_the_logarithm_of_an_overlap_that_is_too_small(name):
    """Two classes of one row have the least variance: B = |Δ|² / (8 · 1e-4)."""
    features = np.array([[0.0, 0.0], [0.0, 2.0]])
    result = featalign.score(features, [0, 1], [name])[name]
    assert (result.ok, result.value) == (True, 0)
    assert float(result.note.split()[-1]) == pytest.approx(math.log(2) - 4 / 8e-4, rel=1e-5)
    assert score(features / 10, [0, 1], name) == pytest.approx(
        -2 * math.exp(-0.04 / 8e-4), rel=1e-12
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["transrate", "sfda", "lda", "ncti"])
def test_a_sample_of_rows_is_close_and_says_so(name):
    generator = np.random.default_rng(0)
    labels = np.arange(2000) % 3
    features = generator.normal(size=(2000, 6)) + 2 * np.eye(3, 6)[labels]
    (scorer,) = select([name])
    statistics = gather(features, check_labels(labels, 2000), scorer.needs, max_rows=600)
    with double_precision():
        result = evaluate(scorer, statistics)
    assert "sample of 600 rows" in result.note
    assert result.value == pytest.approx(score(features, labels, name), rel=0.05)
    if name == "transrate":
        rows = np.sort(np.random.default_rng(0).choice(2000, 600, replace=False))
        assert result.value == pytest.approx(
            oracles.transrate(features[rows], labels[rows]), rel=1e-9
        )


def test_a_class_that_the_sample_lost():
    labels = np.repeat([0, 1, 2], [30, 29, 1])
    features = np.random.default_rng(0).normal(size=(60, 4)) + labels[:, None]
    scorers = select(["transrate", "sfda", "lda", "ncti"])
    statistics = gather(
        features,
        check_labels(labels, 60),
        frozenset().union(*(scorer.needs for scorer in scorers)),
        max_rows=20,
    )
    assert 2 not in statistics[Rows].labels
    with double_precision():
        assert all(evaluate(scorer, statistics).ok for scorer in scorers)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 5, 200])
def test_the_largest_eigenvalue(size):
    rows = np.random.default_rng(size).normal(size=(size + 3, size)) * np.geomspace(1, 0.01, size)
    with double_precision():
        assert float(largest_eigenvalue(jnp.asarray(rows.T @ rows))) == pytest.approx(
            np.linalg.norm(rows, 2) ** 2, rel=1e-9
        )
        assert float(largest_eigenvalue(jnp.zeros((size, size)))) == 0
        assert float(largest_eigenvalue(jnp.eye(size))) == pytest.approx(1, rel=1e-12)


@pytest.mark.slow
def test_the_curve_is_what_ridge_regression_does():
    """The error is predicted from 4000 rows, and measured.

    What is measured is ridge regression on n rows at the best penalty, whose mean is itself
    uncertain by 1/n.
    """
    generator = np.random.default_rng(0)
    scales = np.geomspace(1, 0.05, 60)
    weights = generator.normal(size=60)

    def draw(count):
        features = generator.normal(size=(count, 60)) * scales
        return features, (features @ weights + 1.5 * generator.normal(size=count))[:, None]

    curve = spectral_curve(*draw(4000), sizes=[20, 50, 150, 400])
    tested, truth = draw(4000)
    for size, predicted in curve.items():
        errors = []
        for _ in range(60):
            features, targets = draw(size)
            gram = oracles.centred(features).T @ oracles.centred(features)
            cross = oracles.centred(features).T @ oracles.centred(targets)
            fits = [
                np.linalg.solve(gram + penalty * np.eye(60), cross)
                for penalty in size * np.geomspace(1e-4, 1e2, 25)
            ]
            guesses = [
                targets.mean(axis=0) + (tested - features.mean(axis=0)) @ fit for fit in fits
            ]
            errors.append([np.mean((truth - guess) ** 2) / truth.var() for guess in guesses])
        assert predicted * (1 + 1 / size) == pytest.approx(
            np.mean(errors, axis=0).min(), abs=0.04
        ), size


def test_the_curve_ends_in_the_score():
    for features, labels in (tall(0), wide(0)):
        curve = spectral_curve(features, labels)
        assert list(curve)[-1] == len(labels)
        assert curve[len(labels)] == pytest.approx(
            score(features, labels, "spectral_alignment"), rel=1e-12
        )
        assert all(0 <= error <= 1 for error in curve.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sizes": [1]}, "sizes"),
        ({"sizes": []}, "sizes"),
        ({"labels": np.zeros(60, int)}, "one class"),
    ],
    ids=str,
)
def test_curves_that_cannot_be(change, message):
    features, labels = tall(0)
    with pytest.raises(FeatalignError, match=message):
        spectral_curve(**({"features": features, "labels": labels} | change))


def test_the_terms_of_ncti_make_its_value():
    features, labels = tall(0)
    names = ["ncti", "ncti_confidence", "ncti_features", "ncti_classes"]
    whole, confidence, spread, scatter = (
        result.value for result in featalign.score(features, labels, names).values()
    )
    assert whole == pytest.approx(confidence + spread - scatter, rel=1e-12)


def test_the_decay_of_a_power_law():
    generator = np.random.default_rng(0)
    left, _ = np.linalg.qr(np.column_stack([np.ones(300), generator.normal(size=(300, 150))]))
    features = left[:, 1:] * np.arange(1, 151) ** -0.7
    assert score(features, np.arange(300) % 2, "alpha_req") == pytest.approx(1.4, rel=1e-9)


@pytest.mark.parametrize("apart", [0.0, 1.0, 1e2, 1e5])
def test_lda_of_classes_near_and_far(apart):
    """Far apart, the scatter within classes is lost in that of all rows, and is formed itself."""
    generator = np.random.default_rng(0)
    labels = np.arange(60) % 3
    features = generator.normal(size=(60, 5)) + apart * np.eye(3, 5)[labels]
    assert score(features, labels, "lda") == pytest.approx(oracles.lda(features, labels), rel=1e-7)
