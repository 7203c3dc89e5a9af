"""Measures of a trained network on rows: hits, losses, accuracies."""

from collections.abc import Sequence

import numpy as np

from featalign.records.fine_tuned import Point, Run
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


def measured(
    trainer: Trainer, split: Split, trained: Trained, setting: Setting, points: Sequence[Point]
) -> Run:
    """How a trained network does on the validation and test rows of a split."""
    labels, test_labels = split.validation.labels, split.test.labels
    scores = trainer.logits(trained, split.validation.inputs, len(labels))
    tested = hits(trainer.logits(trained, split.test.inputs, len(test_labels)), test_labels)
    return Run(
        learning_rate=setting.learning_rate,
        validation_accuracy=float(hits(scores, labels).mean()),
        validation_loss=float(cross_entropies(scores, labels).mean()),
        test_accuracy=float(tested.mean()),
        test_hits=np.packbits(tested).tobytes().hex(),
        curve=tuple(points),
        head_penalty=setting.head_penalty,
    )


def unpack_hits(hits: str, count: int) -> np.ndarray:
    """Which of so many test rows are right (N,), from `Run.test_hits`.

    >>> unpack_hits("a0", 3)
    array([ True, False,  True])
    """
    return np.unpackbits(np.frombuffer(bytes.fromhex(hits), np.uint8))[:count].astype(bool)
