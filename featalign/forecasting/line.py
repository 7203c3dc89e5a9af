"""A linear model, with the errors that it made on data sets that it had not seen."""

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from featalign.records.interval import Interval

LEVEL = 0.9


@dataclass(frozen=True, kw_only=True)
class Line:
    """A linear model: `intercept` + Σ weight (value - mean), where a missing value adds nothing.

    `residuals` are those on data sets that were left out, each divided by its scale
    `exp(scale_start + scale_slope · size)`: sorted, in equal steps of their distribution, in which
    each of the `num_groups` data sets weighs alike. `precision` is the inverse covariance of the
    predictors, and `farthest` the greatest `distance` of what was fitted.
    """

    names: tuple[str, ...] = ()
    weights: tuple[float, ...] = ()
    means: tuple[float, ...] = ()
    intercept: float = 0.0
    precision: tuple[tuple[float, ...], ...] = ()
    farthest: float = 0.0
    residuals: tuple[float, ...] = ()
    num_groups: int = 0
    scale_start: float = 0.0
    scale_slope: float = 0.0

    def predict(self, predictors: Mapping[str, float]) -> float:
        """The expected value."""
        return self.intercept + math.fsum(part for _, part in self.parts(predictors))

    def parts(self, predictors: Mapping[str, float]) -> list[tuple[str, float]]:
        """What each predictor adds to the intercept, which explains the value."""
        centred = self._centred(predictors)
        return [
            (name, weight * value)
            for name, weight, value in zip(self.names, self.weights, centred, strict=True)
        ]

    def distance(self, predictors: Mapping[str, float]) -> float:
        """How far predictors are from those of the study: (x - m)ᵀ S⁻¹ (x - m) / d.

        It is Mahalanobis' squared distance for each of the d predictors, which is 1 on average over
        the study.
        """
        if not self.precision:
            return 0.0
        centred = self._centred(predictors)
        square = math.fsum(
            one * other * weight
            for one, row in zip(centred, self.precision, strict=True)
            for other, weight in zip(centred, row, strict=True)
        )
        return square / len(self.names)

    def widening(self, predictors: Mapping[str, float]) -> float:
        """How much wider the interval is at these predictors than on average over the study.

        The variance of a new value about a line fitted to G data sets grows with 1 + 1/G + d
        distance / G. The factor is never below 1.
        """
        count, groups = len(self.names), max(self.num_groups, 1)
        grown = (1 + (1 + count * self.distance(predictors)) / groups) / (1 + (1 + count) / groups)
        return math.sqrt(max(grown, 1.0))

    def scale(self, size: float) -> float:
        """The typical size of a residual at log(n / 200)."""
        return math.exp(self.scale_start + self.scale_slope * size)

    def interval(
        self, value: float, size: float, *, level: float = LEVEL, widening: float = 1.0
    ) -> Interval:
        """The conformal interval of a value.

        It is value ± the quantile of the absolute scaled residuals, times the scale. The quantile
        is that at level (G + 1) / G, because the next data set is one of G + 1 that are alike; each
        of the G weighs alike, because what is wrong with a data set is wrong with all its pairs
        (Dunn, Wasserman and Ramdas, JASA 2023).
        """
        half = self.half_width(size, level=level) * widening
        return Interval(value=value, low=value - half, high=value + half, level=level)

    def half_width(self, size: float = 0.0, *, level: float = LEVEL) -> float:
        """Half the width of the interval."""
        absolute = sorted(map(abs, self.residuals))
        among = min(level * (self.num_groups + 1) / self.num_groups, 1.0)
        place = min(math.ceil(len(absolute) * among - 1e-9), len(absolute)) - 1
        return absolute[place] * self.scale(size)

    def probability_below(
        self, value: float, bound: float, size: float, *, widening: float = 1.0
    ) -> float:
        """The probability that what was predicted as `value` is below `bound`, from the residuals.

        The next data set is one of G + 1, of which it is not known: the probability is (G share +
        1/2) / (G + 1), never quite 0 or 1.
        """
        scaled = (bound - value) / (self.scale(size) * widening)
        share = bisect_right(self.residuals, scaled) / len(self.residuals)
        return (self.num_groups * share + 0.5) / (self.num_groups + 1)

    def _centred(self, predictors: Mapping[str, float]) -> list[float]:
        """The predictors less their means, with 0 for those without a value."""
        found = (predictors.get(name, math.nan) for name in self.names)
        return [
            value - mean if math.isfinite(value) else 0.0
            for value, mean in zip(found, self.means, strict=True)
        ]

    @property
    def is_sound(self) -> bool:
        """Whether all parts fit together and all numbers are finite."""
        numbers = (*self.weights, *self.means, self.intercept, *self.residuals)
        others = (self.scale_start, self.scale_slope, self.farthest)
        inverse = [value for row in self.precision for value in row]
        alike = len(self.names) == len(self.weights) == len(self.means)
        square = all(len(row) == len(self.names) for row in self.precision)
        square = square and len(self.precision) in (0, len(self.names))
        finite = all(map(math.isfinite, (*numbers, *others, *inverse)))
        return alike and square and finite and bool(self.residuals) and self.num_groups > 0
