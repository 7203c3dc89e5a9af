"""The parts of errors on the page on forecasts."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from experiments.forecasts.holds import by_chance, worst_tenth
from experiments.forecasts.noise import deviations


@pytest.mark.parametrize(("dataset", "source", "rest"), [(0.4, 0.05, 0.1), (0.05, 0.3, 0.2)])
def test_deviations_of_errors_are_found_again(dataset, source, rest):
    random = np.random.default_rng(0)
    some: list[Any] = [
        SimpleNamespace(
            dataset=f"set {place // 12}",
            target=f"set {place // 12} {place % 2}",
            source=f"source {random.integers(30)}",
        )
        for place in range(360)
    ]

    def parts(name, deviation):
        drawn = {}
        return np.array(
            [drawn.setdefault(getattr(each, name), deviation * random.normal()) for each in some]
        )

    errors = (
        parts("dataset", dataset) + parts("source", source) + rest * random.normal(size=len(some))
    )
    found = dict(
        zip(("dataset", "target", "source", "rest"), deviations(some, errors), strict=True)
    )
    together = np.hypot(found["dataset"], found["target"])
    assert together == pytest.approx(dataset, rel=0.5, abs=0.05)
    assert found["source"] == pytest.approx(source, rel=0.5, abs=0.05)
    assert found["rest"] == pytest.approx(rest, rel=0.2)


def test_the_worst_tenth_is_found_and_chance_alone_makes_one():
    told = np.repeat([0.05, 0.45, 0.95], [30, 40, 10])
    happened = np.concatenate([np.zeros(30), np.ones(30), np.zeros(20)]).astype(bool)
    assert worst_tenth(told, happened) == pytest.approx(0.75 - 0.45)
    usual, most = by_chance(np.repeat([0.5], 10_000))
    assert 0.002 < usual < most < 0.02
