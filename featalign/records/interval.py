"""A value with the ends between which it is expected, and how it is shown to people."""

from dataclasses import dataclass

from featalign.records.plain import Plain


@dataclass(frozen=True, kw_only=True)
class Interval(Plain):
    """A value that is expected to lie in [low, high] with probability `level`."""

    value: float
    low: float
    high: float
    level: float

    def holds(self, value: float) -> bool:
        """Whether a value lies between the ends.

        >>> Interval(value=0.5, low=0.4, high=0.6, level=0.9).holds(0.6)
        True
        """
        return self.low <= value <= self.high

    def in_percent(self, digits: int = 1) -> str:
        """The accuracy as people read it.

        >>> Interval(value=0.912, low=0.85, high=0.961, level=0.9).in_percent()
        '91.2% (85.0 to 96.1)'
        """
        low, high = (f"{100 * end:.{digits}f}" for end in (self.low, self.high))
        return f"{percent(self.value, digits)} ({low} to {high})"

    def in_points(self) -> str:
        """The difference of accuracies as people read it.

        >>> Interval(value=0.052, low=-0.01, high=0.114, level=0.9).in_points()
        '+5.2 (-1.0 to +11.4)'
        """
        return f"{points(self.value)} ({points(self.low)} to {points(self.high)})"


def percent(value: float, digits: int = 1) -> str:
    """An accuracy or a probability as people read it.

    >>> percent(0.9123), percent(0.9123, 0)
    ('91.2%', '91%')
    """
    return f"{100 * value:.{digits}f}%"


def points(value: float) -> str:
    """A difference of accuracies as people read it, in percentage points.

    >>> points(0.052)
    '+5.2'
    """
    return f"{100 * value:+.1f}"
