"""Every fit of a forecast ends where it says, within bounds, and at no end of what it tries."""

import math

import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.forecasting.predictors import gain_predictors
from featalign.forecasting.ridge import STEEPEST, fit_line, with_residuals
from featalign.forecasting.situation import Short, Situation
from featalign.records.evidence import Evidence
from tests.forecasting.examples import made_line

pytestmark = pytest.mark.slow


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
    names = [f"set {place % 10}" for place in range(40)]
    line = with_residuals(made_line({}), residuals, sizes.tolist(), names)
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
