"""The one pass: streams features once and collects what the chosen scorers need."""

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from itertools import chain

import jax
import jax.numpy as jnp
import numpy as np

from featalign.arrays import Labels, check_features
from featalign.errors import FeatalignError
from featalign.statistics.activity import Activity
from featalign.statistics.batching import batch_size, batches, padded
from featalign.statistics.class_moments import ClassMoments, TargetMoments
from featalign.statistics.class_scatter import ClassScatter
from featalign.statistics.collected import (
    AgainstSource,
    LabelOrders,
    Need,
    Statistics,
    label_columns,
)
from featalign.statistics.label_orders import OrderSums, orders_of
from featalign.statistics.label_table import LabelTable
from featalign.statistics.moments import Moments
from featalign.statistics.precision import double_precision
from featalign.statistics.products import group_sums, on_host
from featalign.statistics.rows import HeldRows, Rows
from featalign.statistics.scatter_sum import CentreSums, ScatterSum
from featalign.statistics.source_outputs import SourceOutputs
from featalign.statistics.spectrum import spectrum_from_rows, spectrum_from_scatter
from featalign.statistics.tangent import Tangent

__all__ = ["Need", "Rows", "Statistics", "gather", "label_columns"]
MAX_ROWS = 20_000
SAMPLE_ROWS = 2000  # for intervals, where no scorer needs more


def gather(
    features: np.ndarray | Iterable[np.ndarray],
    labels: Labels,
    needs: frozenset[Need],
    *,
    seed: int = 0,
    batch_rows: int | None = None,
    max_rows: int = MAX_ROWS,
    source_outputs: SourceOutputs | None = None,
    tangent: Tangent | None = None,
    for_intervals: bool = False,
) -> Statistics:
    """Statistics of features (N, D), given whole or as an iterable of blocks of rows in order.

    Memory holds one batch, the moments, and at most `max_rows` rows where a scorer needs rows or N
    <= D. Shapes are static: batches have `batch_rows` rows (by default as many as stay in the
    processor's cache), the last one padded and masked, so that each D is compiled once.
    `source_outputs` are read on their own, in a pass of the same kind; `tangent` is handed on.
    `for_intervals` collects, in the same pass, the sums under permuted labels and a sample of rows.
    Raises FeatalignError when the blocks do not fit each other or the labels.
    """
    num_rows = len(labels.values)
    blocks = iter([features] if isinstance(features, np.ndarray) else features)
    first = next(blocks, None)
    if first is None:
        raise FeatalignError(
            f"features: expected {num_rows} rows, got none; check that the embedding is complete"
        )
    first = check_features(first)
    width = first.shape[1]
    wide = num_rows <= width and bool(needs & {"moments", "spectrum"})
    held = _held(num_rows, max_rows, seed, wide=wide, wanted="rows" in needs, sampled=for_intervals)
    labels_moved = labels.values.astype(np.int32 if labels.num_classes else np.float64)
    columns = 0 if labels.num_classes else labels.values.shape[1]
    with double_precision():
        state = _empty_state(
            needs, labels.num_classes, columns, width, wide=wide, on_host=on_host()
        )
        scatter = ScatterSum(width) if "centre_sums" in state else None
        orders = orders_of(labels, seed) if for_intervals else None
        summed = bool(needs & {"label_moments", "class_scatter"}) or (
            "spectrum" in needs and not wide
        )
        order_sums = (
            OrderSums(labels, orders, width, with_squares="class_scatter" in needs)
            if orders is not None and summed
            else None
        )
        size = batch_rows or batch_size(num_rows, width)
        centre, seen, pending = None, 0, (None, 0, 0)

        def collect(about: jax.Array | None, start: int, stop: int) -> None:
            """What is summed outside of JAX; a batch later, while JAX computes the next."""
            if scatter is not None and about is not None:
                scatter.add(about)
            if order_sums is not None and about is not None:
                order_sums.take(np.asarray(about)[: stop - start], start)

        for batch, start in batches(chain([first], blocks), width, size):
            if start + len(batch) > num_rows:
                raise FeatalignError(
                    f"features: expected {num_rows} rows, one for each label, got more; check that "
                    "both come from the same data"
                )
            if held is not None:
                held.take(batch, start)
            rows, row_labels, valid = padded(batch, labels_moved[start : start + len(batch)], size)
            if centre is None:
                centre = _centre(rows, valid)
            state, about = _update(
                state,
                rows,
                row_labels,
                valid,
                centre,
                num_classes=labels.num_classes,
                centred=scatter is not None or summed,
            )
            collect(*pending)
            pending = about, start, start + len(batch)
            seen = start + len(batch)
        collect(*pending)
        if seen != num_rows or centre is None:
            raise FeatalignError(
                f"features: expected {num_rows} rows, one for each label, got {seen}; check that "
                "both come from the same data"
            )
        kept = held.finish(labels.values) if held is not None else None
        if scatter is not None:
            state["moments"] = scatter.moments(state.pop("centre_sums"))
        statistics = _finished(
            _from_zero(state, *centre), labels, needs, width, seed, kept if wide else None
        )
        statistics = replace(
            statistics,
            tangent=tangent,
            rows=kept if "rows" in needs else None,
            sample=kept if for_intervals else None,
        )
        if orders is not None:
            point = np.asarray(centre[0] + centre[1])
            found = (
                LabelOrders(labels, orders, point)
                if order_sums is None
                else order_sums.finish(labels, orders, point)
            )
            statistics = replace(statistics, orders=found)
        if source_outputs is None:
            return statistics
        return _against_source(statistics, source_outputs, labels, needs, size)


def _held(
    num_rows: int, max_rows: int, seed: int, *, wide: bool, wanted: bool, sampled: bool
) -> HeldRows | None:
    """Where to hold rows.

    All are held of few rows, up to `max_rows` for the scorers that want rows, and fewer for
    intervals.
    """
    if wide:
        return HeldRows(num_rows, num_rows, seed)
    if wanted:
        return HeldRows(num_rows, max_rows, seed)
    return HeldRows(num_rows, SAMPLE_ROWS, seed) if sampled else None


@partial(
    jax.jit, static_argnames=("needs", "num_classes", "num_targets", "width", "wide", "on_host")
)
def _empty_state(
    needs: frozenset[Need],
    num_classes: int,
    num_targets: int,
    width: int,
    *,
    wide: bool,
    on_host: bool,
) -> dict:
    """What every pass starts from.

    Compiled, so that each buffer is its own and the updates may donate them.
    """
    state: dict = {"activity": Activity.empty(width)}
    if needs & {"moments", "spectrum"} and not wide:
        state |= (
            {"centre_sums": CentreSums.empty(width)}
            if on_host
            else {"moments": Moments.empty(width)}
        )
    if "class_scatter" in needs and num_classes:
        state["class_scatter"] = ClassScatter.empty(num_classes, width)
    elif needs & {"label_moments", "spectrum"}:
        state["label_moments"] = (
            ClassMoments.empty(num_classes, width)
            if num_classes
            else TargetMoments.empty(num_targets, width)
        )
    return state


@jax.jit
def _centre(features: jax.Array, valid: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The point about which moments are summed, in two steps.

    The steps are the first row, and the mean of the first batch about it.

    Differences to the first row are nearly exact, so a constant column has exactly no variance and
    an offset costs no digits.
    """
    features = features.astype(jnp.float64)
    row = jnp.where(jnp.isfinite(features[0]), features[0], 0.0)
    return row, jnp.where(valid[:, None], features - row, 0.0).sum(axis=0) / valid.sum()


@partial(jax.jit, static_argnames=("num_classes", "centred"), donate_argnums=0)
def _update(
    state: dict,
    features: jax.Array,
    labels: jax.Array,
    valid: jax.Array,
    centre: tuple[jax.Array, jax.Array],
    *,
    num_classes: int,
    centred: bool,
) -> tuple[dict, jax.Array | None]:
    """The state after one more batch, moments about `centre`.

    And the rows about it, if they are wanted.
    """
    features = jnp.where(valid[:, None], features.astype(jnp.float64), 0.0)
    merged = {"activity": state["activity"].merge(Activity.from_batch(features, valid))}
    rows = jnp.where(valid[:, None], (features - centre[0]) - centre[1], 0.0)
    if "centre_sums" in state:
        merged["centre_sums"] = state["centre_sums"].merge(CentreSums.from_batch(rows, valid))
    if "moments" in state:
        merged["moments"] = state["moments"].merge(Moments.from_batch(rows, valid))
    if "label_moments" in state and num_classes:
        merged["label_moments"] = state["label_moments"].merge(
            ClassMoments.from_batch(rows, labels, valid, num_classes=num_classes)
        )
    elif "label_moments" in state:
        merged["label_moments"] = state["label_moments"].merge(
            TargetMoments.from_batch(rows, labels, valid)
        )
    if "class_scatter" in state:
        merged["class_scatter"] = state["class_scatter"].merge(
            ClassScatter.from_batch(rows, labels, valid, num_classes=num_classes)
        )
    return merged, rows if centred else None


@jax.jit
def _from_zero(state: dict, row: jax.Array, mean: jax.Array) -> dict:
    """The state with its means counted from zero again.

    It has class moments from the scatter of the classes where that was gathered.
    """
    moved, centre = dict(state), row + mean
    if "class_scatter" in state:
        scatter = state["class_scatter"]
        moved["class_scatter"] = replace(scatter, means=scatter.means + centre)
        moved["label_moments"] = ClassMoments(
            scatter.counts, scatter.means + centre, scatter.squares.sum(axis=1)
        )
    if "moments" in state:
        moved["moments"] = replace(state["moments"], mean=state["moments"].mean + centre)
    match state.get("label_moments"):
        case ClassMoments() as moments:
            moved["label_moments"] = replace(moments, means=moments.means + centre)
        case TargetMoments() as moments:
            moved["label_moments"] = replace(moments, feature_mean=moments.feature_mean + centre)
    return moved


def _finished(
    state: dict,
    labels: Labels,
    needs: frozenset[Need],
    width: int,
    seed: int,
    all_rows: Rows | None,
) -> Statistics:
    """The record; `all_rows` where N <= D and the N x N Gram serves in place of the scatter."""
    moments, label_moments, spectrum = state.get("moments"), state.get("label_moments"), None
    usable = float(state["activity"].not_finite) == 0
    if usable and all_rows is not None:
        features = all_rows.features.astype(np.float64)
        moments = _moments_of_rows(features)
        if "spectrum" in needs:
            spectrum = spectrum_from_rows(
                features, label_columns(labels.values, labels.num_classes)
            )
    elif usable and "spectrum" in needs and moments is not None and label_moments is not None:
        cross, label_means, label_squares = _against_labels(moments, label_moments)
        spectrum = spectrum_from_scatter(
            moments.count, moments.mean, moments.scatter, cross, label_means, label_squares
        )
    return Statistics(
        num_rows=len(labels.values),
        num_features=width,
        num_classes=labels.num_classes,
        task=labels.task,
        seed=seed,
        activity=state["activity"],
        moments=moments,
        label_moments=label_moments,
        class_scatter=state.get("class_scatter"),
        spectrum=spectrum,
    )


def _against_source(
    statistics: Statistics,
    outputs: SourceOutputs,
    labels: Labels,
    needs: frozenset[Need],
    size: int,
) -> Statistics:
    """The statistics with the source's outputs.

    They have the joint tables of the outputs with the labels where a scorer asked for them.
    """
    if "source_probabilities" not in needs or not labels.num_classes:
        return replace(statistics, source=AgainstSource(outputs, labels.values, None))
    orders = statistics.orders
    table, order_tables, start = None, None, 0
    for block in outputs.probabilities():
        stop = start + len(block)
        if table is None:
            table = jax.tree.map(jnp.copy, LabelTable.empty(labels.num_classes, block.shape[1]))
        for batch, offset in batches([block], block.shape[1], size):
            here = labels.values[start + offset : start + offset + len(batch)].astype(np.int32)
            table = _tabled(table, *padded(batch, here, size), num_classes=labels.num_classes)
        if orders is not None:
            hard = np.eye(block.shape[1])[block.argmax(axis=1)]
            found = [
                group_sums(part, labels.values[orders.orders[:, start:stop]], labels.num_classes)
                for part in (block, hard)
            ]
            order_tables = (
                found
                if order_tables is None
                else [before + more for before, more in zip(order_tables, found, strict=True)]
            )
        start = stop
    if orders is not None and order_tables is not None:
        tables = tuple(
            LabelTable(jnp.asarray(soft), jnp.asarray(hard))
            for soft, hard in zip(*order_tables, strict=True)
        )
        statistics = replace(statistics, orders=replace(orders, tables=tables))
    return replace(statistics, source=AgainstSource(outputs, labels.values, table))


@partial(jax.jit, static_argnames=("num_classes",), donate_argnums=0)
def _tabled(
    table: LabelTable,
    probabilities: jax.Array,
    labels: jax.Array,
    valid: jax.Array,
    *,
    num_classes: int,
) -> LabelTable:
    return table.merge(LabelTable.from_batch(probabilities, labels, valid, num_classes=num_classes))


@jax.jit
def _moments_of_rows(features: jax.Array) -> Moments:
    moments = Moments.from_batch(
        features - features[0], jnp.ones(len(features), bool), with_scatter=False
    )
    return replace(moments, mean=moments.mean + features[0])


@jax.jit
def _against_labels(
    moments: Moments, label_moments: ClassMoments | TargetMoments
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Yᵀ Z (K, D), the means and the centred squares of the label columns."""
    if isinstance(label_moments, TargetMoments):
        return label_moments.cross, label_moments.mean, jnp.diag(label_moments.scatter)
    shares = label_moments.counts / moments.count
    cross = label_moments.counts[:, None] * (label_moments.means - moments.mean)
    return cross, shares, label_moments.counts * (1 - shares)
