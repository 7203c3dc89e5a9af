"""Which of two sources is really better, and which ones a forecast cannot tell apart."""

import math
from collections.abc import Sequence
from statistics import NormalDist

from featalign.forecasting.calibration import Calibration
from featalign.forecasting.remedies import SURE
from featalign.forecasting.situation import size_of
from featalign.records.ranking import RankingRow


def worse_probability(
    row: RankingRow, other: RankingRow, calibration: Calibration, num_rows: int
) -> float:
    """The probability that a source ends below another one on the same target.

    It is Φ(difference of the forecasts / deviation of the difference of their errors), and 1/2
    where one of them has no forecast.
    """
    if row.accuracy is None or other.accuracy is None or row.forecast is None:
        return 0.5
    lines = calibration.lines_of(row.forecast.capability, tier=row.forecast.tier)
    residuals = lines.order.residuals
    deviation = lines.order.scale(size_of(num_rows)) * math.sqrt(
        2 * math.fsum(value * value for value in residuals) / max(len(residuals), 1)
    )
    difference = other.accuracy.value - row.accuracy.value
    return NormalDist().cdf(difference / max(deviation, 1e-9))


def ties_of(
    rows: Sequence[RankingRow], calibration: Calibration, num_rows: int
) -> tuple[tuple[str, ...], ...]:
    """The groups of sources that the forecast cannot tell apart; a source of its own is in none.

    `rows` are best first. A group begins with the best source that is in none yet. Those that
    follow belong to it as long as the probability that they are worse than it is below 0.8.
    """
    groups: list[list[RankingRow]] = []
    for row in rows:
        if row.accuracy is None:
            continue
        best = groups[-1][0] if groups else None
        if best is not None and worse_probability(row, best, calibration, num_rows) < SURE:
            groups[-1].append(row)
        else:
            groups.append([row])
    return tuple(tuple(row.source for row in group) for group in groups if len(group) > 1)
