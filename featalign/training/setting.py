"""What makes a setting usable."""

from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from featalign.errors import FeatalignError
from featalign.records.setting import Optimiser, Setting


def training_steps(num_training: int, *, epochs: int, min_steps: int, batch_size: int) -> int:
    """The steps of one training: so many epochs, and at least so many steps.

    >>> training_steps(80, epochs=15, min_steps=300, batch_size=32)
    300
    >>> training_steps(1280, epochs=15, min_steps=300, batch_size=32)
    600
    """
    return max(min_steps, -(-epochs * num_training // batch_size))


def check_setting(setting: Setting, learning_rates: Sequence[float]) -> tuple[float, ...]:
    """The learning rates as floats.

    Raises FeatalignError, naming the argument, for them or for a setting that cannot be used.

    >>> check_setting(Setting(0.1), [1, 0.5])
    (1.0, 0.5)
    """
    rates = _checked_rates(learning_rates)
    for name in ("steps", "batch_size"):
        number = getattr(setting, name)
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
            raise FeatalignError(f"{name}: expected a whole number of at least 1, got {number!r}")
    _check_amount("weight_decay", setting.weight_decay, np.inf)
    _check_amount("towards_source", setting.towards_start, np.inf)
    _check_amount("label_smoothing", setting.label_smoothing, 1)
    if setting.optimiser not in get_args(Optimiser):
        raise FeatalignError(
            f"optimiser: expected one of {', '.join(get_args(Optimiser))}, got "
            f"{setting.optimiser!r}"
        )
    return rates


def _checked_rates(learning_rates: Any) -> tuple[float, ...]:
    listed = isinstance(learning_rates, Sequence | np.ndarray)
    given = list(learning_rates) if listed and not isinstance(learning_rates, str) else []
    if not given:
        raise FeatalignError(
            f"learning_rates: expected a list of at least one number, got {learning_rates!r}"
        )
    for rate in given:
        known = isinstance(rate, int | float | np.floating) and not isinstance(rate, bool)
        if not known or not 0 < rate < np.inf:
            raise FeatalignError(f"learning_rates: expected numbers above 0, got {rate!r}")
    rates = tuple(float(rate) for rate in given)
    if len(set(rates)) != len(rates):
        raise FeatalignError(
            "learning_rates: expected each number once, got "
            f"{', '.join(f'{rate:g}' for rate in rates)}"
        )
    return rates


def _check_amount(name: str, number: Any, most: float) -> None:
    known = isinstance(number, int | float) and not isinstance(number, bool)
    if not known or not 0 <= number < most:
        limit = "" if most == np.inf else f" and below {most}"
        raise FeatalignError(f"{name}: expected a number of at least 0{limit}, got {number!r}")
