"""What was learnt from a study, as data.

That is linear models with the residuals they left on targets they had not seen.
"""

import json
import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from featalign.arrays import Interval
from featalign.errors import FeatalignError

SCHEMA = 1
LEVEL = 0.9
NEEDED = frozenset({"gain", "scratch", "accuracy", "drift", "order"})
SHORT, KNOWN = "short ", ", known source"


@dataclass(frozen=True)
class Line:
    """A linear model: `intercept` + Σ weight (value - mean), a value that is missing at its mean.

    `residuals` are those on targets that were left out, each divided by its scale `exp(scale_start
    + scale_slope · size)`, sorted.
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
        """What each predictor adds to the intercept: why the value is as it is."""
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
        scale.

        With residuals of targets that the model had not seen it holds a new target's value with
        this probability, as far as targets are alike (Lei et al., JASA 2018, with whole targets
        left out).
        """
        half = self.half_width(size, level=level)
        return Interval(value, value - half, value + half, level)

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

        Never quite 0 or 1.
        """
        below = bisect_right(self.residuals, (bound - value) / self.scale(size))
        return (below + 1) / (len(self.residuals) + 2)


@dataclass(frozen=True)
class Calibration:
    """Lines by kind of source and by what they predict.

    The kinds are "differentiable", "black box", "features alone", and "short S" with runs of a
    share S. Kinds that end in ", known source" are for sources of the study. `advantages` are
    theirs, by revision; `provenance` says where the calibration comes from.
    """

    lines: Mapping[str, Mapping[str, Line]]
    provenance: Mapping[str, Any]
    advantages: Mapping[str, float] = field(default_factory=dict)

    def lines_of(
        self, kind: str, *, share: float | None = None, known: bool = False
    ) -> Mapping[str, Line]:
        """The lines of a kind, or for short runs of the nearest share.

        For a known source its own where there are some.

        Raises FeatalignError where there are none.
        """
        if share is not None:
            shares = {
                name.removeprefix(SHORT).removesuffix(KNOWN)
                for name in self.lines
                if name.startswith(SHORT)
            }
            if not shares:
                raise FeatalignError(
                    "calibration: expected one with short runs, this one has none; fit one with "
                    "`featalign validate fit --short`"
                )
            kind = SHORT + min(shares, key=lambda each: abs(float(each) - share))
        if kind not in self.lines:
            raise FeatalignError(
                f"calibration: expected lines for {kind}, this one has {', '.join(self.lines)}; "
                "fit it on more targets"
            )
        return (
            self.lines[kind + KNOWN] if known and kind + KNOWN in self.lines else self.lines[kind]
        )

    def to_json(self) -> str:
        """As text."""
        lines = {
            kind: {name: asdict(line) for name, line in each.items()}
            for kind, each in self.lines.items()
        }
        return json.dumps(
            {
                "schema": SCHEMA,
                "provenance": dict(self.provenance),
                "advantages": dict(self.advantages),
                "lines": lines,
            },
            indent=1,
        )


def read_calibration(path: Path) -> Calibration:
    """A calibration from a file; it is data and never code.

    Raises FeatalignError for a file that is none.
    """
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FeatalignError(
            f"{path}: expected a calibration, got {error.strerror}; make one with `featalign "
            "validate fit`"
        ) from error
    except ValueError as error:
        raise FeatalignError(
            f"{path}: expected a calibration in JSON, got something else; make one with `featalign "
            "validate fit`"
        ) from error
    if not isinstance(stated, dict) or stated.get("schema") != SCHEMA:
        raise FeatalignError(
            f"{path}: expected a calibration of schema {SCHEMA}, got another file; make one with "
            "`featalign validate fit`"
        )
    try:
        lines = {
            kind: {name: _line(line) for name, line in each.items()}
            for kind, each in stated["lines"].items()
        }
        shares = [
            float(kind.removeprefix(SHORT).removesuffix(KNOWN))
            for kind in lines
            if kind.startswith(SHORT)
        ]
        advantages = {str(name): float(value) for name, value in stated["advantages"].items()}
        if (
            not lines
            or not all(NEEDED <= set(each) for each in lines.values())
            or not all(map(math.isfinite, (*shares, *advantages.values())))
        ):
            raise ValueError(f"lines for {', '.join(sorted(NEEDED))} of each kind")
        return Calibration(lines, stated["provenance"], advantages)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise FeatalignError(
            f"{path}: expected lines and provenance, got a calibration that lacks or spoils "
            f"{error}; make it anew"
        ) from error


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
    """Ridge regression with the penalty that errs least on groups left out.

    Beside the line are its predictions (R,) of each row by the model of the other groups.

    `groups` say what is left out together: the target of each row. Predictors are standardised for
    the penalty; those without a single value get no weight. Raises FeatalignError for fewer than
    three groups, and for values that are not finite.
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

    It also gets their scale as it goes with log n.
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
# from hardly any to one that leaves the mean alone, so that the best is not at an end
PENALTIES = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e6)


def _ridge(
    matrix: np.ndarray, values: np.ndarray, penalty: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Means and weights of the predictors as they are, and the intercept.

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
    """Log of the root mean square residual as a line in size, no steeper than in proportion to n.

    Few residuals at sizes near each other have any slope, by which scales at other sizes would
    leave every bound.
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


def _line(stated: Mapping[str, Any]) -> Line:
    line = Line(
        tuple(map(str, stated["names"])),
        tuple(map(float, stated["weights"])),
        tuple(map(float, stated["means"])),
        float(stated["intercept"]),
        tuple(map(float, stated["residuals"])),
        float(stated["scale_start"]),
        float(stated["scale_slope"]),
    )
    numbers = (
        *line.weights,
        *line.means,
        line.intercept,
        *line.residuals,
        line.scale_start,
        line.scale_slope,
    )
    if (
        not len(line.names) == len(line.weights) == len(line.means)
        or not line.residuals
        or not all(map(math.isfinite, numbers))
    ):
        raise ValueError(
            "a line, which has a weight and a mean for each name, residuals, and finite numbers"
        )
    return line
