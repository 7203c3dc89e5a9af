"""Checks of a setting, and the number of steps."""

import math
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from featalign.checks import check_number, check_one_of, check_whole
from featalign.errors import FeatalignError
from featalign.records.setting import LowRank, Optimiser, Setting


def training_steps(num_training: int, *, epochs: int, min_steps: int, batch_size: int) -> int:
    """The number of steps of one training: so many epochs, and at least `min_steps`.

    >>> training_steps(80, epochs=15, min_steps=300, batch_size=32)
    300
    >>> training_steps(1280, epochs=15, min_steps=300, batch_size=32)
    600
    """
    return max(min_steps, -(-epochs * num_training // batch_size))


def check_setting(setting: Setting, learning_rates: Sequence[float]) -> tuple[float, ...]:
    """The learning rates as floats.

    Raises FeatalignError, naming the argument, for rates or a setting that cannot be used.

    >>> check_setting(Setting(0.1), [1, 0.5])
    (1.0, 0.5)
    """
    rates = _checked_rates(learning_rates)
    for name in ("steps", "batch_size"):
        check_whole(getattr(setting, name), name)
    _check_amount("weight_decay", setting.weight_decay, math.inf)
    _check_amount("towards_source", setting.towards_start, math.inf)
    _check_amount("label_smoothing", setting.label_smoothing, 1)
    check_one_of(setting.optimiser, get_args(Optimiser), "optimiser")
    return rates


def check_low_rank(low_rank: LowRank) -> LowRank:
    """The same. Raises FeatalignError, naming the argument, for numbers that cannot be used."""
    check_whole(low_rank.rank, "lora_rank")
    expected = "a number above 0"
    check_number(low_rank.alpha, "lora_alpha", expected, lambda alpha: 0 < alpha < math.inf)
    return low_rank


def _checked_rates(learning_rates: Any) -> tuple[float, ...]:
    listed = isinstance(learning_rates, Sequence | np.ndarray)
    given = list(learning_rates) if listed and not isinstance(learning_rates, str) else []
    if not given:
        raise FeatalignError(
            f"learning_rates: expected a list of at least one number, got {learning_rates!r}"
        )
    rates = tuple(
        check_number(
            float(rate) if isinstance(rate, np.floating) else rate,
            "learning_rates",
            "numbers above 0",
            lambda number: 0 < number < math.inf,
        )
        for rate in given
    )
    if len(set(rates)) != len(rates):
        raise FeatalignError(
            "learning_rates: expected each number once, got "
            f"{', '.join(f'{rate:g}' for rate in rates)}"
        )
    return rates


def _check_amount(name: str, number: Any, most: float) -> None:
    limit = "" if most == math.inf else f" and below {most}"
    expected = f"a number of at least 0{limit}"
    check_number(number, name, expected, lambda amount: 0 <= amount < most)
