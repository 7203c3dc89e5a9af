"""What would tell where a forecast cannot: short runs, more rows or training, with numbers."""

import math
from statistics import NormalDist

from featalign.records.forecast import Forecast
from featalign.records.interval import Interval, points

SURE = 0.8  # a verdict needs a gain, or a loss, with at least this probability
SMALL = 0.005  # a gain below half a point is not worth the rows that would show it


def what_would_tell(forecast: Forecast, num_rows: int | None = None) -> tuple[str, ...]:
    """Sentences on what would settle whether a source helps, for a forecast that does not.

    Short runs are named where the source has gradients and there are none yet. The number of
    rows is the least of those of the forecast at which a gain, or a loss, has a chance of 0.8.
    The number of held-out rows n is that at which a real difference of accuracies g stands out of
    its noise as surely, n = z² (a (1 - a) + s (1 - s)) / g², with the expected accuracies a of the
    source and s from scratch.
    """
    found = []
    if forecast.tier == "cache" and forecast.capability == "gradients":
        found.append('short runs may tell: effort="short" trains the source and scratch a little')
    found += _more_rows(forecast, num_rows)
    gain = forecast.gain.value
    if abs(gain) >= SMALL:
        ends = forecast.accuracy.value, forecast.scratch_accuracy.value
        noise = sum(each * (1 - each) for each in ends)
        rows = math.ceil((NormalDist().inv_cdf(SURE) / gain) ** 2 * noise)
        found.append(
            f"training both tells: a difference of {points(gain)} points stands out on about "
            f"{max(rows, 1):,} held-out rows"
        )
    return tuple(found)


def _more_rows(forecast: Forecast, num_rows: int | None) -> list[str]:
    more = {n: gain for n, gain in forecast.gain_by_size.items() if n > (num_rows or 0)}
    if num_rows is None or not more:
        return []
    for size, gain in sorted(more.items()):
        chance = _chance_of_gain(gain)
        if max(chance, 1 - chance) >= SURE:
            what = "gain" if chance >= SURE else "loss"
            return [
                f"more rows may tell: at about {size:,} a {what} is expected with a chance of "
                f"{max(chance, 1 - chance):.0%}"
            ]
    return [f"more rows alone would hardly tell: the forecast is as unsure up to {max(more):,}"]


def _chance_of_gain(gain: Interval) -> float:
    """The probability of a gain above zero, from an interval as of a normal law."""
    deviation = (gain.high - gain.low) / (2 * NormalDist().inv_cdf((1 + gain.level) / 2))
    return 1 - NormalDist(gain.value, max(deviation, 1e-9)).cdf(0.0)
