"""Numbers of records as cells: accuracies, gains, scores and their intervals."""

import math

from featalign.records.interval import Interval, percent, points
from featalign.records.score import ScoreResult, Status
from featalign.scorers.registry import unit_of
from featalign.study.bootstrap import BootstrapInterval
from featalign.views.cells import Cell

MISSING = Cell(text="-", value=None)


def format_score(name: str, result: ScoreResult) -> str:
    """A score for people.

    Accuracies are in percent, others have three or four digits. Where there is no score, a dash or
    the reason stands.

    >>> scores = (("knn", 0.957), ("tangent_gain", 0.0312), ("gbc", -3.21e-7))
    >>> [format_score(name, ScoreResult(value)) for name, value in scores]
    ['95.7%', '+3.1 points', '-3.21e-07']
    """
    if not result.ok:
        return "black box" if result.status is Status.BLACK_BOX else "-"
    return format_number(name, result.value) + (" points" if unit_of(name) == "points" else "")


def format_number(name: str, value: float) -> str:
    """A value of a score for people, points without their unit.

    >>> format_number("tangent_gain", 0.0312)
    '+3.1'
    """
    unit = unit_of(name)
    if unit != "number":
        return percent(value) if unit == "percent" else points(value)
    return f"{value:.3f}" if 0.01 <= abs(value) < 1000 or value == 0 else f"{value:.3g}"


def score_cell(name: str, result: ScoreResult, shade: float | None = None) -> Cell:
    """A score, below it its interval or its deviation over draws, and its zero.

    >>> score_cell("knn", ScoreResult(0.957, interval=(0.93, 0.974))).lines
    ('95.7%', '93.0 to 97.4')

    Points stand without their unit, which is in the heading.
    """
    more, below = {}, []
    if result.ok and result.spread is not None:
        more["spread"] = result.spread
        below.append(f"± {format_number(name, result.spread).strip('+%')}")
    elif result.ok and result.interval:
        more |= dict(zip(("low", "high"), result.interval, strict=True))
        below.append(" to ".join(format_number(name, end).strip("%") for end in result.interval))
    if result.zero:
        zero = result.zero
        more |= {"zero": zero.mean, "zero_spread": zero.spread}
        mean, spread = (format_number(name, each) for each in (zero.mean, zero.spread))
        below.append(f"zero {mean.strip('%')} ± {spread.strip('+%')}")
    tooltip = result.note if result.ok else result.status.explanation
    return Cell(
        text=format_number(name, result.value) if result.ok else format_score(name, result),
        value=result.value,
        more=more,
        below=tuple(below),
        tooltip=tooltip,
        shade=shade,
        emphasis="" if result.ok else "dim",
    )


def accuracy_cell(accuracy: Interval, *, digits: int = 0, with_ends: bool = True) -> Cell:
    """An accuracy in percent, with the ends of its interval or without them."""
    whole = accuracy.in_percent(digits)
    tooltip = "" if with_ends else f"{whole}, {percent(accuracy.level, 0)} interval"
    return Cell(
        text=percent(accuracy.value, digits),
        ends=_between(whole) if with_ends else "",
        value=accuracy.value,
        more=_ends(accuracy),
        tooltip=tooltip,
    )


def gain_cell(gain: Interval) -> Cell:
    """A gain in points with the ends of its interval."""
    ends = _between(gain.in_points())
    return Cell(text=points(gain.value), ends=ends, value=gain.value, more=_ends(gain))


def points_cell(value: float) -> Cell:
    """A difference of accuracies in points."""
    return Cell(text=points(value), value=value)


def share_cell(value: float, digits: int = 1) -> Cell:
    """A share, such as an accuracy or a probability, in percent."""
    return Cell(text=percent(value, digits), value=value)


def number_cell(value: float, digits: int = 3, missing: str = "-") -> Cell:
    """A number with so many digits; one without a value is a dash."""
    if math.isnan(value):
        return Cell(text=missing, value=math.nan)
    return Cell(text=f"{value:.{digits}f}", value=value)


def count_cell(count: int) -> Cell:
    """A whole number."""
    return Cell(text=str(count), value=count)


def bootstrap_cell(found: BootstrapInterval) -> Cell:
    """A mean, and below it the ends of its interval."""
    if math.isnan(found.value):
        return Cell(text="-", value=math.nan)
    if math.isnan(found.low):
        return Cell(text=f"{found.value:.2f}", value=found.value)
    ends = f"{found.low:.2f} to {found.high:.2f}"
    more = {"low": found.low, "high": found.high}
    return Cell(text=f"{found.value:.2f}", value=found.value, more=more, below=(ends,))


def _between(whole: str) -> str:
    """The ends of an interval that is written behind its value, in brackets."""
    return whole[whole.index("(") + 1 : -1]


def _ends(interval: Interval) -> dict[str, float]:
    return {"low": interval.low, "high": interval.high}
