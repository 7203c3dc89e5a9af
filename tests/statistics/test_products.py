"""What BLAS and LAPACK compute on processors against numpy, and JAX's own path to the same."""

import jax
import numpy as np
import pytest

import featalign
from featalign.scorers.registry import SCORERS
from featalign.statistics import principal_rows, products, scatter_sum, sums
from featalign.statistics.class_scatter import ClassScatter
from featalign.statistics.moments import Moments
from featalign.statistics.precision import double_precision
from featalign.statistics.spectrum import Spectrum
from tests.scorers.cases import tall, wide

MODULES = (products, scatter_sum, principal_rows, sums)


@pytest.fixture(autouse=True)
def float64():
    with double_precision():
        yield


@pytest.fixture(params=[True, False], ids=["BLAS", "XLA"])
def on_host(request, monkeypatch):
    for module in MODULES:
        monkeypatch.setattr(module, "on_host", lambda: request.param)
    return request.param


def random(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape)


def test_products_equal_those_of_numpy(on_host):
    rows, right, weights = random(300, 23), random(23, 4), random(300)
    gram, labels = rows.T @ rows, np.arange(300) % 7 + (np.arange(300) % 7 > 2)
    assert isinstance(products.arrays().ones(2), np.ndarray if on_host else jax.Array)
    values, vectors = map(np.asarray, products.symmetric_eigen(products.held(gram)))
    np.testing.assert_allclose(values, np.linalg.eigvalsh(gram), rtol=1e-12)
    np.testing.assert_allclose(vectors * values @ vectors.T, gram, atol=1e-10)
    solved = products.solve_positive(np.triu(gram), 0.5, right)
    np.testing.assert_allclose((gram + 0.5 * np.eye(23)) @ solved, right, atol=1e-12)
    assert np.isnan(products.solve_positive(-gram, 0.5, right)).all()
    np.testing.assert_allclose(products.squares_product(rows, right), rows**2 @ right, atol=1e-11)
    members = np.eye(8)[labels] * weights[:, None]
    np.testing.assert_allclose(
        products.class_sums(rows, labels, 8), np.eye(8)[labels].T @ rows, atol=1e-12
    )
    found = products.class_sums(rows, labels, 8, weights)
    np.testing.assert_allclose(found, members.T @ rows, atol=1e-12)
    halves = scatter_sum.scatter_of(iter([rows[:100], rows[100:]]), 23)
    np.testing.assert_allclose(np.triu(halves), np.triu(gram), atol=1e-11)


def test_values_that_are_not_finite_give_none():
    values, vectors = products.symmetric_eigen(np.full((3, 3), np.nan))
    assert np.isnan(values).all()
    assert np.isnan(vectors).all()


@pytest.mark.parametrize("block", [4, 23, 100])
def test_the_other_half(block):
    matrix = random(23, 23)
    found = scatter_sum.mirrored(np.asfortranarray(np.triu(matrix)), block=block)
    np.testing.assert_array_equal(found, np.triu(matrix) + np.triu(matrix, 1).T)


@pytest.mark.slow
@pytest.mark.parametrize("case", [tall, wide])
def test_scores_without_blas_are_the_same(case, monkeypatch):
    """What runs on accelerators, where all of it is JAX's."""
    names = [each.name for each in SCORERS if each.needs & {Spectrum, Moments, ClassScatter}]
    names = [name for name in names if name not in ("pactran", "nleep")]
    features, labels = case(0)
    expected = featalign.score(features, labels, names)
    for module in MODULES:
        monkeypatch.setattr(module, "on_host", lambda: False)
    for name, result in featalign.score(features, labels, names).items():
        assert result.value == pytest.approx(expected[name].value, rel=1e-9, abs=1e-12), name
