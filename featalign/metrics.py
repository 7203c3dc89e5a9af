"""What predictions are judged by: one table of metrics, and how far a value is certain."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from featalign.arrays import Task
from featalign.errors import FeatalignError

MetricName = Literal[
    "accuracy", "balanced_accuracy", "macro_f1", "average_precision", "r2", "spearman"
]
METRIC_NAMES: tuple[MetricName, ...] = get_args(MetricName)
ACCURACY: MetricName = "accuracy"
BLOCKS, LEVEL, LEVEL_ENDS = 50, 0.9, 0.95
Judge = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Metric:
    """A metric: its range, its direction, and the tasks for which it is defined.

    `compute(labels, scores)` takes class indices (N,) and scores (N, C), of which the largest is
    the prediction; or zeros and ones (N, K) and scores (N, K), of which those above 0 mean yes; or
    floats (N, K) and predictions (N, K). It is NaN where it is not defined. `ranks` says that only
    the order of rows counts, so that scores of different fits need a common zero.
    """

    name: MetricName
    summary: str
    compute: Judge
    tasks: tuple[Task, ...]
    low: float = 0.0
    high: float = 1.0
    larger_is_better: bool = True
    ranks: bool = False


def accuracy(labels: np.ndarray, scores: np.ndarray) -> float:
    """The share of rows, or of labels of rows, that are predicted right."""
    return float((predicted(labels, scores) == labels).mean())


def balanced_accuracy(labels: np.ndarray, scores: np.ndarray) -> float:
    """The recall Σ_i [ŷ_i = y_i = c] / n_c, averaged over the classes c that occur."""
    right, counts = predicted(labels, scores) == labels, np.bincount(labels)
    recalls = np.bincount(labels, weights=right) / np.maximum(counts, 1)
    return float(recalls[counts > 0].mean())


def macro_f1(labels: np.ndarray, scores: np.ndarray) -> float:
    """2 hits / (predicted + occurring), averaged over classes that occur or are predicted.

    With several labels a row it is averaged over all labels, and is 0 of one that neither occurs
    nor is predicted.
    """
    found = predicted(labels, scores)
    if labels.ndim == 2:
        hits, both = (found & (labels > 0)).sum(axis=0), found.sum(axis=0) + labels.sum(axis=0)
        return float((2 * hits / np.maximum(both, 1)).mean())
    size = scores.shape[1]
    hits = np.bincount(labels[found == labels], minlength=size)
    both = np.bincount(labels, minlength=size) + np.bincount(found, minlength=size)
    return float((2 * hits[both > 0] / both[both > 0]).mean())


def average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Σ_t (R_t - R_{t-1}) P_t over falling thresholds, averaged over classes or labels that occur.

    Each class is told from all others; P and R are precision and recall of the rows whose score is
    at least the threshold, so that ties come together. It is about the share of the class where
    scores say nothing.
    """
    members = labels[:, None] == np.arange(scores.shape[1]) if labels.ndim == 1 else labels > 0
    found = [
        _average_precision(members[:, place], scores[:, place])
        for place in np.flatnonzero(members.any(axis=0))
    ]
    return float(np.mean(found)) if found else float("nan")


def _average_precision(positive: np.ndarray, scores: np.ndarray) -> float:
    order = np.argsort(-scores, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(scores[order])), len(order) - 1)
    hits = np.cumsum(positive[order])[ends]
    return float((np.diff(hits, prepend=0) * hits / (ends + 1)).sum() / positive.sum())


def r2(targets: np.ndarray, predictions: np.ndarray) -> float:
    """1 - Σ (y - ŷ)² / Σ (y - ȳ)², averaged over columns; NaN where a column does not vary."""
    squares = ((targets - targets.mean(axis=0)) ** 2).sum(axis=0)
    if not (squares > 0).all():
        return float("nan")
    return float((1 - ((targets - predictions) ** 2).sum(axis=0) / squares).mean())


def spearman(targets: np.ndarray, predictions: np.ndarray) -> float:
    """The correlation of ranks, averaged over columns; equal values share the mean of their ranks.

    It is NaN where targets or predictions do not vary.
    """
    from scipy.stats import rankdata  # it takes long to import

    found = []
    for one, other in zip(targets.T, predictions.T, strict=True):
        first, second = (rankdata(values) - (len(one) + 1) / 2 for values in (one, other))
        size = np.sqrt((first**2).sum() * (second**2).sum())
        found.append(float(first @ second / size) if size > 0 else float("nan"))
    return float(np.mean(found))


_CLASSES: tuple[Task, ...] = ("classification", "multilabel")
METRICS = (
    Metric("accuracy", "share that is predicted right", accuracy, _CLASSES),
    Metric(
        "balanced_accuracy",
        "share that is predicted right, averaged over classes",
        balanced_accuracy,
        ("classification",),
    ),
    Metric("macro_f1", "F1 of each class or label, averaged", macro_f1, _CLASSES),
    Metric(
        "average_precision",
        "area under precision and recall of each class or label, averaged",
        average_precision,
        _CLASSES,
        ranks=True,
    ),
    Metric("r2", "share of the variance that is explained", r2, ("regression",), low=-np.inf),
    Metric("spearman", "correlation of the ranks", spearman, ("regression",), low=-1.0, ranks=True),
)
_BY_NAME = {metric.name: metric for metric in METRICS}


def default_metric(task: Task) -> MetricName:
    """What a task is judged by unless it is said: accuracy, or r2 for numbers.

    >>> default_metric("regression")
    'r2'
    """
    return "r2" if task == "regression" else ACCURACY


def metric_for(task: Task, name: str | None) -> Metric:
    """The metric of this name, or the default of the task.

    Raises FeatalignError, with those that would do, for one that is not defined for the task.

    >>> metric_for("classification", None).name, metric_for("regression", "spearman").low
    ('accuracy', -1.0)
    """
    found = _BY_NAME.get(default_metric(task) if name is None else name)  # type: ignore[arg-type]
    if found is None or task not in found.tasks:
        fitting = ", ".join(metric.name for metric in METRICS if task in metric.tasks)
        raise FeatalignError(
            f"metric: expected one of {fitting} for a task of {task}, got {name!r}"
        )
    return found


def predicted(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The predicted classes (N,), or which labels are predicted (N, K), from scores."""
    return scores.argmax(axis=1) if labels.ndim == 1 else scores > 0


def bounds(
    metric: Metric,
    labels: np.ndarray,
    scores: np.ndarray,
    groups: np.ndarray | None = None,
) -> tuple[float, float] | None:
    """The ends of a 90% interval of a metric on N rows that were not trained on, within its range.

    No metric but accuracy is a mean over rows, so it is value ± t s with s² = (B - 1)/B Σ (θ_b -
    θ̄)², where θ_b is the metric without one of B blocks of rows (the jackknife: Efron and Stein,
    1981) and t is Student's with B - 1 degrees. Blocks are the groups, where there are some, else
    50 random parts. None where B < 2 or where a block leaves the metric undefined.
    """
    error = jackknife(metric.compute, labels, scores, groups)
    value = metric.compute(labels, scores)
    if error is None or not np.isfinite(value):
        return None
    low, high = value - error, value + error
    return max(float(low), metric.low), min(float(high), metric.high)


def jackknife(
    judge: Judge, labels: np.ndarray, scores: np.ndarray, groups: np.ndarray | None = None
) -> float | None:
    """T times the standard error of `bounds`, or None where there is none."""
    count = len(labels)
    if groups is None:
        blocks = np.random.default_rng(0).permutation(count) % min(BLOCKS, max(count, 1))
    else:
        blocks = np.unique(groups, return_inverse=True)[1].reshape(-1)
    number = int(blocks.max(initial=-1)) + 1
    if number < 2:
        return None
    left = np.array([judge(labels[rest], scores[rest]) for rest in _without(blocks, number)])
    if not np.isfinite(left).all():
        return None
    from scipy.special import stdtrit

    spread = np.sqrt((number - 1) / number * ((left - left.mean()) ** 2).sum())
    return float(stdtrit(number - 1, LEVEL_ENDS) * spread)


def _without(blocks: np.ndarray, number: int) -> list[np.ndarray]:
    return [blocks != block for block in range(number)]
