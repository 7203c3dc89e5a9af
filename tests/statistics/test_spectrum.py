"""The shared eigendecomposition.

This tests both ways of getting it, and the uncentred eigenvalues it yields.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from featalign.arrays import check_labels
from featalign.statistics.decomposition import (
    largest_uncentred_eigenvalue,
    spectrum_from_rows,
    spectrum_from_scatter,
    uncentred_eigenvalues,
)
from featalign.statistics.gather import gather
from featalign.statistics.moments import symmetric_product
from featalign.statistics.precision import double_precision
from featalign.statistics.principal_rows import rotated
from featalign.statistics.spectrum import Spectrum


@pytest.fixture(autouse=True)
def float64():
    with double_precision():
        yield


def primal(features, labels):
    """The spectrum by way of the D x D scatter."""
    z, residuals = features - features.mean(axis=0), labels - labels.mean(axis=0)
    arrays = (
        len(features),
        features.mean(axis=0),
        z.T @ z,
        residuals.T @ z,
        labels.mean(axis=0),
        (residuals**2).sum(axis=0),
    )
    return spectrum_from_scatter(*(jnp.asarray(array, float) for array in arrays))


def dual(features, labels):
    """The spectrum by way of the N x N Gram."""
    return spectrum_from_rows(jnp.asarray(features), jnp.asarray(labels))


def example(num_rows, num_features, seed=0, rank=None):
    generator = np.random.default_rng(seed)
    rank = rank or num_features
    features = generator.normal(size=(num_rows, rank)) @ generator.normal(
        size=(rank, num_features)
    ) + generator.normal(size=num_features)
    return features, np.eye(3)[np.arange(num_rows) % 3]


@pytest.mark.parametrize(
    ("num_rows", "num_features", "rank"),
    [(22, 20, None), (20, 20, None), (20, 30, None), (22, 20, 4)],
)
def test_both_ways_give_the_same(num_rows, num_features, rank):
    features, labels = example(num_rows, num_features, rank=rank)
    first, second = primal(features, labels), dual(features, labels)
    size = min(num_rows - 1, num_features)
    expected = np.zeros(size)
    values = np.linalg.svd(features - features.mean(axis=0), compute_uv=False)[:size] ** 2
    expected[: rank or size] = values[: rank or size]
    for spectrum in (first, second):
        np.testing.assert_allclose(
            spectrum.eigenvalues[:size], expected, rtol=1e-9, atol=1e-9 * expected[0]
        )
        assert not np.asarray(spectrum.eigenvalues[size:]).any()
        assert not np.asarray(spectrum.label_projections[rank or size :]).any()
        total = (spectrum.mean_projections**2).sum() + spectrum.mean_remainder
        assert float(total) == pytest.approx((features.mean(axis=0) ** 2).sum(), rel=1e-9)
    assert float(first.mean_remainder) == pytest.approx(
        float(second.mean_remainder), rel=1e-7, abs=1e-9
    )
    # vectors have no sign: compare U Uᵀ and what is projected on it
    for name in ("label_projections", "mean_projections"):
        a, b = (
            np.asarray(getattr(spectrum, name)).reshape(len(spectrum.eigenvalues), -1)[:size]
            for spectrum in (first, second)
        )
        np.testing.assert_allclose(np.abs(a), np.abs(b), rtol=1e-7, atol=1e-8)
    numbers = np.arange(num_rows)
    pairs = ((rotated(each, features, numbers), each.eigenvalues) for each in (first, second))
    a, b = (rows / np.sqrt(np.asarray(values))[: rows.shape[1]] for rows, values in pairs)
    np.testing.assert_allclose(a @ a.T, b @ b.T, atol=1e-8)
    projections = np.asarray(first.label_projections)[: a.shape[1]]
    np.testing.assert_allclose(a.T @ labels, projections, atol=1e-8)


def gathered(features):
    labels = np.arange(len(features)) % 3
    checked = check_labels(labels, len(features))
    return gather(features, checked, frozenset({Spectrum}))[Spectrum]


def spread_features(kind):
    generator = np.random.default_rng(1)
    orthonormal, _ = np.linalg.qr(
        np.concatenate([np.ones((24, 1)), generator.normal(size=(24, 8))], axis=1)
    )
    rotation, _ = np.linalg.qr(generator.normal(size=(8, 8)))
    values = {
        "generic": np.geomspace(10, 0.1, 8),
        "repeated": np.array([5.0, 5, 5, 2, 2, 1, 1, 1]),
        "zeros": np.array([5.0, 5, 2, 1, 0, 0, 0, 0]),
        "all alike": np.ones(8),
    }[kind]
    return orthonormal[:, 1:] * values @ rotation.T


MEANS = {
    "zero": lambda generator: np.zeros(8),
    "small": lambda generator: 1e-6 * generator.normal(size=8),
    "large": lambda generator: 100 * generator.normal(size=8),
    "one column": lambda generator: np.eye(8)[3],
}


@pytest.mark.slow
@pytest.mark.parametrize("mean", MEANS)
@pytest.mark.parametrize("kind", ["generic", "repeated", "zeros", "all alike"])
@pytest.mark.parametrize("wide", [False, True])
def test_uncentred_eigenvalues_are_squared_singular_values(kind, mean, wide):
    features = spread_features(kind) + MEANS[mean](np.random.default_rng(2))
    if wide:
        features = np.concatenate([features, np.zeros((24, 24))], axis=1)
    expected = np.linalg.svd(features, compute_uv=False) ** 2
    spectrum = gathered(features)
    np.testing.assert_allclose(
        uncentred_eigenvalues(spectrum), expected, rtol=1e-9, atol=1e-13 * expected[0]
    )
    assert float(largest_uncentred_eigenvalue(spectrum)) == pytest.approx(expected[0], rel=1e-11)


def test_the_symmetric_product_in_blocks():
    rows = jnp.asarray(np.random.default_rng(0).normal(size=(9, 23)))
    for block in (5, 23, 100):
        np.testing.assert_allclose(
            symmetric_product(rows, block=block), rows.T @ rows, rtol=1e-13, atol=1e-13
        )
