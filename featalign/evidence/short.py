"""From the cache to what short runs say: it trains what the cache lacks."""

from collections.abc import Callable

from featalign.embeddings.extract import extract
from featalign.embeddings.store import Store
from featalign.sources.source import Source
from featalign.targets.target import Target
from featalign.training.short import ShortArm, ShortRun, held_out_run, short_folds, short_source

Report = Callable[[str, int, int, int], None]


def short_evidence(
    source: Source,
    target: Target,
    arm: ShortArm,
    steps: int,
    store: Store,
    *,
    batch_size: int = 32,
    report: Report = lambda name, found, done, total: None,
) -> ShortRun:
    """The short run of an arm, with each half of the rows predicted from the other half.

    The network that predicts one half is trained on the other. Held-out logits are kept in the
    cache.
    """
    folds, scores = short_folds(target), []
    for fold, rows in enumerate(folds):
        model = short_source(source, target, arm, fold, steps, batch_size=batch_size)
        progress = lambda found, done, total, name=model.name: report(name, found, done, total)  # noqa: E731
        embeddings = extract(model, target, model.layers, store, subset=rows, progress=progress)
        scores.append([embeddings[layer].read_all() for layer in model.layers])
    return held_out_run(target.labels, folds, scores, steps)
