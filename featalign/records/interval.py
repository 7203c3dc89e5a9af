"""A value with the ends between which it is expected."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A value that is expected to lie in [low, high] with probability `level`."""

    value: float
    low: float
    high: float
    level: float
