"""The whole package in one file: score arrays, embed a target, rank sources, fine-tune one."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from featalign.arrays import Labels, check_features, check_labels
from featalign.embeddings.exchange import import_features
from featalign.embeddings.extract import extract
from featalign.embeddings.location import default_cache, size_limit
from featalign.embeddings.maintenance import limit_size
from featalign.embeddings.store import Embedding, Store
from featalign.errors import FeatalignError
from featalign.progress import Report, progress_bar
from featalign.ranking import Ranking, RankingRow
from featalign.scorers.intervals import evaluate_with_intervals
from featalign.scorers.registry import select
from featalign.scorers.scorer import Scorer, ScoreResult, evaluate
from featalign.sources import catalogue
from featalign.sources.source import Source
from featalign.statistics.gather import gather
from featalign.statistics.precision import double_precision
from featalign.statistics.source_outputs import SourceOutputs
from featalign.statistics.tangent import Tangent
from featalign.tangent_evidence import tangent_evidence
from featalign.targets import loaders
from featalign.targets.target import Target

if TYPE_CHECKING:
    from featalign.training.arms import Arm, FineTuned
    from featalign.training.loop import Optimiser

ORDER, REGRESSION_ORDER = "linear_probe", "ridge_probe"  # until the forecast exists
SOURCE_NEEDS = frozenset({"source_probabilities", "source_logits"})
LEARNING_RATES, EPOCHS, MIN_STEPS = (3e-4, 1e-3, 3e-3), 40, 300


def score(
    features: Any,
    labels: Any,
    scorers: Iterable[str] | None = None,
    source_probabilities: Any = None,
    seed: int = 0,
    source_logits: Any = None,
    intervals: bool = False,
) -> dict[str, ScoreResult]:
    """Scores of features (N, D) against labels (N,), by scorer name.

    Labels are integers or strings for classes, zeros and ones (N, K) for several labels a row, floats (N,) or (N, K) for regression. `scorers`
    are names; by default all but the variants. `seed` draws the folds of the probes and, beyond 20,000 rows, the sample that row-wise scorers
    use. `intervals` adds to each score its zero (what it is under permuted labels) and a 90% interval. Degenerate input gives a status, not an
    exception. Scorers that compare the labels with the source's own classes need its class probabilities (N, Z), whose rows sum to 1, or its
    logits (N, Z), of which the probabilities are the softmax: pass one of the two. Raises FeatalignError for shapes that do not fit, an unknown
    scorer, or probabilities that are none.

    >>> import numpy as np
    >>> labels = np.arange(60) % 3
    >>> features = np.random.default_rng(0).normal(size=(60, 5)) + labels[:, None]
    >>> score(features, labels, ["knn", "dead_fraction"])["dead_fraction"].value
    0.0
    """
    _check_seed(seed)
    rows = check_features(features)
    outputs = None
    if source_probabilities is not None and source_logits is not None:
        raise FeatalignError("source_probabilities, source_logits: expected one of the two, got both; the probabilities follow from the logits")
    if source_probabilities is not None:
        outputs = SourceOutputs.from_probabilities(source_probabilities, len(rows))
    elif source_logits is not None:
        outputs = SourceOutputs.from_logits(source_logits, len(rows))
    return _scored(rows, check_labels(labels, len(rows)), select(scorers), seed, outputs, intervals)


def load_target(
    address: str | os.PathLike[str],
    *,
    subset: int | None = None,
    seed: int = 0,
    label: str | None = None,
    text: str | None = None,
    image: str | None = None,
) -> Target:
    """A labelled dataset: a folder of class folders, .npz, .csv, .jsonl(.gz), .parquet, hf:NAME@REVISION, or sklearn:NAME.

    `subset` keeps so many training rows, stratified by class and drawn by `seed`. `label`, `text` and `image` name the columns of a
    table where they are not obvious. Raises FeatalignError, naming file and line, for data that cannot be used.

    >>> load_target("sklearn:digits", subset=300)
    Target('sklearn:digits', 300 images, 10 classes)
    """
    return loaders.load_target(address, subset=subset, seed=seed, label=label, text=text, image=image)


def load_source(address: str) -> Source:
    """The source at an address such as zoo/resnet_cifar10.

    Raises FeatalignError for an address that does not exist, with those that do.

    >>> load_source("zoo/resnet_cifar10").layers
    ('stem', 'stage_1', 'stage_2', 'features')
    """
    if not isinstance(address, str):
        raise FeatalignError(
            f"source: expected an address such as zoo/resnet_cifar10 or a Source, got {type(address).__name__}; make one with fa.Source.from_function"
        )
    return catalogue.load(address)


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
    """The target's embeddings under a source by layer, computed only as far as the cache does not have them.

    `layers`: names, "all", or None for the source's default. Read them with `blocks()` or `read_all()`. Raises FeatalignError for a layer that
    does not exist, or when source and target do not fit; what was computed before an error is in the cache.
    """
    loaded, data = _source(source), _target(target)
    with progress_bar(show=progress) as report:
        return _embedded(loaded, data, layers, Store(Path(cache or default_cache())), dtype, batch_size, report)


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
) -> Ranking:
    """Candidate sources ranked on a target, best first; ordered by the linear probe (the ridge probe for regression) until the forecast exists.

    `sources` are addresses (with wildcards: "zoo/*") or Source records, `target` an address or a Target, `cache` a folder (default:
    FEATALIGN_CACHE, `cache/` in a checkout, else the platform's). `layers`: names, "all", or None for each source's default. `intervals` adds to
    each score its zero and interval, as `score` does. `tangent_probe` and `tangent_gain`, among the default scorers, need gradients of up to 400
    rows under the source and two random twins, for each layer: name other scorers to do without. A source that cannot be scored is listed in
    `failures` with the reason and does not stop the others. Raises FeatalignError when the target, a name or an address is bad, or when no source
    could be scored.
    """
    if effort != "cache" or engine != "local":
        raise FeatalignError(f'effort, engine: expected effort="cache" and engine="local", got {effort!r} and {engine!r}; there are no others yet')
    _check_seed(seed)
    data, chosen, store = _target(target), select(scorers), Store(Path(cache or default_cache()))
    order = REGRESSION_ORDER if data.task == "regression" else ORDER
    scored_by = chosen if any(scorer.name == order for scorer in chosen) else (*select([order]), *chosen)
    candidates = _unique(sources)
    rows: list[RankingRow] = []
    failures: dict[str, str] = {}
    with progress_bar(show=progress) as report:
        for candidate in candidates:
            name = candidate if isinstance(candidate, str) else candidate.name
            try:
                rows.extend(_ranked(_source(candidate), data, layers, store, scored_by, seed, batch_size, report, intervals))  # as far as it comes
            except FeatalignError as error:
                failures[name] = str(error)
    if not rows:
        raise FeatalignError("; ".join(reason if reason.startswith(name) else f"{name}: {reason}" for name, reason in failures.items()))
    rows.sort(key=lambda row: (not row.scores[order].ok, -row.scores[order].value if row.scores[order].ok else 0.0, row.source))
    return Ranking(data.name, data.num_rows, data.num_classes, data.task, order, tuple(rows), failures)


def _ranked(
    source: Source,
    target: Target,
    layers: Sequence[str] | str | None,
    store: Store,
    scorers: tuple[Scorer, ...],
    seed: int,
    batch_size: int,
    report: Report,
    intervals: bool,
) -> Iterator[RankingRow]:
    labels, shown = Labels(target.labels, target.class_names), _names(source, layers)
    wanted = shown
    if source.logits_layer is not None and shown and any(scorer.needs & SOURCE_NEEDS for scorer in scorers):
        wanted = tuple(dict.fromkeys((*shown, source.logits_layer)))  # from the same pass of the source
    embeddings = _embedded(source, target, wanted, store, "float32", batch_size, report)
    logits = embeddings.get(source.logits_layer) if source.logits_layer is not None else None
    outputs = None if logits is None else SourceOutputs(lambda: (rows for _, rows in logits.blocks()), are_logits=True)
    wanting = any("tangent" in scorer.needs for scorer in scorers)
    for layer, embedding in embeddings.items():
        if layer == source.logits_layer and layer not in shown:
            continue
        tangent = tangent_evidence(source, target, layer, store, seed=seed, batch_size=batch_size, report=report) if wanting else None
        _keep_to_limit(store, [embedding.key for embedding in embeddings.values()])
        scores = _scored((features for _, features in embedding.blocks()), labels, scorers, seed, outputs, intervals, tangent)
        warnings = (*_warnings(embedding), *((f"no tangent scores: {tangent.failure}",) if tangent is not None and tangent.failure else ()))
        yield RankingRow(source.name, layer, embedding.num_features, scores, warnings=warnings)


def fine_tune(
    source: Source | str,
    target: Target | str,
    *,
    arm: "Arm" = "full",
    seed: int = 0,
    layer: str | None = None,
    learning_rates: Sequence[float] = LEARNING_RATES,
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
    progress: bool | None = None,
) -> "FineTuned":
    """Really train an arm of a source on a target: accuracy on held-out rows with its interval, curve, seconds, and the setting that was chosen.

    Parameters
    ----------
    arm
        "scratch" (fresh weights), "probe" (a new head alone), "full" (everything from the source's weights), "probe_then_full" (the probe's head
        first, in steps of its own, then everything: Kumar et al., ICLR 2022), or "gradual" (one group of parameters after the other from the head
        down; it stops when it falls below what scratch reaches on the validation rows, and says so in `stopped`).
    seed
        Draws the validation rows, the batches, and the fresh weights.
    learning_rates
        The one with the best accuracy on a validation fifth is taken; the probe has its own. The test rows choose nothing.
    steps, batch_size
        Budget for each learning rate, the same for every arm; by default 40 epochs and at least 300 steps.
    optimiser, weight_decay, towards_source, label_smoothing, augmentation
        "adamw" or "sgd" with momentum, with warm-up and cosine decay; decoupled weight decay; pull towards the source's weights (L2-SP); smoothing of
        the labels; small shifts of images.
    max_test
        At most so many test rows, stratified. They are the target's held-out rows; a target without them gives up a stratified fifth.
    together
        Train the learning rates at once with vmap; by default on everything but a processor.
    checkpoint
        A folder or file.safetensors for the trained weights and head.

    An interruption (Ctrl-C) raises KeyboardInterrupt with what the finished learning rates gave as its `finished` attribute, if any has.
    Raises FeatalignError for a black box, a target without classes, or a setting that cannot be used.

    >>> target = load_target("sklearn:digits", subset=100)
    >>> result = fine_tune("zoo/resnet_digits", target, arm="probe", steps=50)
    >>> result.accuracy.low < result.accuracy.value < result.accuracy.high
    True
    """
    from featalign.training.arms import Request, check_arm, run_arms
    from featalign.training.checkpoint import check_checkpoint, save_checkpoint
    from featalign.training.loop import Setting, check_setting
    from featalign.training.rows import split_rows

    _check_seed(seed)
    loaded, data = _source(source), _target(target)
    options = batch_size, optimiser, weight_decay, towards_source, label_smoothing, augmentation, seed
    rates = check_setting(Setting(0.0, 1 if steps is None else steps, *options), learning_rates)
    differentiable = check_arm(loaded, arm, layer)
    _check_kind(loaded, data)
    if checkpoint is not None:
        check_checkpoint(Path(checkpoint))
    split = split_rows(data, differentiable, seed=seed, max_test=max_test)
    budget = max(MIN_STEPS, -(-EPOCHS * len(split.training.labels) // batch_size)) if steps is None else steps
    setting = Setting(rates[0], budget, *options)
    results: list[FineTuned] = []
    with progress_bar(show=progress) as report:
        found = run_arms(
            loaded,
            [Request(arm, split, seed)],
            layer=layer,
            learning_rates=rates,
            setting=setting,
            together=together,
            report=lambda name, done, total: report(name, 0, done, total),
        )
        try:
            results.extend(found)
        except KeyboardInterrupt as interruption:
            interruption.finished = results[0] if results else None  # type: ignore[attr-defined]
            raise
        finally:
            if results and checkpoint is not None:
                save_checkpoint(results[0], Path(checkpoint))
    return results[0]


def _names(source: Source, layers: Sequence[str] | str | None) -> tuple[str, ...]:
    if layers is None:
        return (source.default_layer,)
    return source.layers if layers == "all" else (layers,) if isinstance(layers, str) else tuple(layers)


def _embedded(
    source: Source, target: Target, layers: Sequence[str] | str | None, store: Store, dtype: str, batch_size: int, report: Report
) -> dict[str, Embedding]:
    if source.features_file is not None:
        if layers and set(_names(source, layers)) != {source.default_layer}:
            raise FeatalignError(f"layers: {source.name} is a file with one layer, {source.default_layer!r}, got {', '.join(_names(source, layers))}")
        embedding = import_features(source.features_file, store, target=target, source_name=source.name)
        _keep_to_limit(store, [embedding.key])
        return {source.default_layer: embedding}
    _check_kind(source, target)
    embeddings = extract(
        source,
        target,
        _names(source, layers),
        store,
        dtype=dtype,
        batch_size=batch_size,
        progress=lambda found, done, total: report(source.name, found, done, total),
    )
    _keep_to_limit(store, [embedding.key for embedding in embeddings.values()])
    return embeddings


def _scored(
    features: np.ndarray | Iterator[np.ndarray],
    labels: Labels,
    scorers: tuple[Scorer, ...],
    seed: int,
    outputs: SourceOutputs | None,
    intervals: bool,
    tangent: Tangent | None = None,
) -> dict[str, ScoreResult]:
    if labels.task == "multilabel":  # a label that all rows or none have cannot be got wrong
        varying = np.ptp(labels.values, axis=0) > 0
        if not varying.any():
            raise FeatalignError("labels: expected a label that some rows have and others have not, there is none; add rows")
        labels = Labels(labels.values[:, varying], ())
        tangent = None if tangent is None else replace(tangent, labels=Labels(tangent.labels.values[:, varying], ()))
    needs = frozenset().union(*(scorer.needs for scorer in scorers))
    statistics = gather(features, labels, needs, seed=seed, source_outputs=outputs, tangent=tangent, for_intervals=intervals)
    with double_precision():
        if intervals:
            return evaluate_with_intervals(scorers, statistics)
        return {scorer.name: evaluate(scorer, statistics) for scorer in scorers}


def _warnings(embedding: Embedding) -> tuple[str, ...]:
    survey = embedding.survey
    if survey is None:
        return ()
    counts = (("not finite", survey.nonfinite_count), ("too large for the type they are kept in", survey.overflow_count))
    return tuple(f"{count} values are {what}" for what, count in counts if count)


def _keep_to_limit(store: Store, keys: list[str]) -> None:
    """Evict what was used longest ago beyond FEATALIGN_CACHE_LIMIT, but none of these."""
    if (limit := size_limit()) is not None:
        limit_size(store, limit, keep=keys)


def _check_kind(source: Source, target: Target) -> None:
    if source.input_kind not in (None, target.kind):
        raise FeatalignError(
            f"{source.name}: it reads {source.input_kind} inputs, but {target.name} holds {target.kind} inputs; choose a source for {target.kind}s"
        )


def _check_seed(seed: int) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise FeatalignError(f"seed: expected a whole number of at least 0, got {seed!r}")


def _source(source: Source | str) -> Source:
    return source if isinstance(source, Source) else load_source(source)


def _target(target: Target | str) -> Target:
    return target if isinstance(target, Target) else load_target(target)


def _unique(sources: Sequence[Source | str] | Source | str) -> list[Source | str]:
    """Sources with wildcards expanded; one name stands for one source only, and for the gradients of its layers."""
    given = list(sources) if isinstance(sources, Sequence) and not isinstance(sources, str) else [sources]
    expanded: list[Source | str] = []
    for source in given:
        expanded += catalogue.expand([source]) if isinstance(source, str) else [_source(source)]
    if not expanded:
        raise FeatalignError('sources: expected at least one source, got none; try ["zoo/*"]')
    names: dict[tuple[str, str], Source | str] = {}
    for source in expanded:
        if isinstance(source, str):
            names[source, ""] = source
            continue
        same = [other for (name, _), other in names.items() if name == source.name]
        if any(isinstance(other, str) or other.revision != source.revision or other.default_layer == source.default_layer for other in same):
            raise FeatalignError(f"sources: two sources are called {source.name!r}; give one of them another name")
        names[source.name, source.default_layer] = source
    return list(names.values())
