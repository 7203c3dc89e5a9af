"""What the cache says of a source on a part of a target, before anything is trained.

Forecasts are calibrated on it.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from featalign import api
from featalign.embeddings.location import default_cache
from featalign.embeddings.store import Store
from featalign.evidence.known import number, twin_scores
from featalign.evidence.tangent import tangent_evidence
from featalign.scorers.tangent import decompose, held_out_hits, tangent_curve
from featalign.sources.source import Source
from featalign.statistics.gather import gather
from featalign.statistics.tangent import Draw, Tangent, joint_gram
from featalign.targets.target import Target

TWIN_SCORERS = (
    "linear_probe",
    "knn",
    "logme",
    "h_score_shrunk",
    "lda",
    "neural_collapse",
    "label_overlap",
    "rankme",
)
KINDS = ("activations", "gradients", "both")


def collect_evidence(
    source: Source,
    target: Target,
    *,
    cache: str | os.PathLike[str] | None = None,
    scorers: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Numbers by name, of a source and of its random twins.

    They are every score of the source, the scores of its twins, and the tangent accuracies and
    curves of both.

    `NAME` is a score of the source; `twin NAME` the mean of it over two random twins; `source
    tangent KIND` and `twin tangent KIND` the accuracy of kernel ridge regression on activations,
    gradients and both; `source curve` and `twin curve` their accuracies on nested subsets, `curve
    sizes` long. All tangent numbers are of at most 400 rows, a stratified sample. None where there
    is no value. Black boxes have scores alone.
    """
    row = api.rank(
        [source], target, cache=cache, scorers=scorers, progress=False, forecast=False
    ).rows[0]
    found: dict[str, Any] = {
        name: number(result.value) if result.ok else None for name, result in row.scores.items()
    }
    store = Store(Path(cache or default_cache()))
    tangent = tangent_evidence(source, target, source.default_layer, store)
    if tangent is None or not tangent.twins:
        return found
    found |= {
        f"twin {name}": value
        for name, value in twin_scores(
            source, target, source.default_layer, store, TWIN_SCORERS
        ).items()
    }
    for who, groups in (("source", (tangent.source,)), ("twin", tangent.twins)):
        for kind in KINDS:
            found[f"{who} tangent {kind}"] = number(
                float(
                    np.mean([_accuracy(draw, kind, tangent) for group in groups for draw in group])
                )
            )
    statistics = gather(
        np.ones((len(tangent.labels.values), 1)),
        tangent.labels,
        frozenset({"tangent"}),
        tangent=tangent,
    )
    curve = tangent_curve(statistics)
    found["curve sizes"] = list(curve)
    found["source curve"] = [number(own) for own, _ in curve.values()]
    found["twin curve"] = [number(twin) for _, twin in curve.values()]
    return found


def _accuracy(draw: Draw, kind: str, tangent: Tangent) -> float:
    nothing = np.zeros((len(draw.features), 1), np.float32)
    kept = Draw(
        draw.features if kind != "gradients" else nothing,
        draw.gradients if kind != "activations" else nothing,
    )
    return float(held_out_hits(decompose(joint_gram(kept), tangent.folds), tangent.labels).mean())
