"""Distances against slow versions of their definitions.

They are measured on data whose distance is known, and on data that has none.
"""

import math

import numpy as np
import pytest

import tests.oracles as oracles
from featalign.distances.distance import DistanceResult
from featalign.distances.registry import DISTANCES, measure, select
from featalign.errors import FeatalignError

NAMES = [distance.name for distance in DISTANCES]
ORACLES = {
    "psi": oracles.psi_distance,
    "kl": oracles.kl_distance,
    "js": oracles.js_distance,
    "ks": oracles.ks_distance,
    "wasserstein": oracles.wasserstein_oracle,
    "sliced_wasserstein": lambda reference, other: oracles.sliced_wasserstein_oracle(
        reference, other, directions(reference.shape[1])
    ),
    "mmd": oracles.mmd_oracle,
    "frechet": oracles.frechet_oracle,
    "proxy_a_distance": oracles.proxy_a_distance_oracle,
}


def directions(width):
    found = np.random.default_rng(0).normal(size=(width, 100))
    return found / np.linalg.norm(found, axis=0)


def samples(shift=0.0, scale=1.0, rows=60, others=45, width=4, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(rows, width)), shift + scale * random.normal(size=(others, width))


def value(name, reference, other):
    return measure(reference, other, [name])[name].value


def test_every_distance_has_an_oracle():
    assert set(ORACLES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", ["near", "far", "rectified", "wide"])
def test_definitions(name, case):
    first, second = {
        "near": samples(0.1),
        "far": samples(2.0, 0.5, seed=1),
        "rectified": tuple(np.maximum(each, 0) for each in samples(0.5, seed=2)),
        "wide": samples(0.3, rows=20, others=25, width=50, seed=3),
    }[case]
    assert value(name, first, second) == pytest.approx(
        ORACLES[name](first, second), rel=1e-6, abs=1e-6
    )


@pytest.mark.parametrize("name", NAMES)
def test_grows_with_the_shift_and_stays_in_range(name):
    found = [value(name, *samples(shift, rows=200, others=200)) for shift in (0.0, 0.7, 4.0)]
    assert found == sorted(found)
    assert found[0] < 0.4 * found[1]
    highest = select([name])[0].highest
    assert highest is None or max(found) <= highest + 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_identical_sets_are_not_different(name):
    first, _ = samples(rows=100)
    result = measure(first, first.copy(), [name])[name]
    assert result.value <= 1e-6
    assert select([name])[0].is_different(result) in (False, None)


@pytest.mark.parametrize("name", ["psi", "js", "ks", "wasserstein", "sliced_wasserstein", "mmd"])
def test_conventions(name):
    distance = select([name])[0]
    rows = 200 if name == "mmd" else 3000
    near, far = samples(rows=rows, others=rows, seed=1), samples(3.0, rows=200, others=200)
    assert distance.is_different(distance(*near)) is False
    assert distance.is_different(distance(*far)) is True


def test_known_values():
    grid = np.linspace(0, 1, 1001)[:, None]
    assert value("wasserstein", grid, grid + 0.5) == pytest.approx(0.5 / grid.std())
    assert value("ks", grid, grid + 2) == 1
    assert value("js", grid, grid + 2) == pytest.approx(
        0.758, abs=0.005
    )  # all of the other sits in the last of ten bins
    assert value("proxy_a_distance", grid, grid + 2) == 2
    random = np.random.default_rng(0)
    first = random.normal(size=(50_000, 2))
    second = np.array([1.0, 0.0]) + 2 * random.normal(size=(50_000, 2))
    assert value("frechet", first, second) == pytest.approx(3.0, abs=0.05)  # |μ|² + Σ (2 - 1)²


def test_unbiased_discrepancy_averages_to_zero_and_its_test_keeps_its_level():
    results = [
        measure(*samples(rows=30, others=20, width=3, seed=seed), ["mmd"])["mmd"]
        for seed in range(100)
    ]
    values = np.array([result.value for result in results])
    assert abs(values.mean()) < 3 * values.std() / 10
    assert np.mean([(result.p_value or 0) < 0.05 for result in results]) <= 0.13


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "kind",
    [
        "one constant column",
        "all constant, alike",
        "all constant, apart",
        "two rows",
        "tiny",
        "huge",
    ],
)
def test_degenerate_features_have_a_clear_result(name, kind):
    first, second = samples(rows=12, others=12)
    if kind == "one constant column":
        first[:, 0] = second[:, 0] = 3.0
    if kind.startswith("all constant"):
        first, second = np.zeros((6, 3)), np.full((7, 3), float(kind.endswith("apart")))
    if kind == "two rows":
        first, second = first[:2], second[:2]
    scale = {"tiny": 1e-140, "huge": 1e140}.get(kind, 1.0)
    result = measure(first * scale, second * scale, [name])[name]
    assert isinstance(result, DistanceResult)
    assert math.isfinite(result.value)
    if kind == "all constant, alike":
        assert result.value == pytest.approx(0, abs=1e-9)
    if kind == "all constant, apart":
        assert result.value > 0.4


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (np.ones((4, 2)), np.ones((4, 3)), "other: expected 2 columns"),
        (np.ones((1, 2)), np.ones((4, 2)), "reference: expected at least 2 rows"),
        (np.ones((4, 2)), np.full((4, 2), np.nan), "other: expected finite values"),
        (np.ones(4), np.ones((4, 2)), "reference: expected an array of shape"),
        (np.ones((4, 2)), np.full((4, 2), 1e200), "other: expected values up to 1e150"),
        (np.array([["a"]]), np.ones((4, 2)), "reference: expected numbers"),
    ],
)
def test_bad_input_is_refused(first, second, message):
    with pytest.raises(FeatalignError, match=message):
        measure(first, second)


def test_names():
    assert list(measure(*samples())) == NAMES
    with pytest.raises(FeatalignError, match="there is no distance 'cosine'"):
        select(["cosine"])
    with pytest.raises(FeatalignError, match="expected at least one name"):
        select([])
    for distance in DISTANCES:
        assert distance.compute.__doc__ is not None
        assert distance(*samples(), seed=3).value == distance(*samples(), seed=3).value


def test_marginals_cannot_see_how_features_go_together():
    """Equal columns, another correlation: what looks at one column at a time finds nothing."""
    random = np.random.default_rng(0)
    first, second = random.normal(size=(2, 1000, 2))
    second[:, 1] = 0.95 * second[:, 0] + math.sqrt(1 - 0.95**2) * second[:, 1]
    found = measure(first, second)
    assert found["psi"].value < 0.05
    assert select(["ks"])[0].is_different(found["ks"]) is False
    assert select(["mmd"])[0].is_different(found["mmd"]) is True
    assert found["frechet"].value > 0.5
