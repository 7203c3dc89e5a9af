"""The whole package in one file: score arrays, embed a target, rank sources, fine-tune one."""

import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from featalign.arrays import check_features, check_labels
from featalign.checks import check_number, check_whole
from featalign.embeddings.location import ready_cache
from featalign.embeddings.store import Embedding
from featalign.engines.catalogue import map_jobs_of
from featalign.errors import FeatalignError
from featalign.forecasting.calibration import calibration_at
from featalign.jobs.draws import averaged, few_shot_draws
from featalign.jobs.embedded import embedded
from featalign.jobs.examine import EVIDENCE_SCORERS
from featalign.jobs.feature_map import with_feature_maps
from featalign.jobs.given import (
    check_seed,
    name_of,
    session_at,
    source_of,
    target_of,
    unique_sources,
)
from featalign.jobs.ranking import is_forecast_wanted, ranked
from featalign.log import LOGGER
from featalign.progress import progress_bar
from featalign.records.ranking import Ranking
from featalign.records.request import Effort, Request
from featalign.records.score import ScoreResult
from featalign.scorers.registry import select
from featalign.sources.source import Source
from featalign.targets.groups import read_groups
from featalign.targets.loaders import load_target as load_target
from featalign.targets.target import Target

if TYPE_CHECKING:
    from featalign.metrics import MetricName
    from featalign.records.fine_tuned import Arm, FineTuned
    from featalign.records.screening import Screening
    from featalign.records.setting import Optimiser
    from featalign.training.budget import BudgetName

SHARE = 0.2  # of a training in each short run: see experiments/study


def score(
    features: Any,
    labels: Any,
    scorers: Iterable[str] | None = None,
    source_probabilities: Any = None,
    seed: int = 0,
    source_logits: Any = None,
    intervals: bool = False,
    groups: Any = None,
    metric: "MetricName | None" = None,
) -> dict[str, ScoreResult]:
    """Scores of features (N, D) against labels (N,), by scorer name.

    Labels are integers or strings for classes, zeros and ones (N, K) for several labels a row,
    floats (N,) or (N, K) for regression. `scorers` are names; by default all but the variants run.
    `seed` draws the folds of the probes and, beyond 20,000 rows, the sample that row-wise scorers
    use. `groups` (N,) say which rows belong together, such as those of a patient: they come into
    one fold, and are no neighbours. `metric` judges the probes: "accuracy", "balanced_accuracy",
    "macro_f1", "average_precision", "r2" or "spearman"; by default accuracy, or r2 for numbers.
    `intervals` adds the zero (what a score is under permuted labels) and a 90% interval. Degenerate
    input gives a status. Scorers that compare labels with the source's own classes need its class
    probabilities (N, Z), or its logits (N, Z), whose softmax these are; pass one of the two. Raises
    FeatalignError for shapes that do not fit, an unknown scorer, bad groups, or rows that are no
    probabilities.

    >>> import numpy as np
    >>> labels = np.arange(60) % 3
    >>> features = np.random.default_rng(0).normal(size=(60, 5)) + labels[:, None]
    >>> score(features, labels, ["knn", "dead_fraction"])["dead_fraction"].value
    0.0
    """
    check_seed(seed)
    from featalign.jobs.scoring import collect, scored
    from featalign.statistics.source_outputs import SourceOutputs

    rows = check_features(features)
    outputs = None
    if source_probabilities is not None and source_logits is not None:
        raise FeatalignError(
            "source_probabilities, source_logits: expected one of the two, got both; the "
            "probabilities follow from the logits"
        )
    if source_probabilities is not None:
        outputs = SourceOutputs.from_probabilities(source_probabilities, len(rows))
    elif source_logits is not None:
        outputs = SourceOutputs.from_logits(source_logits, len(rows))
    chosen, checked = select(scorers), check_labels(labels, len(rows))
    own = None if groups is None else read_groups([groups], [len(rows)])[0]
    statistics = collect(
        rows,
        replace(checked, groups=own and own.values),
        chosen,
        seed=seed,
        given=() if outputs is None else (outputs,),
        intervals=intervals,
        metric=metric,
    )
    return scored(statistics, chosen, intervals=intervals)


def load_source(address: str) -> Source:
    """The source at an address such as zoo/resnet_cifar10.

    Raises FeatalignError for an address that does not exist, with those that do.

    >>> load_source("zoo/resnet_cifar10").layers
    ('stem', 'stage_1', 'stage_2', 'features')
    """
    return source_of(address)


def embed(
    source: Source | str,
    target: Target | str,
    layers: Sequence[str] | str | None = None,
    *,
    cache: str | os.PathLike[str] | None = None,
    dtype: str = "float32",
    batch_size: int = 256,
    progress: bool | None = None,
) -> dict[str, Embedding]:
    """The target's embeddings under a source, by layer.

    Only what the cache does not have is computed. `layers` are names, "all", or None for the
    source's default. An embedding is read with `blocks()` or `read_all()`. Raises FeatalignError
    for a layer that does not exist, or when source and target do not fit; what was computed before
    an error is in the cache.
    """
    ready_cache(cache)
    loaded, data = source_of(source), target_of(target)
    with progress_bar(show=progress) as report:
        with session_at(cache, batch_size=batch_size, report=report) as session:
            found = embedded(loaded, data, layers, session, dtype=dtype)
    LOGGER.info("%s: done, %d rows of %s", loaded.name, len(data), data.name)
    return found


def rank(
    sources: Sequence[Source | str] | Source | str,
    target: Target | str,
    *,
    cache: str | os.PathLike[str] | None = None,
    scorers: Iterable[str] | None = None,
    layers: Sequence[str] | str | None = None,
    effort: str = "cache",
    engine: str = "local",
    seed: int = 0,
    batch_size: int = 256,
    progress: bool | None = None,
    intervals: bool = False,
    forecast: bool | None = None,
    share: float = SHARE,
    calibration: str | os.PathLike[str] | None = None,
    metric: "MetricName | None" = None,
    per_class: int | None = None,
    draws: int = 1,
    maps: bool = False,
) -> Ranking:
    """Candidate sources ranked on a target, best first.

    They are ordered by the forecast accuracy, or without one by the linear probe (ridge probe).

    Parameters
    ----------
    sources, target
        Addresses (with wildcards: "zoo/*") or Source records; an address or a Target.
    cache
        A folder; default FEATALIGN_CACHE, `cache/` in a checkout, else the platform's.
    scorers, layers, intervals
        Names of scorers (None: all but the variants); names of layers, "all", or None for each
        source's default; whether each score gets its zero and its interval, as `score` gives them.
    forecast, calibration
        Whether to forecast accuracy, gain over scratch and verdict for the default layer of each
        source; None: for classes, unless scorers are named. It needs gradients of up to 400 rows
        under the source and two random twins. A file made by `featalign validate fit`; None: the
        shipped one.
    effort, share
        What is trained for a second forecast. "anchor" really trains from scratch, once for each
        architecture (two learning rates; for sources that cannot be trained a small reference
        network). "short" adds short runs of each differentiable source and from scratch, `share` of
        the steps of one training long.
    seed, batch_size, progress, engine
        Draws folds and projections; inputs at a time; None: a bar on a terminal; only "local" so
        far.
    metric
        What the probes are judged by (see `score`). Forecasts are of accuracy alone, and left out
        under another metric.
    per_class, draws
        Exactly so many training rows of each class (few-shot), drawn so often with the seeds from
        `seed` on. Scores are then means of the draws, without a forecast.
    maps
        Whether to keep maps of the features of the best and the worst source for the report.

    A source that cannot be scored is listed in `failures` with the reason and does not stop the
    others. Raises FeatalignError when the target, a name or an address is bad, or when no source
    could be scored.
    """
    map_jobs = map_jobs_of(engine)
    ready_cache(cache)
    given, trains = unique_sources(sources), effort != "cache"
    wanted = trains or bool(forecast)
    drawn = few_shot_draws(target_of(target), per_class, draws, seed, forecast=wanted)
    data, by_default = drawn[0], scorers is None and len(drawn) == 1
    request = Request(
        sources=tuple(map(name_of, given)),
        target=data.name,
        scorers=tuple(scorer.name for scorer in select(scorers)),
        layers=layers if layers is None or isinstance(layers, str) else tuple(layers),
        effort=cast("Effort", effort),
        share=share,
        intervals=intervals,
        forecast=is_forecast_wanted(data, trains or forecast, by_default, metric),
        seed=check_seed(seed),
        batch_size=batch_size,
        metric=metric,
    )
    known = calibration_at(calibration) if request.forecast else None
    if known is not None and trains:  # refused before anything is trained
        known.lines_of("gradients", tier=request.effort, share=share)
    with progress_bar(show=progress) as report:
        with session_at(cache, seed=seed, batch_size=batch_size, report=report) as session:
            found = [ranked(request, given, each, known, session, map_jobs) for each in drawn]
            whole = found[0] if per_class is None or len(found) == 1 else averaged(found, per_class)
            return with_feature_maps(whole, given, data, session) if maps else whole


def screen(
    sources: Sequence[Source | str] | Source | str,
    target: Target | str,
    *,
    keep: int = 3,
    budget: float | None = None,
    cache: str | os.PathLike[str] | None = None,
    seed: int = 0,
    batch_size: int = 256,
    calibration: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> "Screening":
    """Which sources are worth training on a target: at most `keep` of them.

    The result also holds the other sources, each with the reason why not, and what it cost to tell.
    First a forecast from the cache drops the sources that are worse than the last of the best
    `keep` with a probability of at least 0.95. With a `budget`, counted in trainings (one learning
    rate of one arm), successive halving of real short runs goes on with the rest, and a source
    stops where its runs show negative transfer. At the end all beyond the best `keep` are dropped.
    Raises FeatalignError as `rank` does, and for a target without classes.

    >>> digits = load_target("sklearn:digits", subset=100)
    >>> found = screen(["zoo/resnet_digits", "zoo/resnet_noise"], digits, keep=1)
    >>> found.kept, [each.source for each in found.dropped]
    (('zoo/resnet_digits',), ['zoo/resnet_noise'])
    """
    from featalign.screening import screen_by

    keep = check_whole(keep, "keep")
    if budget is not None:
        expected = "a number of trainings above 0, or None"
        budget = check_number(budget, "budget", expected, lambda number: 0 < number < math.inf)
    ready_cache(cache)
    given, data = unique_sources(sources), target_of(target)
    candidates = {name_of(each): each for each in given}
    if len(candidates) < len(given):
        raise FeatalignError(
            "sources: expected each source once, got several layers of one; screen one layer of "
            "it, or rank them"
        )

    def rank_some(names: Sequence[str], share: float | None) -> Ranking:
        some = [candidates[name] for name in names]
        options: dict[str, Any] = {"cache": cache, "seed": seed, "batch_size": batch_size}
        options |= {"calibration": calibration, "progress": progress}
        options |= {} if share is None else {"effort": "short", "share": share}
        return rank(some, data, scorers=EVIDENCE_SCORERS, forecast=True, **options)

    known = calibration_at(calibration)
    return screen_by(rank_some, list(candidates), keep, budget, known)


def fine_tune(
    source: Source | str,
    target: Target | str,
    *,
    arm: "Arm" = "full",
    seed: int = 0,
    layer: str | None = None,
    budget: "BudgetName" = "short",
    learning_rates: Sequence[float] | None = None,
    steps: int | None = None,
    batch_size: int = 32,
    optimiser: "Optimiser" = "adamw",
    weight_decay: float = 1e-4,
    towards_source: float = 0.0,
    label_smoothing: float = 0.0,
    augmentation: bool = False,
    max_test: int | None = None,
    together: bool | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
    metric: "MetricName | None" = None,
    lora_rank: int = 8,
    lora_alpha: float = 16.0,
) -> "FineTuned":
    """Really train an arm of a source on a target.

    The result holds the held-out accuracy with its interval, curve, seconds and chosen setting.

    Parameters
    ----------
    arm
        "scratch" (fresh weights), "probe" (a new head alone), "full" (everything from the source's
        weights), "probe_then_full" (the probe's head first, in steps of its own, then everything:
        Kumar et al., ICLR 2022), or "gradual" (one group of parameters after the other from the
        head down; it stops below what scratch reaches on the validation rows, see `stopped`), or in
        torch "lora" (small matrices of `lora_rank` beside linear layers, by `lora_alpha` / rank).
    seed
        Draws the validation rows, the batches, and the fresh weights.
    budget
        What each learning rate may cost, the same for every arm: "short", which forecasts are made
        for, is 15 epochs and at least 300 steps; "long" goes on from there in rounds of as many
        steps, at most 4 in all, while validation improves.
    learning_rates
        By default those of the budget, 0.001 and 0.004. The one with the best accuracy on a
        validation fifth is taken; of a probe it is the penalty of the head that is chosen so, from
        0.001 to 1. The test rows choose nothing.
    steps, batch_size
        Other steps than the budget's, of each round; rows in a step.
    optimiser, weight_decay, towards_source, label_smoothing, augmentation
        "adamw" or "sgd" with momentum, with warm-up and cosine decay; decoupled weight decay; pull
        towards the source's weights (L2-SP); smoothing of labels; small shifts of images.
    max_test
        At most so many test rows, stratified. They are the target's held-out rows; a target without
        them gives up a stratified fifth, and so does one whose features come from a file, which has
        no features of held-out rows.
    together
        Train the learning rates at once with vmap; by default on everything but a processor.
    checkpoint
        A folder or file.safetensors for the trained weights and head.
    cache
        The folder from which features of a source without gradients (an ONNX graph) are read.
    metric
        "accuracy" by default, or "balanced_accuracy", "macro_f1" or "average_precision". It chooses
        by the validation rows, and `measured` has its value on the test rows.

    An interruption (Ctrl-C) raises KeyboardInterrupt; its attribute `finished` holds what the
    finished learning rates gave, if any has. Raises FeatalignError for another arm than "probe" of
    a source without gradients, a target without classes, or a setting that cannot be used.

    >>> target = load_target("sklearn:digits", subset=100)
    >>> result = fine_tune("zoo/resnet_digits", target, arm="probe", steps=50)
    >>> result.accuracy.low < result.accuracy.value < result.accuracy.high
    True
    """
    from featalign.jobs.train import Train, train
    from featalign.records.setting import LowRank, Setting
    from featalign.training.budget import budget_of
    from featalign.training.setting import check_low_rank, check_setting

    spent = budget_of(budget)
    setting = Setting(
        learning_rate=0.0,
        steps=1 if steps is None else steps,
        batch_size=batch_size,
        optimiser=optimiser,
        weight_decay=weight_decay,
        towards_start=towards_source,
        label_smoothing=label_smoothing,
        augmentation=augmentation,
        seed=check_seed(seed),
        rounds=spent.rounds,
    )
    rates = spent.learning_rates if learning_rates is None else learning_rates
    job = Train(
        source=source_of(source),
        target=target_of(target),
        arm=arm,
        setting=setting,
        learning_rates=check_setting(setting, rates),
        budget=spent if steps is None else None,
        layer=layer,
        max_test=max_test,
        together=together,
        checkpoint=None if checkpoint is None else Path(checkpoint),
        metric=metric,
        low_rank=check_low_rank(LowRank(lora_rank, lora_alpha)),
    )
    with progress_bar(show=progress) as report, session_at(cache, report=report) as session:
        trained = train(job, session)
    LOGGER.info("%s: %s trained in %.1f s", job.source.name, trained.arm, trained.seconds)
    return trained
