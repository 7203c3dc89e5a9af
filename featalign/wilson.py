"""Wilson's interval of a share of hits."""

import math

# the 95% quantile: so many standard deviations to each side make an interval of 90%
NORMAL = 1.6448536269514722


def wilson(share: float, count: int, deviations: float = NORMAL) -> tuple[float, float]:
    """The ends of the interval, so many standard deviations to each side.

    (p + z²/2n ± z √(p (1 - p)/n + z²/4n²)) / (1 + z²/n): never empty, also at 0 and 1 (Wilson,
    JASA 1927).

    >>> low, high = wilson(0.5, 100)
    >>> round(low, 3), round(high, 3)
    (0.419, 0.581)
    """
    square = deviations**2 / count
    middle = (share + square / 2) / (1 + square)
    half = math.sqrt(share * (1 - share) * square + square**2 / 4) / (1 + square)
    return max(0.0, middle - half), min(1.0, middle + half)
