"""Logistic fits: where they end, beside scikit-learn, on inputs on which fits go wrong."""

from dataclasses import replace
from functools import partial
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import featalign
from experiments.probes.compare import beside
from experiments.probes.draws import draw
from experiments.probes.reference import reference
from featalign.arrays import check_labels
from featalign.records.score import Status
from featalign.scorers import linear_probe, logistic
from featalign.statistics.gather import gather
from featalign.statistics.precision import double_precision
from featalign.statistics.rows import Rows

pytestmark = pytest.mark.slow

DRAWS = (0, 200, 400, 33, 233, 7, 207)  # three shapes, with copies, constants and scales


@pytest.mark.parametrize("number", DRAWS)
def test_losses_and_hits_equal_those_of_scikit_learn(number):
    found = draw(number)
    compared = beside(found, reference(found))
    assert compared["missed"] == 0
    assert -1e-6 <= compared["above"] <= 1e-4
    assert compared["rows_off"] <= max(0.01, 1.001 / compared["rows"])


@pytest.mark.parametrize(
    ("rows", "columns", "rare", "seed"),
    [(100, 16, 2, 0), (100, 16, 1, 4), (200, 32, 2, 0), (1000, 32, 5, 0), (60, 200, 1, 1)],
)
def test_a_rare_class_does_not_lead_the_probe_astray(rows, columns, rare, seed):
    random = np.random.default_rng(seed)
    features, labels = random.normal(size=(rows, columns)), np.zeros(rows, int)
    labels[random.permutation(rows)[:rare]] = 1
    value = featalign.score(features, labels, ["linear_probe"])["linear_probe"].value
    assert value >= 1 - (rare + 1) / rows


def problem(seed, *, rows=80, columns=12, classes=4):
    random = np.random.default_rng(seed)
    features = logistic.with_intercept(jnp.asarray(random.normal(size=(rows, columns))))
    members = jax.nn.one_hot(random.integers(0, classes, rows), classes, dtype=features.dtype)
    weights = jnp.asarray(random.random((rows, 3)))
    return features, members, weights / weights.sum(axis=0)


@pytest.mark.parametrize("binary", [False, True])
def test_no_step_goes_up_and_the_end_is_flat(binary):
    with double_precision():
        rows, members, weights = problem(0)
        start = logistic.clean_start(rows, members, weights, binary=binary)

        @jax.jit
        def fitted(gap, steps):
            options = {"start": start, "gap": gap, "max_steps": steps, "binary": binary}
            return logistic.minimise(rows, members, weights, 1e-4, **options)

        losses = [np.asarray(fitted(0.0, steps).losses) for steps in range(12)]
        assert all((after <= before).all() for before, after in pairwise(losses))
        fit = fitted(1e-12, 1000)
        assert fit.converged.all()
        assert np.abs(gradient(fit, rows, members, weights, 1e-4, binary=binary)).max() < 1e-6


def gradient(fit, rows, members, weights, penalty, *, binary):
    """The gradient by differentiation of the objective as it is written in a textbook."""

    def objective(parameters):
        logits = jnp.einsum("nd,dbc->nbc", rows, parameters)
        if binary:
            losses = jnp.logaddexp(0, logits) - members[:, None] * logits
        else:
            losses = -jax.nn.log_softmax(logits) * members[:, None]
        return (weights * losses.sum(axis=-1)).sum() + penalty / 2 * (parameters[:-1] ** 2).sum()

    return np.asarray(jax.grad(objective)(fit.parameters))


def test_a_fit_may_start_from_another_and_ends_in_the_same_place():
    with double_precision():
        rows, members, weights = problem(1)
        clean = logistic.clean_start(rows, members, weights)
        fitted = jax.jit(partial(logistic.minimise, rows, members, weights, gap=1e-10))
        ends = [fitted(1e-2, start=start) for start in (clean, fitted(1e-4, start=clean))]
        assert all(end.converged.all() for end in ends)
        np.testing.assert_allclose(ends[0].losses, ends[1].losses, rtol=1e-9)
        kept = ends[0].where(jnp.asarray([True, False, True]), clean)
        np.testing.assert_array_equal(kept.parameters[:, 1], clean.parameters[:, 1])
        np.testing.assert_array_equal(kept.logits[:, 0], ends[0].logits[:, 0])
        # from a wreck it gets there, or says that it does not
        wreck = 100 * jax.random.normal(jax.random.key(0), clean.parameters.shape)
        far = replace(clean, parameters=wreck, logits=jnp.einsum("nd,dbc->nbc", rows, wreck))
        end = fitted(1e-2, start=far)
        there = np.isclose(end.losses, ends[0].losses, rtol=1e-9)
        assert there.any()
        assert (np.asarray(end.converged) == there).all()


def test_a_class_without_rows_leaves_everything_finite():
    with double_precision():
        rows, members, weights = problem(2)
        members = members.at[:, 1].set(0).at[:, 0].add(members[:, 1])
        start = logistic.clean_start(rows, members, weights)
        fit = logistic.minimise(rows, members, weights, 1e-4, start=start)
        assert fit.converged.all()
        assert np.isfinite(fit.parameters).all()
        assert np.abs(np.asarray(fit.parameters)).max() <= -logistic.NEVER
        assert (np.asarray(fit.logits).argmax(axis=-1) != 1).all()


def test_a_fold_of_one_class_is_fitted_exactly():
    features, labels = np.random.default_rng(0).normal(size=(30, 3)), np.zeros(30, int)
    labels[4] = 1
    found = fits(features, labels)
    assert found.converged.all()
    assert (found.losses == 0).sum() == len(linear_probe.PENALTIES)  # the fold of the row


def fits(features, labels):
    given = check_labels(labels, len(labels))
    with double_precision():
        return linear_probe.validated(gather(features, given, frozenset({Rows})))


def test_a_fit_that_is_cut_short_is_a_status(monkeypatch):
    features = np.random.default_rng(0).normal(size=(33, 7))
    monkeypatch.setattr(linear_probe, "MAX_STEPS", 1)
    result = featalign.score(features, np.arange(33) % 3, ["linear_probe"])["linear_probe"]
    assert result.status is Status.NOT_CONVERGED


def test_float64_takes_over_where_float32_does_not_get_there(monkeypatch):
    features, labels = np.random.default_rng(0).normal(size=(34, 7)), np.arange(34) % 3
    monkeypatch.setattr(linear_probe, "MANY_PRODUCTS", 0)
    assert fits(features, labels).losses.dtype == np.float32
    monkeypatch.setattr(linear_probe, "GAP", 1e-12)
    closer = fits(features, labels)
    assert closer.losses.dtype == np.float64
    assert closer.converged.all()
