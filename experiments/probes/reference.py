"""What scikit-learn finds on the draws: python -m experiments.probes reference [--share K OF]."""

import json
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression

from experiments.probes.draws import Draw, draw
from featalign.scorers.linear_probe import PENALTIES
from featalign.statistics.folds import NUM_FOLDS, stratified_folds

REFERENCE = Path(__file__).parent / "reference.jsonl"
TIGHT, MOST_STEPS = 1e-8, 20_000


def standardised(features: np.ndarray) -> np.ndarray:
    """Each column with mean 0 and deviation 1; constant columns become 0."""
    deviation = features.std(axis=0)
    constant = deviation <= 1e-12 * np.abs(features).max(axis=0)
    centred = features - features.mean(axis=0)
    return np.where(constant, 0.0, centred / np.where(constant, 1.0, deviation))


def reference(found: Draw) -> dict[str, Any]:
    """The least objective (P, F) of every penalty and fold.

    Beside it are the held-out hits (P,) of every penalty.
    """
    rows, labels = standardised(found.features), found.labels
    folds = stratified_folds(labels, NUM_FOLDS, seed=0)
    start, losses, hits = time.process_time(), [], []
    for penalty in sorted(PENALTIES, reverse=True):
        fitted = [_fitted(rows, labels, folds != fold, penalty) for fold in range(NUM_FOLDS)]
        losses.append([loss for loss, _ in fitted])
        hits.append(int(sum(right for _, right in fitted)))
    return {
        "number": found.number,
        "losses": losses,
        "hits": hits,
        "seconds": round(time.process_time() - start, 3),
    }


def _fitted(
    rows: np.ndarray, labels: np.ndarray, training: np.ndarray, penalty: float
) -> tuple[float, int]:
    """Mean cross-entropy + penalty/2 |W|² of the training rows, and hits among the others."""
    present = np.unique(labels[training])
    if len(present) == 1:
        return 0.0, int((labels[~training] == present[0]).sum())
    # of two classes scikit-learn keeps the one column w, which stands for w/2 and -w/2
    two = len(present) == 2
    strength = (2 if two else 1) / (penalty * training.sum())
    model = LogisticRegression(C=strength, tol=TIGHT, max_iter=MOST_STEPS)
    model.fit(rows[training], labels[training])
    scores = np.asarray(model.decision_function(rows[training]))
    scores = np.stack([np.zeros(len(scores)), scores], axis=1) if two else scores
    own = scores[np.arange(len(scores)), np.searchsorted(present, labels[training])]
    size = float((np.asarray(model.coef_) ** 2).sum()) / (2 if two else 1)
    loss = float((np.asarray(logsumexp(scores, axis=1)) - own).mean()) + penalty / 2 * size
    return loss, int(np.sum(model.predict(rows[~training]) == labels[~training]))


def gather(number: int, *, share: tuple[int, int] = (0, 1), path: Path = REFERENCE) -> None:
    """Add the draws that the file lacks, up to `number`; it can be stopped and run again."""
    warnings.simplefilter("ignore")
    known = {line["number"] for line in read(path)}
    for place in range(share[0], number, share[1]):
        if place not in known:
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(reference(draw(place))) + "\n")


def read(path: Path = REFERENCE) -> Iterator[dict[str, Any]]:
    """The lines of the file so far."""
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)
