"""The anchor of a forecast: one training from scratch, shared by all sources of an architecture."""

from featalign.forecasting.situation import Anchor
from featalign.jobs.embedded import check_kind, extracted
from featalign.jobs.gather_evidence import REFERENCE
from featalign.session import Session
from featalign.sources import catalogue
from featalign.sources.source import Source
from featalign.targets.target import Target
from featalign.training.anchor import LAYER, anchor_source, measured_part, start_of
from featalign.training.measures import hits


def can_be_anchored(source: Source, target: Target) -> bool:
    """Whether there is a network to train from scratch: the source's own, or for images another."""
    return _is_trained_itself(source) or target.kind == "image"


def anchor_of(source: Source, target: Target, session: Session) -> Anchor:
    """The accuracy of the source's architecture from scratch, from the cache where it is there.

    It is trained once for each architecture, with the preprocessing of the first source that has
    it. For a source that cannot be trained it is that of a small reference network for images.
    Raises FeatalignError for a target that cannot be trained on, and where the network reads other
    inputs.
    """
    model = source if _is_trained_itself(source) else catalogue.load(REFERENCE)
    name = f"anchor {start_of(model, target, session.seed)} {target.fingerprint}"
    return session.once(name, lambda: _trained(model, target, session))


def _is_trained_itself(source: Source) -> bool:
    return source.trainable is not None and source.can_be_reinitialised


def _trained(source: Source, target: Target, session: Session) -> Anchor:
    check_kind(source, target)
    rows = measured_part(target)
    model = anchor_source(source, target, seed=session.seed, report=session.report)
    logits = extracted(model, rows, [LAYER], session)[LAYER].read_all()
    return Anchor(float(hits(logits, rows.labels).mean()), len(rows))
