"""What is known of a source on a target before anything is trained.

That is the scores of the source and of random twins, as plain numbers.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from featalign.embeddings.store import Embedding
from featalign.jobs.embedded import extracted
from featalign.jobs.scoring import collect, scored
from featalign.jobs.tangent import FIRST_TWIN, TANGENT_TWINS, tangent_evidence
from featalign.records.evidence import ComparedWith, Evidence, capability_of
from featalign.records.score import ScoreResult
from featalign.scorers.registry import select
from featalign.scorers.tangent import twins_accuracy
from featalign.session import Session
from featalign.sources import catalogue
from featalign.sources.source import Source
from featalign.statistics.collected import Statistics
from featalign.statistics.kernel_ridge import decompose, held_out_hits
from featalign.statistics.tangent import Draw, Tangent, joint_gram
from featalign.statistics.threads import side_by_side
from featalign.targets.target import Target

OWN: ComparedWith = "its own architecture"
OTHER: ComparedWith = "a reference architecture"
TWIN_SCORERS = ("linear_probe", "logme", "lda")
STUDY_TWIN_SCORERS = (
    *TWIN_SCORERS,
    "knn",
    "h_score_shrunk",
    "neural_collapse",
    "label_overlap",
    "rankme",
)
# Its random twin stands for training from scratch beside a source without gradients. No real data
# is in its preprocessing.
REFERENCE = "zoo/resnet_noise"


def gather_evidence(
    source: Source,
    target: Target,
    layer: str,
    scores: Mapping[str, ScoreResult],
    statistics: Statistics,
    session: Session,
    *,
    study: bool = False,
) -> Evidence:
    """The evidence on a layer of a source, whose scores are known already.

    Twins are those of the source where its weights can be drawn anew. Elsewhere they are those of a
    small reference network for images, and there are none for other targets. Every target of images
    has the accuracy of the tangent probe from fresh weights of the reference network. It stands in
    for that of twins without gradients; where there is none, their linear probe does. `study` adds
    twins' scores that only the study compares, and the tangent probe on activations and on
    gradients alone.
    """
    tangent = statistics.given(Tangent)
    own = _known({name: result.value for name, result in scores.items() if result.ok})
    names = STUDY_TWIN_SCORERS if study else TWIN_SCORERS
    reference = _reference(target, session) if target.kind == "image" else None
    twins: dict[str, float] = {}
    own_twins, compared = True, OWN
    if tangent is not None and tangent.drawn.twins:
        gain = scores.get("tangent_gain")
        if gain is not None and gain.ok:
            twins = _known({"tangent_probe": scores["tangent_probe"].value - gain.value})
        if study:
            own |= _of_parts(tangent, (tangent.drawn.source,))
            twins |= _of_parts(tangent, tangent.drawn.twins)
        twins |= twin_scores(source, target, layer, names, session)
    elif source.can_be_reinitialised and not source.is_differentiable:
        twins = twin_scores(source, target, layer, names, session)
        stands_for = twins.get("linear_probe") if reference is None else reference
        twins |= {} if stands_for is None else {"tangent_probe": stands_for}
    elif target.kind == "image":
        own_twins, compared = False, OTHER
        model = catalogue.load(REFERENCE)
        twins = twin_scores(model, target, model.default_layer, names, session)
        twins |= {} if reference is None else {"tangent_probe": reference}
    return Evidence(
        capability=capability_of(own, twins, reference, own_twins=own_twins),
        own=own,
        twins=twins,
        reference=reference,
        compared_with=compared,
    )


def _of_parts(tangent: Tangent, groups: Sequence[Sequence[Draw]]) -> dict[str, float]:
    """The tangent probe on activations alone and on gradients alone, averaged over all draws."""
    found = {}
    for part in ("activations", "gradients"):
        values = [_accuracy(draw, part, tangent) for group in groups for draw in group]
        found[f"tangent_{part}"] = float(np.mean(values))
    return _known(found)


def _accuracy(draw: Draw, part: str, tangent: Tangent) -> float:
    nothing = np.zeros((len(draw.features), 1), np.float32)
    kept = Draw(
        draw.features if part == "activations" else nothing,
        draw.gradients if part == "gradients" else nothing,
    )
    parts = decompose(joint_gram(kept), tangent.drawn.folds)
    return float(held_out_hits(parts, tangent.labels).mean())


def _reference(target: Target, session: Session) -> float | None:
    """What the tangent probe reaches from fresh weights of the reference network.

    It is the same for every source of a ranking.
    """
    name = f"reference {target.fingerprint} {target.groups_digest} {session.seed}"
    return session.once(name, lambda: number(_probe_reference(target, session)))


def _probe_reference(target: Target, session: Session) -> float:
    model = catalogue.load(REFERENCE)
    tangent = tangent_evidence(model, target, model.default_layer, session, twins_only=True)
    return twins_accuracy(tangent)


def twin_scores(
    source: Source, target: Target, layer: str, names: Sequence[str], session: Session
) -> dict[str, float]:
    """The mean of each score over random twins of a source, on all rows.

    A score without a value is left out.
    """
    labels, scorers = target.in_folds, select(names)
    embeddings: list[Embedding] = []
    for twin in range(TANGENT_TWINS):
        model = source.random_twin(FIRST_TWIN + twin)
        embeddings.append(extracted(model, target, [layer], session)[layer])

    def results_of(embedding: Embedding) -> dict[str, ScoreResult]:
        features = (features for _, features in embedding.blocks())
        return scored(collect(features, labels, scorers, seed=session.seed), scorers)

    results = side_by_side(results_of, embeddings, len(target), embeddings[0].num_features)
    means: dict[str, float] = {}
    for name in names:
        values = [result[name].value for result in results if result[name].ok]
        means |= {name: float(np.mean(values))} if values else {}
    return _known(means)


def number(value: float) -> float | None:
    """The value to six digits, or None where it is not finite."""
    return float(f"{value:.6g}") if math.isfinite(value) else None


def _known(values: Mapping[str, float]) -> dict[str, float]:
    """The values to six digits, without those that are not finite."""
    found = {name: number(value) for name, value in values.items()}
    return {name: value for name, value in found.items() if value is not None}
