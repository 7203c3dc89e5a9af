"""Learning curves.

Power laws are found again, outliers do little, and what no curve explains is flat.
"""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import curve_fit, least_squares

from featalign.forecasting.learning_curve import EXPONENT, EXPONENTS, PULL, TOLERANCE, LearningCurve
from featalign.forecasting.learning_curve import fit_learning_curve as fit_to_lists

SIZES = np.array([20.0, 40, 80, 160, 320, 640])


def fit_learning_curve(sizes, accuracies) -> LearningCurve:
    return fit_to_lists(np.asarray(sizes).tolist(), np.asarray(accuracies).tolist())


def power_law(sizes, asymptote, drop, exponent):
    return asymptote - drop * np.asarray(sizes, float) ** -exponent


def noisy(seed, *, sizes=SIZES, spread=0.01):
    random = np.random.default_rng(seed)
    exponent = random.uniform(0.2, 1.0)
    asymptote = random.uniform(0.5, 0.95)
    drop = random.uniform(0.2, 0.4) * sizes[0] ** exponent
    return power_law(sizes, asymptote, drop, exponent) + spread * random.normal(size=len(sizes))


@pytest.mark.parametrize(("asymptote", "drop"), list(product((0.6, 0.8, 0.97), (0.5, 1.5))))
def test_a_power_law_with_the_usual_exponent_is_found_exactly(asymptote, drop):
    curve = fit_learning_curve(SIZES, power_law(SIZES, asymptote, drop, EXPONENT))
    assert (curve.asymptote, curve.drop, curve.exponent) == pytest.approx(
        (asymptote, drop, EXPONENT), abs=1e-9
    )


@pytest.mark.parametrize(
    ("asymptote", "start", "exponent"), list(product((0.7, 0.9), (0.2, 0.4), (0.2, 0.35, 0.8, 1.1)))
)
def test_power_laws_of_other_exponents_are_found_but_for_the_pull(asymptote, start, exponent):
    """The curve that was drawn leaves no residual and costs the pull of its exponent alone.

    What is found costs no more.
    """
    drop = start * SIZES[0] ** exponent
    wanted = power_law(SIZES, asymptote, drop, exponent)
    curve = fit_learning_curve(SIZES, wanted)
    misses = np.abs([curve.accuracy(size) for size in SIZES] - wanted)
    allowed = PULL * ((exponent - EXPONENT) ** 2 - (curve.exponent - EXPONENT) ** 2) / len(SIZES)
    assert allowed >= 0
    assert misses.mean() <= allowed + 1e-6
    assert curve.accuracy(4 * SIZES[-1]) == pytest.approx(
        power_law(4 * SIZES[-1], asymptote, drop, exponent), abs=0.03
    )


def test_many_points_settle_the_exponent():
    sizes = np.geomspace(20, 20_000, 60)
    for exponent in (0.2, 0.9, 1.2):
        curve = fit_learning_curve(sizes, power_law(sizes, 0.9, 0.4 * 20**exponent, exponent))
        assert curve.exponent == pytest.approx(exponent, abs=0.051)
        assert curve.asymptote == pytest.approx(0.9, abs=0.01)


@pytest.mark.parametrize("seed", range(8))
def test_given_the_exponent_it_is_the_robust_fit_of_scipy(seed):
    accuracies = noisy(seed)
    curve = fit_learning_curve(SIZES, accuracies)
    powers = SIZES**-curve.exponent
    fit = least_squares(
        lambda p: p[0] - p[1] * powers - accuracies,
        (0.8, 1.0),
        loss="huber",
        f_scale=TOLERANCE,
        x_scale=(0.1, 1.0),
    )
    assert fit.x[0] < 1, "a bound is active: choose another seed"
    np.testing.assert_allclose(
        [curve.accuracy(size) for size in SIZES], fit.x[0] - fit.x[1] * powers, atol=1.5e-3
    )


@pytest.mark.parametrize("seed", range(8))
def test_beyond_the_points_it_goes_as_the_free_fit_of_scipy(seed):
    accuracies = noisy(seed, spread=0.003)
    (asymptote, drop, exponent), _ = curve_fit(
        power_law,
        SIZES,
        accuracies,
        (0.8, 1.5, 0.5),
        bounds=([0, 0, EXPONENTS[0]], [1, 100, EXPONENTS[-1]]),
        max_nfev=20_000,
    )
    assert fit_learning_curve(SIZES, accuracies).accuracy(2 * SIZES[-1]) == pytest.approx(
        power_law(2 * SIZES[-1], asymptote, drop, exponent), abs=0.02
    )


@pytest.mark.parametrize(
    ("place", "off", "share"), [(0, -0.15, 1.0), (2, 0.15, 0.6), (3, -0.15, 0.6), (5, -0.1, 0.6)]
)
def test_an_outlier_moves_it_less_than_least_squares(place, off, share):
    """Much less, but for the first point, from which alone a steeper curve can be told."""
    sizes = np.geomspace(20, 2560, 8)
    wanted = power_law(sizes, 0.9, 2.0, 0.5)
    spoiled = wanted.copy()
    spoiled[place] += off
    curve = fit_learning_curve(sizes, spoiled)
    (asymptote, drop, exponent), _ = curve_fit(
        power_law,
        sizes,
        spoiled,
        (0.8, 1.5, 0.5),
        bounds=([0, 0, 0.05], [1, 100, 1.5]),
        max_nfev=20_000,
    )
    others = np.arange(len(sizes)) != place
    own = np.abs([curve.accuracy(size) for size in sizes] - wanted)[others].mean()
    least = np.abs(power_law(sizes, asymptote, drop, exponent) - wanted)[others].mean()
    assert own < share * least


def test_a_single_point_and_curves_that_do_not_rise_are_flat():
    assert fit_learning_curve([100], [0.7]) == LearningCurve(0.7, 0.0, EXPONENT)
    flat = fit_learning_curve(SIZES, np.full(len(SIZES), 0.6))
    assert [flat.accuracy(size) for size in (1, 100, 1e6)] == pytest.approx([0.6] * 3)
    falling = fit_learning_curve(SIZES, np.linspace(0.8, 0.5, len(SIZES)))
    assert falling.drop == 0
    assert falling.accuracy(1e6) == falling.accuracy(1) == pytest.approx(0.65)


def test_the_order_of_the_points_does_not_matter():
    accuracies, order = noisy(3), np.array([4, 0, 5, 2, 1, 3])
    one, other = (
        fit_learning_curve(SIZES, accuracies),
        fit_learning_curve(SIZES[order], accuracies[order]),
    )
    assert (one.asymptote, one.drop, one.exponent) == pytest.approx(
        (other.asymptote, other.drop, other.exponent)
    )


def test_whatever_the_points_are_the_curve_rises_within_its_bounds():
    random = np.random.default_rng(5)
    for _ in range(200):
        count = int(random.integers(1, 7))
        curve = fit_learning_curve(
            np.sort(random.choice(2000, count, replace=False)) + 1, random.uniform(size=count)
        )
        assert curve.asymptote <= 1
        assert curve.drop >= 0
        assert EXPONENTS[0] <= curve.exponent <= EXPONENTS[-1]
        shown = [curve.accuracy(size) for size in np.geomspace(1, 1e7, 20)]
        assert 0 <= shown[0]
        assert shown[-1] <= 1
        assert np.all(np.diff(shown) >= 0)


def test_points_that_rise_straight_to_the_top_end_at_1():
    curve = fit_learning_curve([10, 20, 40, 80], [0.4, 0.6, 0.8, 0.99])
    assert curve.asymptote == 1
    assert curve.accuracy(1e9) == pytest.approx(1, abs=0.02)
