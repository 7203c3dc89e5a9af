"""What is known of a source on a target before anything is trained.

That is its scores, and those of random twins, as plain numbers.
"""

import math
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from featalign.arrays import Labels
from featalign.embeddings.extract import extract
from featalign.embeddings.store import Embedding, Store
from featalign.evidence.scoring import collect, scored
from featalign.evidence.tangent import FIRST_TWIN, TANGENT_TWINS, tangent_evidence
from featalign.progress import Report
from featalign.scorers.registry import select
from featalign.scorers.scorer import ScoreResult
from featalign.scorers.tangent import tangent_curve, twins_accuracy
from featalign.sources import catalogue
from featalign.sources.source import Source
from featalign.statistics.collected import Statistics
from featalign.statistics.threads import side_by_side
from featalign.targets.target import Target

TWIN_SCORERS = ("linear_probe", "logme", "lda")
# Its random twin stands for training from scratch beside a black box: no real data is in its
# preprocessing.
REFERENCE = "zoo/resnet_noise"


def known_evidence(
    source: Source,
    target: Target,
    layer: str,
    scores: Mapping[str, ScoreResult],
    statistics: Statistics,
    store: Store,
    *,
    seed: int = 0,
    batch_size: int = 256,
    report: Report = lambda name, found, done, total: None,
) -> dict[str, Any]:
    """Numbers by name, None where there is no value: forecasts are made of these.

    `NAME` is a score of the source; `twin NAME` the mean of it over two random twins, for
    `tangent_probe` and `TWIN_SCORERS`; `curve sizes`, `source curve` and `twin curve` are
    accuracies of the tangent probe on nested subsets. Where the source cannot be drawn anew the
    twins are those of a small reference network, which `twins` then names, for images; else there
    are none. `reference tangent_probe` is that of this network's twins, for every source of images;
    it stands for the twins of a black box too, and where there is none the linear probe of its own
    twins does.
    """
    found: dict[str, Any] = {
        name: number(result.value) if result.ok else None for name, result in scores.items()
    }
    tangent, settings = (
        statistics.tangent,
        {"seed": seed, "batch_size": batch_size, "report": report},
    )
    if target.kind == "image":
        found["reference tangent_probe"] = _reference(target, store, **settings)
    if tangent is not None and tangent.twins:
        gain = scores.get("tangent_gain")
        found["twin tangent_probe"] = (
            number(scores["tangent_probe"].value - gain.value)
            if gain is not None and gain.ok
            else None
        )
        if curve := tangent_curve(statistics):
            found["curve sizes"] = list(curve)
            found["source curve"], found["twin curve"] = (
                [number(each[place]) for each in curve.values()] for place in (0, 1)
            )
        twins = twin_scores(source, target, layer, store, TWIN_SCORERS, **settings)
    elif source.load_twin is not None:  # fresh weights, but no gradients
        twins = twin_scores(source, target, layer, store, TWIN_SCORERS, **settings)
        found["twin tangent_probe"] = found.get(
            "reference tangent_probe", twins.get("linear_probe")
        )
    elif target.kind == "image":
        found["twins"] = REFERENCE
        found["twin tangent_probe"] = found["reference tangent_probe"]
        twins = twin_scores(
            catalogue.load(REFERENCE), target, None, store, TWIN_SCORERS, **settings
        )
    else:
        twins = {}
    return found | {f"twin {name}": value for name, value in twins.items()}


_REFERENCES: WeakKeyDictionary[Target, dict[int, float | None]] = (
    WeakKeyDictionary()
)  # by seed: the same for every source of a ranking


def _reference(
    target: Target, store: Store, *, seed: int, batch_size: int, report: Report
) -> float | None:
    """What the tangent probe reaches from fresh weights of the reference network."""
    known = _REFERENCES.setdefault(target, {})
    if seed not in known:
        known[seed] = _probe_reference(
            target, store, seed=seed, batch_size=batch_size, report=report
        )
    return known[seed]


def _probe_reference(
    target: Target, store: Store, *, seed: int, batch_size: int, report: Report
) -> float | None:
    model = catalogue.load(REFERENCE)
    tangent = tangent_evidence(
        model,
        target,
        model.default_layer,
        store,
        twins_only=True,
        seed=seed,
        batch_size=batch_size,
        report=report,
    )
    assert tangent is not None
    return number(twins_accuracy(tangent))


def twin_scores(
    source: Source,
    target: Target,
    layer: str | None,
    store: Store,
    names: tuple[str, ...],
    *,
    seed: int = 0,
    batch_size: int = 256,
    report: Report = lambda name, found, done, total: None,
) -> dict[str, float | None]:
    """The mean of scores over random twins of a source, on all rows."""
    labels, scorers, layer = (
        Labels(target.labels, target.class_names),
        select(names),
        layer or source.default_layer,
    )
    embeddings: list[Embedding] = []
    for twin in range(TANGENT_TWINS):
        model = source.random_twin(FIRST_TWIN + twin)

        def progress(done_before, done, total, name=model.name):
            return report(name, done_before, done, total)

        embeddings.append(
            extract(model, target, [layer], store, batch_size=batch_size, progress=progress)[layer]
        )

    def results_of(embedding: Embedding) -> dict[str, ScoreResult]:
        features = (features for _, features in embedding.blocks())
        return scored(collect(features, labels, scorers, seed=seed), scorers)

    results = side_by_side(results_of, embeddings, len(target), embeddings[0].num_features)
    means: dict[str, float | None] = {}
    for name in names:
        values = [result[name].value for result in results if result[name].ok]
        means[name] = number(float(np.mean(values))) if values else None
    return means


def number(value: float) -> float | None:
    """To six digits; None for what is not finite."""
    return float(f"{value:.6g}") if math.isfinite(value) else None
