"""The fit of a line: ridge regression, judged on data sets that are left out."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from featalign.errors import FeatalignError
from featalign.forecasting.line import Line

MIN_GROUPS = 3
STEEPEST = 1.0
NUM_RESIDUALS = 100  # a line keeps the distribution of its residuals in so many equal steps
# from hardly any penalty to one that leaves only the mean, so that the best is not at an end
PENALTIES = (0.01, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1e3, 3e3, 1e4, 1e6)
SHRUNK = 0.05  # the part of a plain diagonal in the covariance, so that it has an inverse


def fit_line(
    predictors: Sequence[Mapping[str, float]],
    values: Sequence[float],
    sizes: Sequence[float],
    groups: Sequence[str],
) -> tuple[Line, np.ndarray]:
    """Ridge regression with the penalty that errs least on groups that are left out.

    With the line come predictions (R,) of each row by the model of the other groups. `groups` say
    which rows are left out together: those of one data set. Predictors are standardised for the
    penalty; those without a single value get no weight. Raises FeatalignError for fewer than three
    groups, and for values that are not finite.
    """
    if len(set(groups)) < MIN_GROUPS:
        raise FeatalignError(
            f"records: expected at least {MIN_GROUPS} data sets to calibrate on, got "
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
    precision = _precision(matrix)
    line = Line(
        names=names,
        weights=tuple(map(float, weights)),
        means=tuple(map(float, means)),
        intercept=float(intercept),
        precision=tuple(tuple(map(_short, row)) for row in precision),
    )
    farthest = max((line.distance(row) for row in predictors), default=0.0)
    line = replace(line, farthest=farthest)
    return with_residuals(line, wanted - tried[penalty], sizes, groups), tried[penalty]


def with_residuals(
    line: Line, residuals: ArrayLike, sizes: Sequence[float], groups: Sequence[str]
) -> Line:
    """The line with the residuals (R,) of rows of groups that it had not seen.

    It also gets the scale of the residuals as a function of log n.
    """
    found, places = np.asarray(residuals, np.float64), np.asarray(sizes, np.float64)
    start, slope = _scale(found, places)
    steps = _in_steps(found / np.exp(start + slope * places), groups)
    return replace(
        line,
        residuals=tuple(map(_short, steps)),
        num_groups=len(set(groups)),
        scale_start=start,
        scale_slope=slope,
    )


def _short(value: float) -> float:
    """The value to four digits, which a file holds."""
    return float(f"{value:.4g}")


def _in_steps(values: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """The sorted values (NUM_RESIDUALS,) in the middle of equal parts of their distribution.

    Each group weighs alike in it, whatever its number of rows.
    """
    counts = Counter(groups)
    weights = np.array([1 / counts[group] for group in groups]) / len(counts)
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    middles = (np.arange(NUM_RESIDUALS) + 0.5) / NUM_RESIDUALS
    places = np.searchsorted(reached, middles - 1e-12).clip(max=len(values) - 1)
    return values[order][places]


def _ridge(
    matrix: np.ndarray, values: np.ndarray, penalty: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Means and weights of the predictors in their own units, and the intercept.

    Missing values count as the mean.
    """
    means, live, scaled = _standardised(matrix)
    solved = np.linalg.solve(
        scaled.T @ scaled + penalty * np.eye(matrix.shape[1]), scaled.T @ (values - values.mean())
    )
    return means, solved / live, float(values.mean())


def _standardised(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Means, deviations, and predictors (R, d) standardised by them; a missing value is the mean.

    A constant predictor has an infinite deviation, and so gets no weight.
    """
    means = np.nan_to_num(np.nanmean(np.where(np.isnan(matrix).all(axis=0), 0.0, matrix), axis=0))
    centred = np.where(np.isnan(matrix), means, matrix) - means
    spread = centred.std(axis=0)
    constant = spread <= 1e-12 * np.maximum(np.abs(means), 1.0)
    live = np.where(constant, np.inf, spread)
    return means, live, centred / live


def _precision(matrix: np.ndarray) -> np.ndarray:
    """The inverse covariance of the predictors, which are shrunk towards independent ones."""
    _, live, scaled = _standardised(matrix)
    count = matrix.shape[1]
    correlation = (1 - SHRUNK) * scaled.T @ scaled / max(len(matrix), 1) + SHRUNK * np.eye(count)
    return np.linalg.inv(correlation) / live[:, None] / live if count else np.zeros((0, 0))


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
