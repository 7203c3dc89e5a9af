"""Near copies among a target's rows, by the features of one source, from the cache where it can."""

import hashlib
from pathlib import Path

import numpy as np

from featalign.embeddings.answers import Settings, read_answer
from featalign.embeddings.extract import identity_of
from featalign.errors import failure
from featalign.jobs.embedded import embedded, extracted
from featalign.jobs.examine import keep
from featalign.jobs.given import source_of
from featalign.records.answer import Answer
from featalign.session import Session
from featalign.sources.source import Source
from featalign.statistics import near_copies as rule
from featalign.statistics import nearest as search
from featalign.strata import stratified_rows
from featalign.targets.leaks import digests_of
from featalign.targets.target import Target

MOST_ROWS, MOST_HELD_OUT = 5000, 1000  # rows that are compared


def near_copy_remarks(
    given: Source | str, layer: str, target: Target, session: Session
) -> tuple[str, ...]:
    """Remarks on near copies within the training rows, and of these among the held-out rows.

    They are found by the features of a layer of a source (see `statistics/near_copies.py`). Exact
    copies are left out, because they are said without any source. Beyond 5,000 training rows or
    1,000 held-out rows a stratified sample is compared. Where the held-out rows cannot be embedded,
    the remark says why.
    """
    source = source_of(given)
    held_out = None if source.features_file is not None else target.held_out
    settings: Settings = {
        "about": "near copies",
        "code": _code(),
        "held_out": "" if held_out is None else held_out.fingerprint,
        "groups": target.groups_digest or "",
    }
    known = None
    if source.features_file is None:
        known = session.store.open(identity_of(source, target, layer))
    kept = Answer() if known is None else read_answer(session.store, known.key, settings)
    if kept.warnings:
        return kept.warnings[1:]
    embedding = embedded(source, target, [layer], session)[layer]
    some = stratified_rows(target.labels, MOST_ROWS)
    features = embedding.read_all()[some]
    found = list(_within(features, target.take(some), source.name))
    if held_out is not None:
        try:
            found += _between(source, layer, features, target.take(some), held_out, session)
        except Exception as error:  # a source is somebody else's code, and may raise anything
            found.append(f"near copies among the held-out rows are not known: {failure(error)}")
            return tuple(found)
    # the first one says that there is an answer, also where nothing is found
    keep(session, embedding.key, settings, Answer(warnings=("looked for near copies", *found)))
    return tuple(found)


def _within(features: np.ndarray, target: Target, name: str) -> tuple[str, ...]:
    distinct = np.unique(digests_of(target), return_index=True)[1]
    groups = None if target.groups is None else target.groups.values[distinct]
    count = int(rule.near_copies(features[distinct], groups=groups).sum())
    if not count:
        return ()
    return (
        f"{count} of {len(target)} rows are near copies of another by the features of {name} "
        f"(cosine of {rule.SIMILAR} or more, far nearer than others): they may fall into another "
        "fold, and scores are too high; keep one of each, or give them one group",
    )


def _between(
    source: Source,
    layer: str,
    features: np.ndarray,
    target: Target,
    held_out: Target,
    session: Session,
) -> tuple[str, ...]:
    new = np.flatnonzero(~np.isin(digests_of(held_out), digests_of(target)))
    if not len(new):
        return ()
    some = new[stratified_rows(held_out.take(new).labels, MOST_HELD_OUT)]
    subset = None if len(some) == len(held_out) else some
    rows = extracted(source, held_out, [layer], session, subset=subset)[layer].read_all()
    distinct = np.unique(digests_of(target), return_index=True)[1]
    count = int(rule.near_copies(rows, features[distinct]).sum())
    if not count:
        return ()
    looked = "" if len(some) == len(new) else " that were compared"
    return (
        f"{count} of {len(some)} held-out rows{looked} are near copies of training rows by the "
        f"features of {source.name} (cosine of {rule.SIMILAR} or more, far nearer than others): "
        "accuracy on held-out rows is too high",
    )


def _code() -> str:
    """A digest of the code of the rule, so that no answer outlives it."""
    digest = hashlib.sha256()
    for path in (Path(__file__), *(Path(str(each.__file__)) for each in (rule, search))):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]
