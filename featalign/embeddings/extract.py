"""Extraction: one pass of a source over a target gives all wanted layers.

Each layer has its own key, and only what the cache lacks is computed.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from featalign.checks import check_whole
from featalign.embeddings.durable import remove_stale, sync_folder
from featalign.embeddings.key import Identity, digest_of_rows
from featalign.embeddings.labels import StoredLabels
from featalign.embeddings.manifest import Manifest, rows_per_shard
from featalign.embeddings.store import Embedding, Store, Survey
from featalign.embeddings.writer import Committer, Counts, ShardWriter
from featalign.errors import FeatalignError
from featalign.nearest import did_you_mean
from featalign.progress import Report, silent
from featalign.sources.source import Source
from featalign.targets.batches import batches, read_ahead
from featalign.targets.target import Target


@dataclass(frozen=True)
class _Plan:
    """One layer: what it is, and what the cache has of it.

    `found` is None where the cache has nothing of it; not even the layer's width is known then.
    """

    identity: Identity
    found: Embedding | None
    survey: Survey | None

    def needed(self, num_rows: int) -> np.ndarray:
        """Which positions (N,) have to be computed."""
        needed = np.full(num_rows, self.found is None)
        if self.found is not None and self.survey is not None:
            for index in self.survey.absent:
                rows = self.found.manifest.shard_rows(index)
                needed[rows.start : rows.stop] = True
        return needed


def identity_of(
    source: Source,
    target: Target,
    layer: str,
    *,
    subset: str | None = None,
    dtype: str = "float32",
) -> Identity:
    """The identity of a target's embedding under a layer of a source, which gives its key."""
    return Identity(
        source.revision, source.preprocessing, layer, target.fingerprint, subset=subset, dtype=dtype
    )


def extract(
    source: Source,
    target: Target,
    layers: Sequence[str] | None,
    store: Store,
    *,
    batch_size: int = 256,
    dtype: str = "float32",
    report: Report = silent,
    subset: np.ndarray | None = None,
) -> dict[str, Embedding]:
    """The embeddings of a target under layers of a source, from the cache as far as it has them.

    What is in the cache is verified byte by byte. What is missing or damaged is computed in one
    pass of the source and put on disk shard by shard, so an interruption loses at most the
    unfinished shard. Batches that nobody needs are not read. Memory holds one batch, and for each
    layer one shard and the one being written.

    Parameters
    ----------
    source, target
        The source to run, and the target to run it on.
    layers
        Names from `source.all_layers`; None for the default layer.
    store
        The cache.
    batch_size
        Inputs per call of the source. The same rows fall into the same batch whether or not a run
        was interrupted.
    dtype
        The type in which features are kept: float16, bfloat16, float32 or float64. The survey
        counts values that overflow.
    report
        Hears, under the name of the source, of the rows computed so far, of all rows, and of the
        rows found in the cache, at the start and after each batch.
    subset
        Row numbers (n,) of the target; None for all rows.

    Returns
    -------
    The complete embedding of each layer, whose `survey` counts values that are not finite and
    values that overflowed.

    Raises
    ------
    FeatalignError
        When the source gives another width, or the disk refuses. What was finished before stays in
        the cache.

    Examples
    --------
    >>> import tempfile
    >>> source = Source.from_function("halves", lambda batch: batch / 2, revision="1")
    >>> target = Target.from_arrays("numbers", np.arange(12.0).reshape(6, 2), [0, 1, 0, 1, 0, 1])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     embedding = extract(source, target, None, Store(folder))["features"]
    ...     embedding.read_all().shape
    (6, 2)
    """
    names = _checked_layers(source, layers)
    rows = _checked_rows(target, subset)
    batch_size = check_whole(batch_size, "batch_size")
    rows_digest = None if np.array_equal(rows, np.arange(len(target))) else digest_of_rows(rows)
    plans = [
        _look(
            store,
            identity_of(source, target, name, subset=rows_digest, dtype=dtype),
            len(rows),
        )
        for name in names
    ]
    with Committer() as committer:
        writers = _compute(
            source,
            target,
            rows,
            plans,
            store,
            committer,
            batch_size=batch_size,
            report=report,
        )
        committer.wait()
        return {
            plan.identity.layer: _finished(plan, writers.get(plan.identity.layer)) for plan in plans
        }


def _look(store: Store, identity: Identity, num_rows: int) -> _Plan:
    embedding = store.open(identity)
    if embedding is None:
        return _Plan(identity, None, None)
    if embedding.num_rows != num_rows:
        raise FeatalignError(
            f"cache: the manifest in {embedding.folder} is of {embedding.num_rows} rows, expected "
            f"{num_rows}; "
            f"remove it with `featalign cache rm {embedding.key}`"
        )
    with suppress(FeatalignError):  # leftovers in a cache that cannot be written do no harm
        remove_stale(embedding.folder)
    embedding = embedding.verified()
    with suppress(
        OSError
    ):  # what is found counts as kept, and who put it there may have been killed before this
        sync_folder(embedding.folder)
        sync_folder(store.root)
    return _Plan(identity, embedding, embedding.survey)


def _compute(
    source: Source,
    target: Target,
    rows: np.ndarray,
    plans: Sequence[_Plan],
    store: Store,
    committer: Committer,
    *,
    batch_size: int,
    report: Report,
) -> dict[str, ShardWriter]:
    """Run the source over the needed batches, and hand the rows to writers, returned by layer."""
    starts = np.arange(0, len(rows), batch_size)
    needed = {
        plan.identity.layer: np.logical_or.reduceat(plan.needed(len(rows)), starts)
        for plan in plans
    }
    some = np.logical_or.reduce(list(needed.values()))
    positions = np.flatnonzero(np.repeat(some, batch_size)[: len(rows)])
    labels = StoredLabels(np.asarray(target.labels)[rows], tuple(target.class_names))
    writers: dict[str, ShardWriter] = {}
    for (
        plan
    ) in plans:  # sound shards but no sound labels: nothing to compute, and yet something to mend
        if plan.found is not None and plan.survey is not None and not plan.survey.labels_are_sound:
            store.create(plan.found.manifest, labels)
    found, done = len(rows) - len(positions), 0
    report(source.name, done, len(rows), found)
    for start, batch in zip(
        starts[some],
        read_ahead(batches(target, batch_size, rows=rows[positions])) if len(positions) else (),
        strict=True,
    ):
        row_id = batch.rows[batch.valid]
        expected = rows[start : start + batch_size]
        if not np.array_equal(row_id, expected):
            raise FeatalignError(
                f"{target.name}: expected the rows {expected[0]} to {expected[-1]} in this batch, "
                "got others; mend its inputs"
            )
        wanted = [
            layer for layer, batches_needed in needed.items() if batches_needed[start // batch_size]
        ]
        emitted = source.embed(
            batch.inputs[: inputs_needed(source, len(row_id), batch_size)], wanted
        )
        for plan in plans:
            layer = plan.identity.layer
            if layer not in wanted:
                continue
            features = emitted[layer][: len(row_id)]  # the padding is at the end
            if layer not in writers:
                writers[layer] = _writer(
                    store, plan, source, target, labels, features.shape[1], committer
                )
            writers[layer].add(int(start), row_id, features)
        done += len(row_id)
        report(source.name, done, len(rows), found)
    return writers


def inputs_needed(source: Source, num_rows: int, batch_size: int) -> int:
    """How many of a padded batch's inputs go through the source.

    All rows do, and as much padding as fills up the last part of a known size.
    """
    if not source.reading.static_shapes:
        return num_rows
    part = source.at_once.limit or batch_size
    return min(batch_size, -(-num_rows // part) * part)


def _writer(
    store: Store,
    plan: _Plan,
    source: Source,
    target: Target,
    labels: StoredLabels,
    num_features: int,
    committer: Committer,
) -> ShardWriter:
    if plan.found is not None and plan.survey is not None:
        return ShardWriter(plan.found, plan.survey.absent, committer)
    shard_rows = rows_per_shard(num_features, plan.identity.dtype)
    manifest = Manifest(
        plan.identity, len(labels.values), num_features, shard_rows, source.name, target.name
    )
    return ShardWriter(store.create(manifest, labels), range(manifest.num_shards), committer)


def _finished(plan: _Plan, writer: ShardWriter | None) -> Embedding:
    """The complete embedding, with the counts of what was found and of what was written."""
    before = (
        Counts(0, 0)
        if plan.survey is None
        else Counts(plan.survey.nonfinite_count, plan.survey.overflow_count)
    )
    embedding = plan.found if writer is None else writer.embedding
    written = Counts(0, 0) if writer is None else writer.counts()
    assert embedding is not None  # a layer without a writer was complete
    sound = tuple(range(embedding.manifest.num_shards))
    survey = Survey(
        sound,
        (),
        (),
        True,
        before.nonfinite + written.nonfinite,
        before.overflow + written.overflow,
    )
    return replace(embedding, survey=survey)


def _checked_layers(source: Source, layers: Sequence[str] | None) -> tuple[str, ...]:
    names = (
        (source.default_layer,)
        if layers is None
        else (layers,)
        if isinstance(layers, str)
        else tuple(dict.fromkeys(layers))
    )
    unknown = [name for name in names if name not in source.all_layers]
    if unknown or not names:
        raise FeatalignError(
            f"layers: expected some of {', '.join(source.all_layers)} of {source.name}, got "
            f"{', '.join(unknown) or 'none'}{_meant(unknown, source)}"
        )
    return names


def _meant(unknown: Sequence[str], source: Source) -> str:
    found = "".join(did_you_mean(name, source.all_layers) for name in unknown)
    return f"; {found.rstrip()}" if found else ""


def _checked_rows(target: Target, subset: np.ndarray | None) -> np.ndarray:
    if len(target) == 0:
        raise FeatalignError(f"target: expected at least one row, {target.name} has none")
    if subset is None:
        return np.arange(len(target))
    rows = np.asarray(subset)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or len(rows) == 0:
        raise FeatalignError(
            f"subset: expected row numbers (n,) of {target.name}, got {rows.dtype.name} of shape "
            f"{rows.shape}"
        )
    if rows.min() < 0 or rows.max() >= len(target):
        raise FeatalignError(
            f"subset: expected row numbers from 0 to {len(target) - 1} of {target.name}, got "
            f"{rows.min()} to {rows.max()}"
        )
    return rows.astype(np.int64)
