"""Measures of a trained network on rows: hits, losses, accuracies."""

import math
from collections.abc import Sequence

import numpy as np

from featalign.metrics import LEVEL, Metric, bounds
from featalign.records.fine_tuned import Point, Run
from featalign.records.interval import Interval
from featalign.records.setting import Setting
from featalign.training.rows import Split
from featalign.training.trainer import Rows, Trained, Trainer


def cross_entropies(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The loss of each row (N,) from its logits (N, C), in float64, finite where these are."""
    exact = scores.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return np.logaddexp.reduce(exact, axis=1) - exact[np.arange(len(labels)), labels]


def hits(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Which rows (N,) get their own class by their logits (N, C).

    A row with logits that are not finite never does, although their arg-max is the first class.

    >>> hits(np.array([[2.0, 1.0], [np.nan, np.nan]]), np.array([0, 0]))
    array([ True, False])
    """
    return (scores.argmax(axis=1) == labels) & np.isfinite(scores).all(axis=1)


def accuracy(trainer: Trainer, trained: Trained, rows: Rows) -> float:
    """The share of rows that get their own class."""
    scores = trainer.logits(trained, rows.inputs, len(rows.labels))
    return float(hits(scores, rows.labels).mean())


def judged(metric: Metric, scores: np.ndarray, labels: np.ndarray) -> float:
    """The value of a metric on logits (N, C), as probabilities that can be ranked.

    A row with logits that are not finite is predicted to be of the first class other than its own.
    """
    return metric.compute(labels, probabilities(scores, labels))


def probabilities(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The softmax of logits (N, C) in float64; it is all wrong where they are not finite."""
    exact = scores.astype(np.float64)
    finite = np.asarray(np.isfinite(exact).all(axis=1))
    exact = np.where(finite[:, None], exact, 0.0)
    shares = np.exp(exact - np.logaddexp.reduce(exact, axis=1)[:, None])
    wrong = np.eye(exact.shape[1])[(labels == 0).astype(int)]
    return np.where(finite[:, None], shares, wrong)


def validation_order(trainer: Trainer, trained: Trained, split: Split) -> tuple[float, float]:
    """What sorts networks, the best first: by accuracy, or by the metric of the split.

    It is that of the validation rows, and ties are sorted by the loss there.
    """
    rows = split.validation
    scores = trainer.logits(trained, rows.inputs, len(rows.labels))
    loss = float(cross_entropies(scores, rows.labels).mean())
    reached = float(hits(scores, rows.labels).mean())
    if split.metric is not None:
        reached = judged(split.metric, scores, rows.labels)
    return -reached, loss if math.isfinite(loss) else math.inf


def measured(
    trainer: Trainer, split: Split, trained: Trained, setting: Setting, points: Sequence[Point]
) -> Run:
    """How a trained network does on the validation and test rows of a split."""
    labels, test_labels = split.validation.labels, split.test.labels
    scores = trainer.logits(trained, split.validation.inputs, len(labels))
    test_scores = trainer.logits(trained, split.test.inputs, len(test_labels))
    tested = hits(test_scores, test_labels)
    of_metric = {}
    if split.metric is not None:
        of_metric = {
            "validation_metric": judged(split.metric, scores, labels),
            "test_metric": _with_bounds(split, test_scores),
        }
    return Run(
        learning_rate=setting.learning_rate,
        validation_accuracy=float(hits(scores, labels).mean()),
        validation_loss=float(cross_entropies(scores, labels).mean()),
        test_accuracy=float(tested.mean()),
        test_hits=np.packbits(tested).tobytes().hex(),
        curve=tuple(points),
        head_penalty=setting.head_penalty,
        **of_metric,
    )


def _with_bounds(split: Split, scores: np.ndarray) -> Interval | None:
    """The metric of the split on its test rows, with the ends of its interval."""
    assert split.metric is not None
    labels = split.test.labels
    shares = probabilities(scores, labels)
    value, ends = split.metric.compute(labels, shares), None
    if math.isfinite(value):
        ends = bounds(split.metric, labels, shares, split.test_groups)
    low, high = ends or (split.metric.low, split.metric.high)  # nothing is known
    return Interval(value=value, low=low, high=high, level=LEVEL) if math.isfinite(value) else None


def unpack_hits(hits: str, count: int) -> np.ndarray:
    """Which of so many test rows are right (N,), from `Run.test_hits`.

    >>> unpack_hits("a0", 3)
    array([ True, False,  True])
    """
    return np.unpackbits(np.frombuffer(bytes.fromhex(hits), np.uint8))[:count].astype(bool)
