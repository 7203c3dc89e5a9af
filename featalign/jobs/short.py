"""Short runs, read from the cache, or trained where the cache lacks them."""

from featalign.jobs.embedded import extracted
from featalign.session import Session
from featalign.sources.source import Source
from featalign.targets.target import Target
from featalign.training.short import ShortArm, ShortRun, held_out_run, short_folds, short_source


def short_evidence(
    source: Source,
    target: Target,
    arm: ShortArm,
    steps: int,
    session: Session,
    *,
    batch_size: int = 32,
) -> ShortRun:
    """The short run of an arm, with each half of the rows predicted from the other half.

    The network that predicts one half is trained on the other. Held-out logits are kept in the
    cache.
    """
    folds, scores = short_folds(target), []
    for fold, rows in enumerate(folds):
        model = short_source(source, target, arm, fold, steps, batch_size=batch_size)
        embeddings = extracted(model, target, model.layers, session, subset=rows)
        scores.append([embeddings[layer].read_all() for layer in model.layers])
    return held_out_run(target.labels, folds, scores, steps)
