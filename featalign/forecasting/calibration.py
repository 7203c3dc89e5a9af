"""What was learnt from a study, as data.

That is linear models, with the residuals that they left on targets they had not seen.
"""

import math
import os
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from featalign.errors import FeatalignError
from featalign.records.evidence import Capability
from featalign.records.interval import Interval
from featalign.records.plain import from_json, to_json

LEVEL = 0.9


@dataclass(frozen=True)
class Line:
    """A linear model: `intercept` + Σ weight (value - mean), where a missing value adds nothing.

    `residuals` are those on targets that were left out, sorted, each divided by its scale
    `exp(scale_start + scale_slope · size)`.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    means: tuple[float, ...]
    intercept: float
    residuals: tuple[float, ...]
    scale_start: float
    scale_slope: float

    def predict(self, predictors: Mapping[str, float]) -> float:
        """The expected value."""
        return self.intercept + math.fsum(part for _, part in self.parts(predictors))

    def parts(self, predictors: Mapping[str, float]) -> list[tuple[str, float]]:
        """What each predictor adds to the intercept, which explains the value."""
        found = []
        for name, weight, mean in zip(self.names, self.weights, self.means, strict=True):
            value = predictors.get(name, math.nan)
            found.append((name, weight * (value - mean) if math.isfinite(value) else 0.0))
        return found

    def scale(self, size: float) -> float:
        """The typical size of a residual at log(n / 200)."""
        return math.exp(self.scale_start + self.scale_slope * size)

    def interval(self, value: float, size: float, *, level: float = LEVEL) -> Interval:
        """The conformal interval of a value.

        It is value ± the ⌈(m + 1) level⌉-th smallest of m absolute scaled residuals, times the
        scale. The residuals are of targets that the model had not seen, so the interval holds a new
        target's value with this probability, as far as targets are alike (Lei et al., JASA 2018,
        here with whole targets left out).
        """
        half = self.half_width(size, level=level)
        return Interval(value=value, low=value - half, high=value + half, level=level)

    def half_width(self, size: float = 0.0, *, level: float = LEVEL) -> float:
        """Half the width of the interval."""
        absolute = sorted(map(abs, self.residuals))
        place = min(math.ceil((len(absolute) + 1) * level), len(absolute)) - 1
        return absolute[place] * self.scale(size)

    def widened(self, factor: float) -> "Line":
        """The same line with all its residuals times a factor."""
        return replace(self, scale_start=self.scale_start + math.log(factor))

    def probability_below(self, value: float, bound: float, size: float) -> float:
        """The probability that what was predicted as `value` is below `bound`, from the residuals.

        It is never quite 0 or 1.
        """
        below = bisect_right(self.residuals, (bound - value) / self.scale(size))
        return (below + 1) / (len(self.residuals) + 2)


@dataclass(frozen=True, kw_only=True)
class Lines:
    """The linear models that make a forecast, for sources of one kind.

    `arms` predict the accuracy of another arm less that of `full`. `order` predicts nothing; its
    residuals are the errors that are left where sources are compared on one target.
    """

    gain: Line
    scratch: Line
    accuracy: Line
    drift: Line
    order: Line
    arms: Mapping[str, Line] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Lines, and what they are for.

    `capability` is that of the source. `share` is the length of the short runs as a part of one
    training, or None without short runs. `known` says whether the source is one of the study.
    """

    capability: Capability
    share: float | None = None
    known: bool = False
    lines: Lines


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was fitted on a study, for every capability, with and without short runs.

    `advantages` are those of the study's sources, by revision; `provenance` says where it all comes
    from.
    """

    fitted: tuple[Fitted, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    advantages: Mapping[str, float] = field(default_factory=dict)

    def lines_of(
        self, capability: Capability, *, share: float | None = None, known: bool = False
    ) -> Lines:
        """The lines for a capability, and with `share` those for short runs of the nearest share.

        A source of the study (`known`) gets the lines for such sources where there are some. Raises
        FeatalignError where there are no lines.
        """
        shares = {each.share for each in self.fitted if each.share is not None}
        if share is not None and not shares:
            raise FeatalignError(
                "calibration: expected one with short runs, this one has none; fit one with "
                "`featalign validate fit --short`"
            )
        nearest = None if share is None else min(shares, key=lambda each: abs(each - share))
        found = {
            each.known: each.lines
            for each in self.fitted
            if each.share == nearest and each.capability == capability
        }
        if False not in found:
            there = ", ".join(dict.fromkeys(each.capability for each in self.fitted))
            raise FeatalignError(
                f"calibration: expected lines for sources with {capability}, this one has those "
                f"for {there}; fit it on more targets"
            )
        return found.get(known, found[False])

    def to_json(self) -> str:
        """The calibration as JSON."""
        return to_json(self)


def read_calibration(path: Path) -> Calibration:
    """A calibration from a file, which is data and never code.

    Raises FeatalignError for a file that holds no calibration.
    """
    hint = "make one with `featalign validate fit`"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FeatalignError(
            f"{path}: expected a calibration, got {error.strerror}; {hint}"
        ) from error
    except ValueError as error:
        raise FeatalignError(
            f"{path}: expected a calibration in JSON, got something else; {hint}"
        ) from error
    try:
        found = from_json(Calibration, text)
    except FeatalignError as error:
        raise FeatalignError(f"{path}: {error}") from None
    every = [line for each in found.fitted for line in _lines_in(each.lines)]
    shares = [each.share for each in found.fitted if each.share is not None]
    finite = all(map(math.isfinite, (*shares, *found.advantages.values())))
    if not every or not finite or not all(map(_is_sound, every)):
        raise FeatalignError(
            f"{path}: expected lines with residuals and a weight and a mean for each name, "
            f"and finite numbers, got others; {hint}"
        )
    return found


def _lines_in(lines: Lines) -> tuple[Line, ...]:
    return lines.gain, lines.scratch, lines.accuracy, lines.drift, lines.order, *lines.arms.values()


def _is_sound(line: Line) -> bool:
    numbers = (*line.weights, *line.means, line.intercept, *line.residuals)
    alike = len(line.names) == len(line.weights) == len(line.means)
    finite = all(map(math.isfinite, (*numbers, line.scale_start, line.scale_slope)))
    return alike and finite and bool(line.residuals)


def calibration_at(path: str | os.PathLike[str] | None) -> Calibration:
    """The calibration of a file, or the shipped one; raises FeatalignError for a bad file."""
    return shipped_calibration() if path is None else read_calibration(Path(path))


@cache
def shipped_calibration() -> Calibration:
    """The calibration that ships in the package, fitted on its study."""
    return read_calibration(
        Path(str(files("featalign") / "forecasting" / "calibration" / "calibration.json"))
    )


def fit_line(
    predictors: Sequence[Mapping[str, float]],
    values: Sequence[float],
    sizes: Sequence[float],
    groups: Sequence[str],
) -> tuple[Line, np.ndarray]:
    """Ridge regression with the penalty that errs least on groups that are left out.

    With the line come predictions (R,) of each row by the model of the other groups. `groups` say
    which rows are left out together: those of one target. Predictors are standardised for the
    penalty; those without a single value get no weight. Raises FeatalignError for fewer than three
    groups, and for values that are not finite.
    """
    if len(set(groups)) < MIN_GROUPS:
        raise FeatalignError(
            f"records: expected at least {MIN_GROUPS} targets to calibrate on, got "
            f"{len(set(groups))}; train on more"
        )
    names = tuple(predictors[0])
    matrix = np.array(
        [[row[name] for name in names] for row in predictors], dtype=np.float64
    ).reshape(len(values), len(names))
    matrix[~np.isfinite(matrix)] = np.nan
    wanted, labels = np.asarray(values, np.float64), np.asarray(groups)
    if not np.isfinite(wanted).all():
        place = int(np.argmin(np.isfinite(wanted)))
        got = f"got {wanted[place]} on {groups[place]}"
        raise FeatalignError(f"records: expected finite accuracies, {got}; drop that record")
    tried = {penalty: _left_out(matrix, wanted, labels, penalty) for penalty in PENALTIES}
    penalty = min(tried, key=lambda each: float(((tried[each] - wanted) ** 2).mean()))
    means, weights, intercept = _ridge(matrix, wanted, penalty)
    line = Line(
        names, tuple(map(float, weights)), tuple(map(float, means)), float(intercept), (), 0.0, 0.0
    )
    return with_residuals(line, wanted - tried[penalty], sizes), tried[penalty]


def with_residuals(line: Line, residuals: ArrayLike, sizes: Sequence[float]) -> Line:
    """The line with the residuals (R,) of rows that it had not seen.

    It also gets the scale of the residuals as a function of log n.
    """
    found, places = np.asarray(residuals, np.float64), np.asarray(sizes, np.float64)
    start, slope = _scale(found, places)
    scaled = np.sort(found / np.exp(start + slope * places))
    return replace(
        line,
        residuals=tuple(float(f"{value:.4g}") for value in scaled),
        scale_start=start,
        scale_slope=slope,
    )


MIN_GROUPS = 3
STEEPEST = 1.0
# from hardly any penalty to one that leaves only the mean, so that the best is not at an end
PENALTIES = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e6)


def _ridge(
    matrix: np.ndarray, values: np.ndarray, penalty: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Means and weights of the predictors in their own units, and the intercept.

    Missing values count as the mean.
    """
    means = np.nan_to_num(np.nanmean(np.where(np.isnan(matrix).all(axis=0), 0.0, matrix), axis=0))
    centred = np.where(np.isnan(matrix), means, matrix) - means
    spread = centred.std(axis=0)
    constant = spread <= 1e-12 * np.maximum(np.abs(means), 1.0)
    live = np.where(constant, np.inf, spread)  # a constant predictor gets no weight
    scaled = centred / live
    solved = np.linalg.solve(
        scaled.T @ scaled + penalty * np.eye(matrix.shape[1]), scaled.T @ (values - values.mean())
    )
    return means, solved / live, float(values.mean())


def _left_out(
    matrix: np.ndarray, values: np.ndarray, groups: np.ndarray, penalty: float
) -> np.ndarray:
    """Predictions (R,) of each group by the model of the others."""
    found = np.empty(len(values))
    for group in np.unique(groups):
        held = groups == group
        means, weights, intercept = _ridge(matrix[~held], values[~held], penalty)
        found[held] = (
            intercept + (np.where(np.isnan(matrix[held]), means, matrix[held]) - means) @ weights
        )
    return found


def _scale(residuals: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """The log of the root mean square residual as a line in size, no steeper than proportion to n.

    A few residuals at sizes near each other can have any slope, and scales at other sizes would
    then be far off.
    """
    levels = np.unique(sizes)
    roots = np.array(
        [
            math.log(math.sqrt(float((residuals[sizes == level] ** 2).mean())) + 1e-6)
            for level in levels
        ]
    )
    counts = np.array([(sizes == level).sum() for level in levels], dtype=np.float64)
    if len(levels) < 2:
        return float(roots[0]), 0.0
    slope, start = np.polyfit(levels, roots, 1, w=np.sqrt(counts))
    bounded = float(np.clip(slope, -STEEPEST, STEEPEST))
    if bounded != slope:
        start = np.average(roots - bounded * levels, weights=counts)
    return float(start), bounded
