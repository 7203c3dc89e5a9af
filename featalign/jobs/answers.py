"""Answers that the cache lacks: one pass of the source, one of the statistics, then the scorers."""

from collections.abc import Mapping
from dataclasses import replace

from featalign.embeddings.answers import read_answer
from featalign.embeddings.extract import identity_of
from featalign.embeddings.store import Embedding
from featalign.forecasting.source_remarks import source_remarks
from featalign.jobs.broken import broken
from featalign.jobs.embedded import embedded, keep_to_limit, layer_names
from featalign.jobs.examine import (
    EVIDENCE_SCORERS,
    Examined,
    Wanted,
    is_answered,
    keep,
    kept_as,
    settings_of,
)
from featalign.jobs.gather_evidence import gather_evidence
from featalign.jobs.scoring import collect, scored
from featalign.jobs.steadiness import unsteadiness
from featalign.jobs.tangent import tangent_evidence
from featalign.records.answer import Answer
from featalign.records.evidence import Evidence
from featalign.scorers.registry import select
from featalign.session import Session
from featalign.sources.source import Source
from featalign.statistics.label_table import LabelTable
from featalign.statistics.source_outputs import SourceOutputs
from featalign.statistics.tangent import Tangent
from featalign.targets.target import Target

SOURCE_NEEDS = frozenset({SourceOutputs, LabelTable})


def computed(
    source: Source, target: Target, wanted: Wanted, session: Session
) -> tuple[Examined, ...]:
    """What is wanted of each layer, computed as far as the cache does not have it."""
    shown = layer_names(source, wanted.layers)
    layers = shown
    if source.logits_layer is not None and any(
        scorer.needs & SOURCE_NEEDS for scorer in select(wanted.scorers)
    ):
        layers = tuple(dict.fromkeys((*shown, source.logits_layer)))  # from the same pass
    is_new = _is_new(source, target, shown[0], session)
    embeddings = embedded(source, target, layers, session)
    steady = ()
    if is_new:
        steady = unsteadiness(source, target, shown[0], embeddings[shown[0]], session)
    settings, found = settings_of(source, target, wanted, session), []
    for layer, embedding in embeddings.items():
        if layer == source.logits_layer and layer not in shown:
            continue
        answer = read_answer(session.store, embedding.key, settings)
        if not is_answered(answer, layer, source, wanted):
            answer = _answer(source, target, layer, embeddings, answer, wanted, session)
            said = steady
            if not steady and not wanted.study and layer == source.default_layer:
                said = broken(
                    source, target, layer, embedding, answer, session, metric=wanted.metric
                )
            said = tuple(each for each in said if each not in answer.warnings)
            answer = replace(answer, warnings=(*answer.warnings, *said))
            keep(session, embedding.key, settings, answer)
        keep_to_limit(session.store, [each.key for each in embeddings.values()])
        found.append(kept_as(source, layer, embedding, answer, wanted))
    return tuple(found)


def _is_new(source: Source, target: Target, layer: str, session: Session) -> bool:
    """Whether the source has to run for a layer, so that its passes can be compared."""
    if source.features_file is not None:
        return False
    return session.store.open(identity_of(source, target, layer)) is None


def _answer(
    source: Source,
    target: Target,
    layer: str,
    embeddings: Mapping[str, Embedding],
    known: Answer,
    wanted: Wanted,
    session: Session,
) -> Answer:
    """The whole answer on a layer, of which a part may be known already."""
    lacks_evidence = wanted.evidence and layer == source.default_layer and known.evidence is None
    names = [name for name in wanted.scorers if name not in known.scores]
    scorers = select([*names, *(EVIDENCE_SCORERS if lacks_evidence else ())])
    tangent = None
    if source.is_differentiable and any(Tangent in scorer.needs for scorer in scorers):
        tangent = tangent_evidence(source, target, layer, session)
    logits = None if source.logits_layer is None else embeddings.get(source.logits_layer)
    outputs = None
    if logits is not None:
        outputs = SourceOutputs(lambda: (rows for _, rows in logits.blocks()), are_logits=True)
    statistics = collect(
        (features for _, features in embeddings[layer].blocks()),
        target.in_folds,
        scorers,
        seed=session.seed,
        given=[each for each in (outputs, tangent) if each is not None],
        intervals=wanted.intervals,
        metric=wanted.metric,
    )
    scores = scored(statistics, scorers, intervals=wanted.intervals)
    warnings = _counted(embeddings[layer])
    if tangent is not None and tangent.drawn.failure:
        warnings = (*warnings, f"no tangent scores: {tangent.drawn.failure}")
    answer = Answer(scores=scores, warnings=warnings).joined(known)
    if not lacks_evidence:
        return answer
    own = answer.scores
    if not own["linear_probe"].ok:
        return replace(answer, evidence=Evidence(capability="features"))
    evidence = gather_evidence(source, target, layer, own, statistics, session, study=wanted.study)
    return replace(answer, evidence=evidence, remarks=source_remarks(evidence, statistics))


def _counted(embedding: Embedding) -> tuple[str, ...]:
    survey = embedding.survey
    if survey is None:
        return ()
    counts = (
        ("not finite", survey.nonfinite_count),
        ("too large for the type they are kept in", survey.overflow_count),
    )
    return tuple(f"{count} values are {what}" for what, count in counts if count)
