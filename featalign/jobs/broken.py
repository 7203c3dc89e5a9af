"""Whether the way from inputs to features looks broken, and what the fault looks like."""

import math
from typing import Any

import numpy as np

from featalign.embeddings.store import Embedding
from featalign.jobs.suspects import Mend, find_mend
from featalign.records.answer import Answer
from featalign.records.evidence import Evidence
from featalign.session import Session
from featalign.sources.source import Source
from featalign.strata import stratified_order
from featalign.targets.target import Target

ROWS, FEWEST = 50, 8
ALIKE = 1e-6  # of the size of the features: below, two rows have the same
COLLAPSED = 1e-3  # spread of the features, as a share of their size
SHARED = 1 / 3  # of different inputs may have the features of another one
MOSTLY = 0.8  # share of the largest class beyond which chance is no yardstick
CHANCE_ROWS, WORSE = 30, 0.02
ABOVE = 0.01  # a probe that far above the largest class is better than it, however few the rows
COMPARED = ("linear_probe", "lda", "logme", "tangent_probe")


def broken(
    source: Source,
    target: Target,
    layer: str,
    embedding: Embedding,
    answer: Answer,
    session: Session,
    metric: str | None = None,
) -> tuple[str, ...]:
    """A sentence where features look as they do behind a broken pipeline; none elsewhere.

    That is where they are the same on all rows, almost so, the same for different inputs, worse
    than fresh weights at everything, or no better than chance, which is told from accuracy and
    under no other `metric`. The usual suspects are tried on 50 rows, and the one that clearly mends
    it is named.
    """
    rows = np.sort(stratified_order(target.labels, session.seed)[:ROWS])
    if len(rows) < FEWEST:
        return ()
    features = _features_of(embedding, rows)
    if len(features) != len(rows) or not np.isfinite(features).all():
        return ()
    digests = target.inputs.take(rows).row_digests()
    num_inputs = len(np.unique(digests, axis=0))
    if num_inputs < 2:
        return ()
    symptom = of_features(features, num_inputs) or of_scores(answer, target, metric)
    if not symptom:
        return ()
    if source.features_file is not None:
        return (f"{symptom}: the file may be of other inputs, or of a broken pipeline",)
    inputs = target.inputs.read(rows)
    labels = target.labels[rows]
    mend, tried = find_mend(source, target.kind, inputs, features, labels, layer)
    if mend is None and _is_of_others(answer.evidence) and symptom.startswith("worse"):
        return ()  # fresh weights of another architecture are no proof
    return (f"{symptom}: {_looks_like(mend, tried, symptom, target.kind)}",)


def of_features(features: np.ndarray, num_inputs: int) -> str:
    """What is wrong with features (N, D) of so many different inputs, in words; "" for nothing.

    >>> of_features(np.ones((9, 4)), 9), of_features(np.ones((9, 4)), 1)
    ('the features are the same on every row', '')
    """
    if num_inputs < 2:
        return ""
    size = float(np.sqrt(np.mean(features**2)))
    spread = float(np.sqrt(np.mean((features - features.mean(axis=0)) ** 2)))
    if spread <= ALIKE * size:
        return "the features are the same on every row"
    step = max(ALIKE * size, 1e-300)
    num_rows = len(np.unique(np.round(features / step), axis=0))
    if num_rows < (1 - SHARED) * num_inputs:
        return f"{num_inputs} different inputs have only {num_rows} different features"
    if spread <= COLLAPSED * size:
        return f"the features have collapsed: they differ by {spread / size:.2g} of their size"
    return ""


def of_scores(answer: Answer, target: Target, metric: str | None = None) -> str:
    """What the scores say against the source, in words; "" for nothing."""
    evidence, count = answer.evidence, len(target)
    if evidence is not None:
        own, twins = evidence.own, evidence.twins
        both = [name for name in COMPARED if name in own and name in twins]
        if len(both) > 1 and "linear_probe" in both:
            lost = twins["linear_probe"] - own["linear_probe"]
            noise = math.sqrt(own["linear_probe"] * (1 - own["linear_probe"]) / count)
            if all(own[name] < twins[name] for name in both) and lost > max(WORSE, noise):
                fresh = "fresh weights of " + evidence.compared_with
                return (
                    f"worse than {fresh} at everything (linear probe {own['linear_probe']:.1%} "
                    f"against {twins['linear_probe']:.1%})"
                )
    probe = answer.scores.get("linear_probe")
    if target.task != "classification" or probe is None or not probe.ok or count < CHANCE_ROWS:
        return ""
    if metric not in (None, "accuracy"):
        return ""  # the share of the largest class is an accuracy
    largest = float(np.bincount(target.labels).max()) / count
    chance = largest + min(ABOVE, math.sqrt(largest * (1 - largest) / count))
    if largest > MOSTLY or probe.value > chance:
        return ""
    return f"linear probe {probe.value:.1%}, no better than the largest class ({largest:.1%})"


def _is_of_others(evidence: Evidence | None) -> bool:
    return evidence is not None and evidence.compared_with != "its own architecture"


def _looks_like(mend: Mend | None, tried: tuple[str, ...], symptom: str, kind: Any) -> str:
    """The second half of the sentence: what the fault looks like, and what to do."""
    if mend is not None:
        return (
            f"it looks like a wrong {mend.what}; on {ROWS} rows or fewer a probe reaches "
            f"{mend.before:.0%}, and {mend.after:.0%} with the inputs {mend.change}; give them so"
        )
    if kind in ("text", "token"):
        alike = "same" in symptom or "different" in symptom
        what = "a wrong tokenizer" if alike else "a wrong tokenizer or checkpoint"
    elif symptom.startswith("linear probe"):
        what = "a wrong checkpoint, or labels that have nothing to do with the inputs"
    else:
        what = "a wrong checkpoint"
    told = f" (another {' or '.join(tried)} does not mend it)" if tried else ""
    return f"it looks like a broken pipeline, most likely {what}{told}; check it"


def _features_of(embedding: Embedding, rows: np.ndarray) -> np.ndarray:
    """The features of some rows, which are in order; only their blocks are kept."""
    found = []
    for ids, features in embedding.blocks():
        found.append(features[np.isin(ids, rows)])
    return np.concatenate(found).astype(np.float64)
