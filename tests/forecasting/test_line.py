"""A line by itself: distances, widths, and the distribution of its errors.

In that each data set weighs alike, whatever its number of rows.
"""

import math
from collections import Counter

import numpy as np
import pytest

from featalign.forecasting.line import Line
from featalign.forecasting.ridge import NUM_RESIDUALS, SHRUNK, fit_line, with_residuals
from tests import oracles
from tests.forecasting.examples import made_line

NOTHING = Line()


def predictors(count=60, seed=0):
    """Rows of four predictors, of which two go together and one stands still."""
    random = np.random.default_rng(seed)
    first, second, third = random.normal(size=(3, count))
    return [
        {"a": 5 + 2 * a, "b": a + 0.3 * b, "c": 1e-3 * c, "still": 7.0}
        for a, b, c in zip(first.tolist(), second.tolist(), third.tolist(), strict=True)
    ]


def fitted(rows, groups=10):
    random = np.random.default_rng(1)
    names = [f"set {place % groups}" for place in range(len(rows))]
    return fit_line(rows, random.normal(size=len(rows)).tolist(), [0.0] * len(rows), names)[0]


@pytest.mark.parametrize("lost", [False, True])
def test_distances_are_those_of_mahalanobis(lost):
    rows = predictors()
    if lost:
        rows[3] |= {"b": math.nan}
        rows[5] |= {"a": math.inf, "c": math.nan}
    line, matrix = fitted(rows), [list(row.values()) for row in rows]
    for row in (*rows[:8], {"a": 20.0, "b": -3.0, "c": 0.1, "still": 7.0}):
        wanted = oracles.mahalanobis(matrix, list(row.values()), SHRUNK)
        assert line.distance(row) == pytest.approx(wanted, rel=5e-3)  # kept to four digits


def test_the_study_is_at_a_distance_of_1_on_average_and_of_the_farthest_at_most():
    random = np.random.default_rng(2)
    rows = [dict(zip("abc", row, strict=True)) for row in random.normal(size=(400, 3)).tolist()]
    line = fitted(rows)
    found = [line.distance(row) for row in rows]
    assert np.mean(found) == pytest.approx(1, abs=0.02)
    assert max(found) == line.farthest
    assert line.distance(dict.fromkeys("abc", 9.0)) > line.farthest
    assert line.distance(dict(zip(line.names, line.means, strict=True))) == pytest.approx(0)
    assert line.distance({}) == 0


def test_a_predictor_that_stood_still_makes_nothing_far():
    rows = predictors()
    line = fitted(rows)
    moved = rows[0] | {"still": 1e6}
    assert line.distance(moved) == line.distance(rows[0])
    assert line.predict(moved) == line.predict(rows[0])


def test_intervals_are_wider_where_predictors_are_unlike_the_study():
    """By the root of 1 + 1/G + d distance/G against 1 + 1/G + d/G."""
    rows = predictors()
    line = fitted(rows)
    count, groups = len(line.names), line.num_groups
    assert (count, groups) == (4, 10)
    steps = [{**rows[0], "a": 5 + 2.0 * times} for times in range(12)]
    found = [line.widening(row) for row in steps]
    wanted = [
        max(
            1,
            math.sqrt(
                (1 + 1 / groups + count * line.distance(row) / groups)
                / (1 + 1 / groups + count / groups)
            ),
        )
        for row in steps
    ]
    assert found == pytest.approx(wanted)
    assert found[0] == 1
    assert found[-1] > 1.5
    assert NOTHING.widening({"a": 3.0}) == made_line({"a": 1.0}).widening({"a": 3.0}) == 1


def test_the_widening_is_what_least_squares_needs():
    """Simulated: the error at far predictors grows as the factor says."""
    random, near, far, said = np.random.default_rng(3), [], [], []
    for _ in range(30):
        matrix = random.normal(size=(12, 3))
        rows = [dict(zip("abc", row, strict=True)) for row in matrix.tolist()]
        values = matrix @ [1.0, -1.0, 0.5] + random.normal(size=12)
        line = fit_line(rows, values.tolist(), [0.0] * 12, [f"set {row}" for row in range(12)])[0]
        for place in range(20):
            errors, size = (near, 1.0) if place % 2 else (far, 5.0)
            point = random.normal(size=3)
            point *= size * math.sqrt(3) / np.linalg.norm(point)
            row = dict(zip("abc", point.tolist(), strict=True))
            errors.append(point @ [1.0, -1.0, 0.5] + random.normal() - line.predict(row))
            if errors is far:
                said.append(line.widening(row))
    grown = np.std(far) / np.std(near)
    assert grown > 1.5
    assert np.mean(said) == pytest.approx(grown, rel=0.3)


GROUPS = ["a"] * 1 + ["b"] * 4 + ["c"] * 10 + ["d"] * 5 + ["e"] * 20


def unequal(seed=0):
    """Values of data sets of 1 to 20 rows, of which the largest is much wider."""
    random = np.random.default_rng(seed)
    return random.normal(size=len(GROUPS)) * [10 if name == "e" else 1 for name in GROUPS]


@pytest.mark.parametrize("seed", range(5))
def test_each_data_set_weighs_alike_in_the_distribution(seed):
    values = unequal(seed)
    line = with_residuals(NOTHING, values, [0.0] * len(values), GROUPS)
    wanted = oracles.steps_of_groups(values / line.scale(0.0), GROUPS, NUM_RESIDUALS)
    assert len(line.residuals) == NUM_RESIDUALS
    assert line.residuals == pytest.approx(wanted, rel=1e-3)
    assert line.num_groups == 5


def test_the_row_of_a_data_set_of_one_row_weighs_as_a_data_set():
    values = unequal()
    line = with_residuals(NOTHING, values, [0.0] * len(values), GROUPS)
    counts = Counter(line.residuals)
    lonely = float(f"{values[0] / line.scale(0.0):.4g}")
    assert counts[lonely] == NUM_RESIDUALS // 5
    assert max(count for value, count in counts.items() if value != lonely) == 5  # those of "b"


def test_rows_that_are_there_twice_change_nothing():
    values = unequal()
    once = with_residuals(NOTHING, values, [0.0] * len(values), GROUPS)
    doubled = [place for place, name in enumerate(GROUPS) for _ in range(2 if name == "b" else 1)]
    again = with_residuals(
        NOTHING, values[doubled], [0.0] * len(doubled), [GROUPS[place] for place in doubled]
    )
    found, wanted = (
        np.array(each.residuals) * each.scale(0.0) for each in (again, once)
    )  # the scale is of all rows
    np.testing.assert_allclose(found, wanted, rtol=2e-3)


@pytest.mark.parametrize("level", [0.6, 0.8, 0.9])
@pytest.mark.parametrize("count", [100, 50, 20])
def test_the_interval_is_the_conformal_quantile_by_the_letter(level, count):
    """Of G data sets of one row the ceil((G + 1) level)-th smallest absolute residual."""
    random = np.random.default_rng(count)
    values, names = random.normal(size=count), [f"set {place}" for place in range(count)]
    line = with_residuals(NOTHING, values, [0.0] * count, names)
    half = oracles.conformal_half(values, names, level)
    assert half == np.sort(np.abs(values))[math.ceil((count + 1) * level - 1e-9) - 1]
    assert line.half_width(level=level) == pytest.approx(half, rel=1e-3)
    found = line.interval(0.25, 0.0, level=level, widening=2.0)
    assert (found.low, found.value, found.high, found.level) == pytest.approx(
        (0.25 - 2 * half, 0.25, 0.25 + 2 * half, level), rel=1e-3
    )


@pytest.mark.parametrize("seed", range(6))
def test_with_many_rows_in_a_data_set_the_quantile_is_the_nearest_step(seed):
    """Steps of a hundredth of the distribution; the quantile is within two of them."""
    random = np.random.default_rng(seed)
    names = [f"set {place}" for place in range(12) for _ in range(3 + 5 * (place % 3))]
    values = random.normal(size=len(names))
    line = with_residuals(NOTHING, values, [0.0] * len(names), names)
    below, above = (oracles.conformal_half(values, names, 0.9 + off) for off in (-0.02, 0.02))
    assert below * 0.999 <= line.half_width() <= above * 1.001


def test_with_few_data_sets_the_interval_holds_all_that_was_seen():
    """Of 8 data sets there is no quantile at 0.9: it takes 9 of 10 that are alike."""
    values, names = [0.1, -0.2, 0.3, -0.4, 0.5, 0.6, 0.7, -0.8], [f"set {n}" for n in range(8)]
    line = with_residuals(NOTHING, values, [0.0] * 8, names)
    assert oracles.conformal_half(values, names, 0.9) == math.inf
    assert line.half_width() == pytest.approx(0.8, rel=1e-3)
    assert line.half_width(level=0.6) == pytest.approx(0.6, rel=1e-3)  # the 6th of 9 * 0.6


def test_probabilities_rise_with_the_bound_and_are_never_sure():
    """They are (G share + 1/2) / (G + 1): of one more data set it is not known where it is."""
    found = made_line({}, residuals=(-0.2, -0.1, 0.0, 0.1, 0.2), num_groups=7)
    told = [found.probability_below(0.0, bound, 0.0) for bound in np.linspace(-0.5, 0.5, 41)]
    assert np.all(np.diff(told) >= 0)
    assert told[0] == pytest.approx(0.5 / 8)
    assert told[-1] == pytest.approx(1 - 0.5 / 8)
    assert found.probability_below(0.0, 0.05, 0.0) == pytest.approx((7 * 0.6 + 0.5) / 8)
    assert found.probability_below(0.3, 0.35, 0.0) == found.probability_below(0.0, 0.05, 0.0)


@pytest.mark.parametrize("groups", [3, 10, 50])
def test_however_far_the_bound_a_probability_keeps_half_a_data_set(groups):
    found = made_line({}, num_groups=groups)
    ends = [found.probability_below(0.0, bound, 0.0) for bound in (-1e9, 1e9)]
    assert ends == pytest.approx([1 / 2 / (groups + 1), 1 - 1 / 2 / (groups + 1)])


def test_what_is_wider_is_less_sure():
    found = made_line({}, residuals=tuple(np.linspace(-0.3, 0.3, 61).tolist()))
    told = [found.probability_below(0.2, 0.0, 0.0, widening=wider) for wider in (1, 2, 4, 1e6)]
    assert np.all(np.diff(told) > 0)
    assert told[-1] == pytest.approx(0.5, abs=0.01)


def drawn(seed, *, groups, each, between, within):
    """Values of data sets that are shifted as a whole, and their names."""
    random = np.random.default_rng(seed)
    shifts = between * random.normal(size=groups)
    values = shifts[:, None] + within * random.normal(size=(groups, each))
    return values.ravel(), [f"set {place}" for place in range(groups) for _ in range(each)]


def test_new_data_sets_are_covered_though_whole_data_sets_shift():
    """The quantile of all rows together, as if they were drawn apart, covers fewer.

    Shifts of data sets with few rows are large here, as where small data sets are hard. A pool is
    of large ones for the most part.
    """
    random, covered, pooled = np.random.default_rng(0), [], []
    for seed in range(200):
        small = drawn(seed, groups=10, each=2, between=1.0, within=0.1)
        large = drawn(1000 + seed, groups=5, each=40, between=0.3, within=0.1)
        values = np.concatenate([small[0], large[0]])
        names = [*small[1], *(f"large {name}" for name in large[1])]
        line = with_residuals(NOTHING, values, [0.0] * len(values), names)
        pool = np.sort(np.abs(values))[math.ceil((len(values) + 1) * 0.9) - 1]
        for _ in range(5):
            spread = 1.0 if random.random() < 2 / 3 else 0.3
            truth = abs(spread * random.normal() + 0.1 * random.normal())
            covered.append(truth <= line.half_width())
            pooled.append(truth <= pool)
    assert 0.85 <= np.mean(covered) < 0.97
    assert np.mean(pooled) < 0.8


@pytest.mark.parametrize("groups", [9, 12, 19, 40])
def test_coverage_of_new_data_sets_is_as_said_for_few_and_for_many(groups):
    """A pooled quantile of data sets of many rows has no room for the next one."""
    random, covered = np.random.default_rng(groups), []
    for seed in range(250):
        values, names = drawn(seed, groups=groups, each=5, between=1.0, within=0.2)
        half = with_residuals(NOTHING, values, [0.0] * len(values), names).half_width()
        truths = random.normal(size=4) + 0.2 * random.normal(size=4)
        covered += (np.abs(truths) <= half).tolist()
    assert 0.87 <= np.mean(covered) <= 0.96
