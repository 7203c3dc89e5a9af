"""Every fit of a forecast ends where it says, within bounds, and at no end of what it tries."""

import math
from itertools import product

import numpy as np
import pytest
from featalign.forecasting.learning_curve import (
    EXPONENT,
    EXPONENTS,
    PULL,
    TOLERANCE,
    fit_learning_curve,
)
from scipy.optimize import minimize

from featalign.errors import FeatalignError
from featalign.forecasting.calibration import STEEPEST, fit_line, with_residuals
from featalign.forecasting.predictors import Short, Situation, gain_predictors
from featalign.records.evidence import Evidence
from tests.forecasting.examples import made_line

pytestmark = pytest.mark.slow

SIZES = [16.0, 32, 64, 128, 256]


def huber(residuals):
    sizes = np.abs(residuals)
    small = sizes <= TOLERANCE
    return np.where(small, sizes**2 / 2, TOLERANCE * (sizes - TOLERANCE / 2)).sum(axis=-1)


def noisy_curves(count=40, spread=0.03):
    random = np.random.default_rng(0)
    for _ in range(count):
        drop = random.uniform(0.2, 0.6) * SIZES[0] ** 0.5
        clean = random.uniform(0.6, 0.95) - drop * np.array(SIZES) ** -0.5
        yield np.clip(clean + spread * random.normal(size=len(SIZES)), 0, 1).tolist()


def test_no_curve_on_a_fine_grid_is_nearer_than_the_one_found():
    """Of its own exponent, by Huber's loss, within the bounds."""
    asymptotes, drops = np.linspace(0, 1, 401), np.linspace(0, 5, 401)
    for accuracies in noisy_curves():
        curve = fit_learning_curve(SIZES, accuracies)
        powers = np.array(SIZES) ** -curve.exponent
        own = huber(curve.asymptote - curve.drop * powers - accuracies)
        grid = asymptotes[:, None, None] - drops[None, :, None] * powers
        assert own <= huber(grid - np.array(accuracies)).min() + 1e-9


def test_no_other_exponent_costs_less():
    """By mean residual and pull, each exponent at the optimum that SciPy's minimiser finds."""
    for accuracies in noisy_curves(4):
        curve = fit_learning_curve(SIZES, accuracies)
        costs = []
        for exponent in EXPONENTS:
            powers, wanted = np.array(SIZES) ** -exponent, np.array(accuracies)

            def loss(found, powers=powers, wanted=wanted):
                return 1e4 * huber(found[0] - found[1] * powers - wanted)

            bounds, starts = [(0, 1), (0, None)], product((0.6, 0.9), (0.5, 2.0))
            fits = [minimize(loss, start, bounds=bounds, tol=1e-12) for start in starts]
            best = min(fits, key=lambda fit: fit.fun).x
            residuals = np.abs(best[0] - best[1] * powers - accuracies)
            costs.append(residuals.mean() + PULL * (exponent - EXPONENT) ** 2 / len(SIZES))
        shown = [curve.accuracy(size) for size in SIZES]
        pull = PULL * (curve.exponent - EXPONENT) ** 2 / len(SIZES)
        assert np.abs(np.array(shown) - accuracies).mean() + pull <= min(costs) + 1e-4


@pytest.mark.parametrize("size", [30, 107, 275, 324, 400])
def test_points_of_one_size_are_flat(size):
    curve = fit_learning_curve([size] * 3, [0.5, 0.63, 0.71])
    assert (curve.drop, curve.asymptote) == (0.0, pytest.approx(0.6133, abs=1e-4))


@pytest.mark.parametrize(
    ("sizes", "accuracies", "name"),
    [
        ([10, 20], [0.5, math.nan], "accuracies"),
        ([10, 20], [0.5, math.inf], "accuracies"),
        ([0, 20], [0.5, 0.6], "sizes"),
        ([10, 20, 40], [0.5, 0.6], "sizes"),
        ([], [], "sizes"),
    ],
)
def test_points_that_are_none_are_named(sizes, accuracies, name):
    with pytest.raises(FeatalignError, match=f"{name}: expected"):
        fit_learning_curve(sizes, accuracies)


def rows_of_noise(scale=1.0, shift=0.0, groups=6, each=20):
    random = np.random.default_rng(3)
    drawn = shift + scale * random.normal(size=(groups * each, 8))
    rows = [dict(zip("abcdefgh", row, strict=True)) for row in drawn.tolist()]
    values = random.normal(size=groups * each)
    return (
        rows,
        values,
        [0.0] * len(rows),
        np.repeat([f"t{group}" for group in range(groups)], each).tolist(),
    )


def test_predictors_that_say_nothing_get_no_weight():
    """The best of the penalties is far beyond 300, at which such weights are only halved."""
    rows, values, sizes, names = rows_of_noise()
    line, predictions = fit_line(rows, values.tolist(), sizes, names)
    assert max(map(abs, line.weights)) < 0.01
    alone = np.array([values[np.array(names) != name].mean() for name in names])
    assert ((predictions - values) ** 2).mean() <= 1.0001 * ((alone - values) ** 2).mean()


def test_rounding_of_a_large_constant_is_no_predictor():
    rows, values, sizes, names = rows_of_noise(scale=1e-9, shift=1e6 / 3)
    line, _ = fit_line(rows, values.tolist(), sizes, names)
    assert line.weights == (0.0,) * 8


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_not_finite_are_named_and_predictors_are_missing(value):
    rows, values, sizes, names = rows_of_noise()
    rows[5]["a"] = value
    line, predictions = fit_line(rows, values.tolist(), sizes, names)
    assert np.isfinite([*line.weights, *line.means, *line.residuals, *predictions]).all()
    values[7] = value
    with pytest.raises(FeatalignError, match=r"expected finite accuracies, got .* on t0"):
        fit_line(rows, values.tolist(), sizes, names)


def test_a_predictor_that_is_not_finite_counts_as_missing():
    assert made_line({"a": 2.0}, intercept=0.1).predict({"a": math.inf}) == 0.1


def test_scales_stay_within_bounds_at_other_sizes():
    """Two sizes next to each other have any slope between them."""
    random = np.random.default_rng(0)
    sizes = np.repeat([math.log(199 / 200), math.log(201 / 200)], 20)
    residuals = random.normal(size=40) * np.where(sizes < 0, 0.01, 0.1)
    line = with_residuals(made_line({}), residuals, sizes.tolist())
    assert abs(line.scale_slope) <= STEEPEST
    assert 0.01 < line.scale(0.0) < 0.1
    assert line.scale(math.log(20)) <= 20 * line.scale(0.0)


NAN = math.nan


@pytest.mark.parametrize(
    ("losses", "lowest"),
    [((0.7, NAN, NAN), 0.7), ((NAN, 0.7, 0.6), 0.6), ((0.7, math.inf), 0.7), ((NAN, NAN), NAN)],
)
def test_the_lowest_loss_of_a_run_that_diverged(losses, lowest):
    points = [0.5] * len(losses)
    found = Short.of(0.3, (points, losses), (points, [0.9] * len(losses)))
    assert found.loss == pytest.approx(lowest, nan_ok=True)
    alike = {"linear_probe": 0.5, "lda": 0.5, "tangent_probe": 0.5}
    evidence = Evidence(capability="gradients", own=alike, twins=alike)
    ratio = gain_predictors(evidence, Situation(200, 3), "gradients", found)["short loss"]
    assert ratio == pytest.approx(math.log(0.9 / lowest), nan_ok=True)


def test_a_loss_of_nothing_has_a_logarithm():
    found = Short.of(0.3, ([1.0], [0.0]), ([0.5], [0.7]))
    nothing = Evidence(capability="features")
    ratio = gain_predictors(nothing, Situation(200, 3), "features", found)["short loss"]
    assert ratio == pytest.approx(math.log(0.7 / 1e-6))
