"""The whole package in one file: score arrays, embed a target, rank sources."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

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
from featalign.scorers.tangent import tangent_folds
from featalign.sources import catalogue
from featalign.sources.source import Source
from featalign.statistics.gather import gather
from featalign.statistics.precision import double_precision
from featalign.statistics.source_outputs import SourceOutputs
from featalign.statistics.tangent import Draw, Tangent
from featalign.targets import loaders
from featalign.targets.stratification import stratified_order
from featalign.targets.target import Target

ORDER, REGRESSION_ORDER = "linear_probe", "ridge_probe"  # until the forecast exists
SOURCE_NEEDS = frozenset({"source_probabilities", "source_logits"})
TANGENT_ROWS, TANGENT_TWINS = 400, 2


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
    address: str | os.PathLike[str], *, subset: int | None = None, seed: int = 0, label: str | None = None, text: str | None = None
) -> Target:
    """A labelled dataset: a folder of class folders, .npz, .csv, .jsonl(.gz), or sklearn:NAME.

    `subset` keeps so many training rows, stratified by class and drawn by `seed`. `label` and `text` name the columns of a
    table where they are not obvious. Raises FeatalignError, naming file and line, for data that cannot be used.

    >>> load_target("sklearn:digits", subset=300)
    Target('sklearn:digits', 300 images, 10 classes)
    """
    return loaders.load_target(address, subset=subset, seed=seed, label=label, text=text)


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
    each score its zero and interval, as `score` does. A source that cannot be scored is listed in `failures` with the reason and does not stop
    the others. Raises FeatalignError when the target, a name or an address is bad, or when no source could be scored.
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
        scores = _scored((features for _, features in embedding.blocks()), labels, scorers, seed, outputs, intervals, tangent)
        yield RankingRow(source.name, layer, embedding.num_features, scores, warnings=_warnings(embedding))


def tangent_evidence(
    source: Source,
    target: Target,
    layer: str,
    store: Store,
    *,
    max_rows: int = TANGENT_ROWS,
    num_twins: int = TANGENT_TWINS,
    num_draws: int = 1,
    seed: int = 0,
    batch_size: int = 256,
    report: Report = lambda name, found, done, total: None,
) -> Tangent | None:
    """Activations and gradients of a source and of its random twins on a stratified sample of rows, from the cache; None for a black box.

    Twins are drawn from seeds 0, 1, ...; read-outs and projections from `seed`, `seed` + 1, ... in `num_draws` draws.
    """
    differentiable = source.differentiable
    if differentiable is None:
        return None
    from featalign.sources.gradients import gradient_source

    some = np.sort(stratified_order(target.labels, seed)[:max_rows])
    subset = None if len(some) == len(target) else some
    twins = [source.random_twin(twin) for twin in range(num_twins)] if differentiable.initialise is not None else []

    def rows_of(model: Source, name: str) -> np.ndarray:
        progress = lambda found, done, total: report(model.name, found, done, total)  # noqa: E731
        return extract(model, target, [name], store, subset=subset, batch_size=batch_size, progress=progress)[name].read_all()

    def draws_of(model: Source) -> tuple[Draw, ...]:
        features = rows_of(model, layer)
        models = [gradient_source(model, layer=layer, seed=seed + draw) for draw in range(num_draws)]
        return tuple(Draw(features, rows_of(each, each.default_layer)) for each in models)

    labels = Labels(target.labels[some], target.class_names)
    return Tangent(labels, some, tangent_folds(labels, seed), draws_of(source), tuple(draws_of(twin) for twin in twins))


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
    if source.input_kind not in (None, target.kind):
        raise FeatalignError(
            f"{source.name}: it reads {source.input_kind} inputs, but {target.name} holds {target.kind} inputs; choose a source for {target.kind}s"
        )
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


def _check_seed(seed: int) -> None:
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise FeatalignError(f"seed: expected a whole number of at least 0, got {seed!r}")


def _source(source: Source | str) -> Source:
    return source if isinstance(source, Source) else load_source(source)


def _target(target: Target | str) -> Target:
    return target if isinstance(target, Target) else load_target(target)


def _unique(sources: Sequence[Source | str] | Source | str) -> list[Source | str]:
    """Sources with wildcards expanded; one name stands for one source only."""
    given = list(sources) if isinstance(sources, Sequence) and not isinstance(sources, str) else [sources]
    expanded: list[Source | str] = []
    for source in given:
        expanded += catalogue.expand([source]) if isinstance(source, str) else [_source(source)]
    if not expanded:
        raise FeatalignError('sources: expected at least one source, got none; try ["zoo/*"]')
    names: dict[str, Source | str] = {}
    for source in expanded:
        name = source if isinstance(source, str) else source.name
        if name in names and not (isinstance(source, str) and isinstance(names[name], str)):
            raise FeatalignError(f"sources: two sources are called {name!r}; give one of them another name")
        names[name] = source
    return list(names.values())
