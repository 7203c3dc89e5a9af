"""What the cache says of each pair: activations, gradients and both, for the source and for its random twins."""

import itertools
import os
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

import featalign as fa
from experiments.study.pilot.__main__ import append, read
from experiments.study.pilot.grid import SIZES, TARGETS, part, zoo_addresses
from featalign.api import tangent_evidence
from featalign.embeddings.location import default_cache
from featalign.embeddings.store import Store
from featalign.scorers.tangent import decompose, held_out_hits
from featalign.statistics.tangent import Draw, Tangent, joint_gram

TWINS, DRAWS = 2, 2
SCORERS = ("linear_probe", "knn", "logme", "h_score_shrunk", "lda")


def gather_all(path: Path) -> None:
    """Add a record for each pair of a source and a part of a target that has none."""
    known = {(record["source"], record["target"], record["size"]) for record in read(path)}
    store = Store(Path(os.environ.get("FEATALIGN_CACHE") or default_cache()))
    pairs = [pair for pair in itertools.product(zoo_addresses(), TARGETS, SIZES) if pair not in known]
    for source, target, size in track(pairs, f"{len(known)} pairs are known"):
        append(path, {"source": source, "target": target, "size": size, **evidence(fa.load_source(source), part(target, size), store)})


def evidence(source: fa.Source, target: fa.Target, store: Store) -> dict[str, Any]:
    """Accuracies and scores of the source and means over its twins, by name."""
    tangent = tangent_evidence(source, target, source.default_layer, store, max_rows=len(target), num_twins=TWINS, num_draws=DRAWS)
    assert tangent is not None
    found: dict[str, Any] = {}
    for who, groups in (("source", (tangent.source,)), ("twin", tangent.twins)):
        for kind in ("activations", "gradients", "both"):
            found[f"{who} {kind}"] = float(np.mean([_accuracy(draw, kind, tangent) for group in groups for draw in group]))
        scores = [fa.score(group[0].features, target.labels, SCORERS) for group in groups]
        for name in SCORERS:
            found[f"{who} {name}"] = float(np.mean([each[name].value for each in scores]))
    return found


def _accuracy(draw: Draw, kind: str, tangent: Tangent) -> float:
    nothing = np.zeros((len(draw.features), 1), np.float32)
    kept = Draw(draw.features if kind != "gradients" else nothing, draw.gradients if kind != "activations" else nothing)
    return float(held_out_hits(decompose(joint_gram(kept), tangent.folds), tangent.labels).mean())
