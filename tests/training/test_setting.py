"""Settings and learning rates that cannot be used are named."""

from dataclasses import replace

import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.records.setting import Setting
from featalign.training.setting import check_setting

BAD = {
    "steps": (0, -1, True, 2.5, "many"),
    "batch_size": (0, -4, False, 1.0),
    "weight_decay": (-0.1, True, float("inf"), float("nan"), "little"),
    "towards_start": (-1.0, False),
    "label_smoothing": (1, 1.0, 1.5, -0.1, True),
    "optimiser": ("adam", None, ""),
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_a_setting_that_cannot_be_used_is_named(name, value):
    shown = {"towards_start": "towards_source"}.get(name, name)
    with pytest.raises(FeatalignError, match=rf"^{shown}: expected .*{value!r}"):
        check_setting(replace(Setting(0.1), **{name: value}), [0.1])


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ([0.1, -0.1], "above 0, got -0.1"),
        ([0.0], "above 0, got 0.0"),
        ([True], "above 0, got True"),
        ([float("nan")], "above 0, got nan"),
        ([float("inf")], "above 0, got inf"),
        (["fast"], "above 0, got 'fast'"),
        ([0.1, 0.01, 0.1], "each number once, got 0.1, 0.01, 0.1"),
    ],
)
def test_learning_rates_that_cannot_be_used(rates, words):
    with pytest.raises(FeatalignError, match=rf"^learning_rates: expected .*{words}"):
        check_setting(Setting(0.1), rates)


def test_learning_rates_come_back_as_floats():
    found = check_setting(Setting(0.1, steps=np.int64(3)), [1, np.float32(0.5)])  # type: ignore[arg-type]
    assert found == (1.0, 0.5)
    assert all(type(rate) is float for rate in found)
    for nothing in ([], 0.1, "fast"):
        with pytest.raises(
            FeatalignError, match=r"^learning_rates: expected a list of at least one number"
        ):
            check_setting(Setting(0.1), nothing)  # type: ignore[arg-type]
