"""Which of two sources is really better, and which ones a forecast cannot tell apart."""

import math
from collections.abc import Sequence
from statistics import NormalDist

from featalign.forecasting.calibration import Calibration
from featalign.forecasting.predictors import size_of
from featalign.forecasting.remedies import SURE
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
    lines = calibration.lines_of(row.forecast.capability)
    residuals = lines.order.residuals
    deviation = lines.order.scale(size_of(num_rows)) * math.sqrt(
        2 * math.fsum(value * value for value in residuals) / max(len(residuals), 1)
    )
    difference = other.accuracy.value - row.accuracy.value
    return NormalDist().cdf(difference / max(deviation, 1e-9))


def tied(rows: Sequence[RankingRow], calibration: Calibration, num_rows: int) -> tuple[str, ...]:
    """The sources at the top that the forecast cannot tell apart, the first one among them.

    A source is tied with the first one where the probability that it is worse is below 0.8. Without
    such a source there are none. `rows` are best first.
    """
    told = [row for row in rows if row.accuracy is not None]
    if not told:
        return ()
    first, *others = told
    same = [
        row.source for row in others if worse_probability(row, first, calibration, num_rows) < SURE
    ]
    return (first.source, *same) if same else ()
