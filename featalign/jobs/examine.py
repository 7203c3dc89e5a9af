"""From a source and a target to answers: what is kept is read, the rest is computed and kept."""

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from featalign.embeddings.answers import Settings, keep_answer, read_answer
from featalign.embeddings.key import Identity
from featalign.embeddings.key import key as key_of
from featalign.errors import FeatalignError
from featalign.jobs.embedded import check_kind, keep_to_limit, layer_names
from featalign.records.answer import Answer
from featalign.session import Session
from featalign.sources.source import Source
from featalign.targets.target import Target

PACKAGE = Path(__file__).parents[1]
NUMBERS = ("statistics", "scorers", "jobs", "sources", "embeddings/extract.py")
EVIDENCE_SCORERS = (
    "linear_probe",
    "knn",
    "logme",
    "lda",
    "label_overlap",
    "cka",
    "tangent_probe",
    "tangent_gain",
    "dead_fraction",
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What to find out of each source.

    `scorers` are names, `layers` too (None: the source's default; "all"). `intervals` asks for the
    zero and the interval of each score, `evidence` for the evidence of the default layer, with what
    `study` adds to it.
    """

    scorers: tuple[str, ...]
    layers: Sequence[str] | str | None = None
    intervals: bool = False
    evidence: bool = False
    study: bool = False


@dataclass(frozen=True, kw_only=True)
class Examined:
    """A layer of a source, its width, and what was found out of it."""

    layer: str
    num_features: int
    answer: Answer


def examine(
    source: Source, target: Target, wanted: Wanted, session: Session
) -> tuple[Examined, ...]:
    """What is wanted of each layer of a source on a target; what was kept is not computed again.

    Raises FeatalignError for a layer that does not exist, or when source and target do not fit.
    """
    kept = _kept(source, target, wanted, session)
    if kept is None:
        from featalign.jobs.answers import computed

        return computed(source, target, wanted, session)
    keep_to_limit(session.store, [key_of(_identity(source, target, each.layer)) for each in kept])
    return kept


def settings_of(wanted: Wanted, session: Session) -> Settings:
    """All that numbers depend on beside the features: the code that makes them, and settings."""
    return {
        "code": _code(),
        "seed": int(session.seed),
        "intervals": wanted.intervals,
        "study": wanted.study,
    }


def is_answered(answer: Answer, layer: str, source: Source, wanted: Wanted) -> bool:
    """Whether an answer has all that is wanted of a layer."""
    evidence = wanted.evidence and layer == source.default_layer
    return set(wanted.scorers) <= set(answer.scores) and not (evidence and answer.evidence is None)


def kept_as(
    source: Source, layer: str, num_features: int, answer: Answer, wanted: Wanted
) -> Examined:
    """A layer with the part of an answer that is wanted."""
    evidence = wanted.evidence and layer == source.default_layer
    shown = Answer(
        scores={name: answer.scores[name] for name in wanted.scorers},
        warnings=answer.warnings,
        evidence=answer.evidence if evidence else None,
        remarks=answer.remarks if evidence else (),
    )
    return Examined(layer=layer, num_features=num_features, answer=shown)


def keep(session: Session, key: str, wanted: Wanted, answer: Answer) -> None:
    """Keep an answer where the cache can be written; else it is computed again the next time."""
    with suppress(FeatalignError):
        keep_answer(session.store, key, settings_of(wanted, session), answer)


def _kept(
    source: Source, target: Target, wanted: Wanted, session: Session
) -> tuple[Examined, ...] | None:
    """The layers, where the cache has the whole answer of each."""
    if source.features_file is not None:
        return None  # what the file holds is known when it is read
    check_kind(source, target)
    settings, found = settings_of(wanted, session), []
    for layer in layer_names(source, wanted.layers):
        embedding = session.store.open(_identity(source, target, layer))
        if embedding is None:
            return None
        answer = read_answer(session.store, embedding.key, settings)
        if not is_answered(answer, layer, source, wanted):
            return None
        found.append(kept_as(source, layer, embedding.num_features, answer, wanted))
        embedding.mark_used()
    return tuple(found)


def _identity(source: Source, target: Target, layer: str) -> Identity:
    return Identity(source.revision, source.preprocessing, layer, target.fingerprint)


@cache
def _code() -> str:
    """A digest of the code that numbers depend on, so that none outlives a change of a scorer."""
    digest = hashlib.sha256()
    for name in NUMBERS:
        place = PACKAGE / name
        for path in sorted(place.rglob("*.py")) if place.is_dir() else [place]:
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:32]
