"""Ridge probe: the leave-one-out accuracy of ridge regression on the labels."""

from typing import Any

import numpy as np

from featalign.arrays import Labels
from featalign.metrics import Metric
from featalign.records.score import Status
from featalign.scorers.leave_group_out import leave_group_out
from featalign.scorers.scorer import ALL_TASKS, Influenced, Judged, RowMean, Scorer
from featalign.statistics.collected import Statistics, label_columns
from featalign.statistics.gather import gather
from featalign.statistics.principal_rows import PrincipalRows
from featalign.statistics.products import arrays, held, squares_product
from featalign.statistics.rows import Rows
from featalign.statistics.spectrum import Spectrum

RELATIVE_PENALTIES = tuple(float(10.0**power) for power in np.arange(-4, 3.5, 0.5))
COLUMNS = 64  # the least columns of a product, because one label column does not keep BLAS busy
ROUNDING = 1e-12
NEEDS = frozenset({Spectrum, Rows, PrincipalRows})


def compute(statistics: Statistics) -> RowMean | Influenced | Judged | Status:
    """Leave-one-out accuracy of ridge regression on the one-hot labels.

    For several labels a row it is the mean share of labels that are right, where a prediction above
    ½ means yes. For float targets it is R², averaged over columns. Larger is better.

    Leaving row i out changes its residual to (y_i - ŷ_i) / (1 - h_i), where h is the diagonal of
    the hat matrix with a free intercept. One eigendecomposition therefore serves all rows and
    penalties exactly. The penalty, 1e-4 ... 1e3 times the mean eigenvalue, is the one with the
    smallest sum of squared leave-one-out residuals. With groups, a row's whole group is left out
    with it (`leave_group_out`). Another metric judges all these predictions together; where it is
    one of ranks, each is taken less the mean of the labels that it was fitted on, since that mean
    is the lower the higher the label that was left out. Allen, "The relationship between variable
    selection and data augmentation and a method for prediction", 1974.
    """
    if statistics.num_rows < 3:
        return Status.TOO_FEW_ROWS
    spectrum, labels = statistics[Spectrum], statistics[Rows].labels
    if spectrum.is_constant:
        return Status.CONSTANT
    predictions = held_out_predictions(statistics)
    if not np.isfinite(predictions).all():  # no penalty has a finite error
        return Status.UNDEFINED
    if statistics.metric is not None:
        return _judged(statistics, statistics.metric, predictions)
    if statistics.task == "classification":
        right = predictions.argmax(axis=1) == labels
        return RowMean(right.astype(np.float64), hits=True)
    if statistics.task == "multilabel":
        return RowMean(((predictions > 0.5) == labels).mean(axis=1))
    return explained(labels, predictions)


def _judged(statistics: Statistics, metric: Metric, predictions: np.ndarray) -> Judged:
    rows = statistics[Rows]
    labels, groups = rows.labels, rows.held.groups
    scores = predictions - 0.5 * (statistics.task == "multilabel")  # above 0 means yes
    if metric.ranks:
        columns = label_columns(labels, statistics.num_classes)
        scores = predictions - means_without(columns, groups)
    return Judged(metric, labels, scores[None], groups)


def means_without(columns: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """The means of columns (M, K) over all rows but each row, or but those of its group (M, K).

    >>> means_without(np.array([[0.0], [3.0], [6.0]]), None).tolist()
    [[4.5], [3.0], [1.5]]
    """
    numbers = np.arange(len(columns))
    if groups is not None:
        numbers = np.unique(groups, return_inverse=True)[1].reshape(-1)
    sums = np.zeros((int(numbers.max()) + 1, columns.shape[1]))
    np.add.at(sums, numbers, columns)
    left = len(columns) - np.bincount(numbers)
    return ((columns.sum(axis=0) - sums) / left[:, None])[numbers]


def held_out_predictions(statistics: Statistics) -> np.ndarray:
    """Predictions of all label columns (M, K), each row by the fit without it or its group."""
    held = statistics[Rows].held
    if held.groups is not None and held.sampled:
        # rows of a group that are not in the sample would stay in the fit
        classes = statistics.labels.classes
        labels = Labels(statistics[Rows].labels, classes, held.groups)
        statistics = gather(held.features, labels, NEEDS, seed=statistics.seed)
    spectrum, rows = statistics[Spectrum], statistics[PrincipalRows].rotated()
    targets = label_columns(statistics[Rows].labels, statistics.num_classes)
    with np.errstate(over="ignore", invalid="ignore"):  # squares of targets may overflow
        if held.groups is not None:
            rotated = np.asarray(rows)
            return leave_group_out(spectrum, rotated, targets, held.groups, RELATIVE_PENALTIES)
        sampled = len(targets) < statistics.num_rows
        return np.asarray(_leave_one_out(spectrum, rows, targets, sampled=sampled))


def explained(targets: np.ndarray, predictions: np.ndarray) -> Influenced | Status:
    """R² of predictions (M, K), averaged over columns: 1 - Σ (y - ŷ)² / Σ (y - ȳ)²."""
    squares, errors = (targets - targets.mean(axis=0)) ** 2, (targets - predictions) ** 2
    if not (targets.max(axis=0) > targets.min(axis=0)).all():
        return Status.UNDEFINED
    missed, present = errors.mean(axis=0), squares.mean(axis=0)
    return Influenced(
        float((1 - missed / present).mean()),
        lambda: (missed / present**2 * squares - errors / present).mean(axis=1),
    )


def _leave_one_out(spectrum: Spectrum, rows: Any, targets: np.ndarray, *, sampled: bool) -> Any:
    """Leave-one-out predictions (M, K) under the best penalty, from rows U √Λ (M, R).

    The error under a penalty is E = Σ w ρ, where ρ are the squared residuals of the rows and
    w = (1 - h)⁻². All leverages and the sum of ρ over all rows cost little, so rows are fitted only
    under penalties that may be the best. Let w = m + v with the mean m, let ρ° and r° belong to
    another penalty that was fitted, and let Δ be the change of ŷ between the two, whose |Δ| is
    known. Then

        E = m Σ ρ + Σ v ρ = m Σ ρ + Σ v ρ° + 2 Σ v r°·Δ + Σ v |Δ|²
          ≥ m Σ ρ + Σ v ρ° - 2 √(Σ v² ρ°) |Δ| + min v |Δ|².

    Σ ρ is not known for a sample of rows, so all penalties are fitted there.
    """
    xp, size = arrays(), rows.shape[1]
    values, projections = held((spectrum.eigenvalues[:size], spectrum.label_projections[:size]))
    label_means, label_squares = held((spectrum.label_means, spectrum.label_squares.sum()))
    targets, cross = xp.asarray(targets) - label_means, xp.sqrt(values)[:, None] * projections
    inverse = 1 / (values[:, None] + xp.asarray(RELATIVE_PENALTIES) * values.mean())  # (R, P)
    left = 1 - 1 / float(spectrum.count) - squares_product(rows, inverse)
    left = xp.maximum(left, 1e-12)  # 1 - h (M, P)
    weight = 1 / left**2
    middle = weight.mean(axis=0)
    about, shrinkage = weight - middle, values[:, None] * inverse
    powers = (projections**2).sum(axis=1)
    missed = label_squares - powers.sum() + powers @ (1 - shrinkage) ** 2
    known = np.asarray(middle * (missed - ROUNDING * label_squares))

    errors, bounds = np.full(len(known), np.inf), np.full(len(known), -np.inf)
    tried, best = np.zeros(len(known), bool), xp.full_like(targets, np.nan)
    open_ones = known.argsort(kind="stable")
    together = max(1, COLUMNS // cross.shape[1])
    while len(chosen := open_ones[:together]):
        weights = (cross[:, None, :] * inverse[:, chosen, None]).reshape(size, -1)
        fitted = (rows @ weights).reshape(len(rows), len(chosen), -1)
        for place, index in enumerate(chosen):
            residuals = targets - fitted[:, place]
            squares = (residuals**2).sum(axis=1)
            error = float(squares @ weight[:, index])
            if error < errors.min():
                best = residuals / left[:, [index]]
            errors[index], tried[index] = error, True
            if not sampled:
                moved = powers @ (shrinkage - shrinkage[:, [index]]) ** 2
                turned = 2 * xp.sqrt((squares @ about**2) * moved)
                change = squares @ about - turned + about.min(axis=0) * moved
                bounds = np.maximum(bounds, known + np.asarray(change))
        waiting = ~tried & (bounds <= errors.min())
        open_ones = np.flatnonzero(waiting)[bounds[waiting].argsort(kind="stable")]
    return targets - best + label_means


RIDGE_PROBE = Scorer(
    "ridge_probe",
    compute,
    NEEDS,
    "leave-one-out accuracy (or R²) of ridge regression",
    True,
    tasks=ALL_TASKS,
    invariances=frozenset({"rotation", "scale", "shift"}),
    unit="percent",
)
