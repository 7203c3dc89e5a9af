"""Answers on a source and a target: what the cache has is read, and the rest is computed."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from featalign.embeddings.answers import Settings, keep_answer, read_answer
from featalign.embeddings.extract import identity_of
from featalign.embeddings.store import Embedding
from featalign.errors import FeatalignError
from featalign.jobs.embedded import check_kind, keep_to_limit, layer_names
from featalign.log import LOGGER
from featalign.records.answer import Answer
from featalign.session import Session
from featalign.sources.source import Source
from featalign.targets.target import Target

PACKAGE = Path(__file__).parents[1]
NUMBERS = (
    "statistics",
    "scorers",
    "jobs",
    "sources",
    "embeddings/extract.py",
    "forecasting/source_remarks.py",
    "records/answer.py",
    "records/evidence.py",
    "records/score.py",
    "arrays.py",
    "metrics.py",
    "strata.py",
    "wilson.py",
)
EVIDENCE_SCORERS = (
    "linear_probe",
    "knn",
    "logme",
    "lda",
    "label_overlap",
    "cka",
    "spectral_alignment",
    "tangent_probe",
    "tangent_gain",
    "dead_fraction",
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to find out of each source.

    `scorers` are names. `layers` are names, "all", or None for the source's default. `intervals`
    asks for the zero and the interval of each score, and `evidence` for the evidence of the default
    layer. `study` adds to the evidence what only the study compares. `metric` judges the probes in
    place of the default of the task; there is no evidence under another.
    """

    scorers: tuple[str, ...]
    layers: Sequence[str] | str | None = None
    intervals: bool = False
    evidence: bool = False
    study: bool = False
    metric: str | None = None


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A layer of a source, its width, what was found out of it, and the key of its embedding."""

    layer: str
    num_features: int
    answer: Answer
    key: str = ""


def examine(
    source: Source, target: Target, wanted: Wanted, session: Session
) -> tuple[Examined, ...]:
    """What is wanted of each layer of a source on a target, from the cache where it has it.

    Raises FeatalignError for a layer that does not exist, or when source and target do not fit.
    """
    kept = _kept(source, target, wanted, session)
    if kept is None:
        from featalign.jobs.answers import computed

        LOGGER.debug(
            "%s: computed as far as the cache %s lacks it", source.name, session.store.root
        )
        return computed(source, target, wanted, session)
    LOGGER.debug("%s: read from the cache %s", source.name, session.store.root)
    return kept


def settings_of(source: Source, target: Target, wanted: Wanted, session: Session) -> Settings:
    """All that numbers depend on beside the features.

    That is the code, settings, groups of rows, and what the source can do.

    The revision does not tell whether a source has gradients, fresh weights and logits, because the
    same weights may come without them.
    """
    fresh = source.fresh_weights
    abilities = (
        source.is_differentiable,
        source.can_be_reinitialised,
        fresh.drawn_by if fresh else None,
        source.logits_layer,
    )
    grouped = target.groups_digest
    return {
        **({} if grouped is None else {"groups": grouped}),
        **({} if wanted.metric is None else {"metric": wanted.metric}),
        "code": _code(),
        "abilities": " ".join(map(str, abilities)),
        "seed": int(session.seed),
        "intervals": wanted.intervals,
        "study": wanted.study,
    }


def is_answered(answer: Answer, layer: str, source: Source, wanted: Wanted) -> bool:
    """Whether an answer has all that is wanted of a layer."""
    evidence = wanted.evidence and layer == source.default_layer
    return set(wanted.scorers) <= set(answer.scores) and not (evidence and answer.evidence is None)


def kept_as(
    source: Source, layer: str, embedding: Embedding, answer: Answer, wanted: Wanted
) -> Examined:
    """A layer with the part of an answer that is wanted."""
    evidence = wanted.evidence and layer == source.default_layer
    shown = Answer(
        scores={name: answer.scores[name] for name in wanted.scorers},
        warnings=answer.warnings,
        evidence=answer.evidence if evidence else None,
        remarks=answer.remarks if evidence else (),
    )
    return Examined(
        layer=layer, num_features=embedding.num_features, answer=shown, key=embedding.key
    )


def keep(session: Session, key: str, settings: Settings, answer: Answer) -> None:
    """Keep an answer where the cache can be written; elsewhere it is computed again next time."""
    with suppress(FeatalignError):
        keep_answer(session.store, key, settings, answer)


def _kept(
    source: Source, target: Target, wanted: Wanted, session: Session
) -> tuple[Examined, ...] | None:
    """The layers, or None unless the cache has the whole answer of each."""
    if source.features_file is not None:
        return None  # the content of a file is known only when it is read
    check_kind(source, target)
    settings = settings_of(source, target, wanted, session)
    keys, found = [], []
    for layer in layer_names(source, wanted.layers):
        embedding = session.store.open(identity_of(source, target, layer))
        if embedding is None:
            return None
        answer = read_answer(session.store, embedding.key, settings)
        if not is_answered(answer, layer, source, wanted):
            return None
        found.append(kept_as(source, layer, embedding, answer, wanted))
        keys.append(embedding.key)
        embedding.mark_used()
    keep_to_limit(session.store, keys)
    return tuple(found)


@cache
def _code() -> str:
    """A digest of the code that numbers depend on, so that no number outlives its scorer."""
    digest = hashlib.sha256()
    for name in NUMBERS:
        place = PACKAGE / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:32]
