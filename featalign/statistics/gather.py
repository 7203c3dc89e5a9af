"""The one pass: streams features once and collects what the chosen scorers need."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from featalign.arrays import Labels, check_features
from featalign.errors import FeatalignError
from featalign.statistics.activity import Activity
from featalign.statistics.class_moments import ClassMoments, TargetMoments
from featalign.statistics.class_scatter import ClassScatter
from featalign.statistics.label_table import LabelTable
from featalign.statistics.moments import Moments
from featalign.statistics.precision import double_precision
from featalign.statistics.source_outputs import SourceOutputs
from featalign.statistics.spectrum import Spectrum, spectrum_from_rows, spectrum_from_scatter

Need = Literal["moments", "label_moments", "class_scatter", "spectrum", "rows", "source_probabilities", "source_logits"]
BATCH_ROWS = 2048
MAX_ROWS = 20_000


@dataclass(frozen=True)
class Rows:
    """Features and labels held row by row, for scorers that no moments suffice for; `sampled` when they are a seeded sample."""

    features: np.ndarray  # (M, D)
    labels: np.ndarray  # (M,) or (M, K)
    numbers: np.ndarray  # (M,) which rows of all these are
    sampled: bool

    def at_most(self, max_rows: int, *, seed: int) -> "Rows":
        """These rows, or a seeded sample of them in their order."""
        if len(self.labels) <= max_rows:
            return self
        kept = np.sort(np.random.default_rng(seed).choice(len(self.labels), max_rows, replace=False))
        return Rows(self.features[kept], self.labels[kept], self.numbers[kept], True)


@dataclass(frozen=True)
class AgainstSource:
    """The source's outputs beside all labels (N,), and their joint table where a scorer asked for it."""

    outputs: SourceOutputs
    labels: np.ndarray
    table: LabelTable | None


@dataclass(frozen=True)
class Statistics:
    """What the scorers read. `activity` is always there; the others when a scorer asked for them and the values are finite."""

    num_rows: int
    num_features: int
    num_classes: int  # 0 for regression
    seed: int
    activity: Activity
    moments: Moments | None = None
    label_moments: ClassMoments | TargetMoments | None = None
    class_scatter: ClassScatter | None = None
    spectrum: Spectrum | None = None
    rows: Rows | None = None
    source: AgainstSource | None = None

    @property
    def class_moments(self) -> ClassMoments:
        """The label moments of a classification target."""
        assert isinstance(self.label_moments, ClassMoments)
        return self.label_moments


def gather(
    features: np.ndarray | Iterable[np.ndarray],
    labels: Labels,
    needs: frozenset[Need],
    *,
    seed: int = 0,
    batch_rows: int = BATCH_ROWS,
    max_rows: int = MAX_ROWS,
    source_outputs: SourceOutputs | None = None,
) -> Statistics:
    """Statistics of features (N, D), given whole or as an iterable of blocks of rows in order.

    Memory holds one batch, the moments, and at most `max_rows` rows where a scorer needs rows or N <= D. Shapes are static: batches
    have `batch_rows` rows (fewer for small N), the last one padded and masked, so that each D is compiled once. `source_outputs` are read
    on their own, in a pass of the same kind. Raises FeatalignError when the blocks do not fit each other or the labels.
    """
    num_rows = len(labels.values)
    blocks = iter([features] if isinstance(features, np.ndarray) else features)
    first = next(blocks, None)
    if first is None:
        raise FeatalignError(f"features: expected {num_rows} rows, got none; check that the embedding is complete")
    first = check_features(first)
    width = first.shape[1]
    wide = num_rows <= width and bool(needs & {"moments", "spectrum"})
    held = _HeldRows(num_rows, num_rows if wide else max_rows, seed) if wide or "rows" in needs else None
    labels_moved = labels.values if labels.num_classes == 0 else labels.values.astype(np.int32)
    with double_precision():
        state = _empty_state(needs, labels.num_classes, labels.values.shape[1] if labels.values.ndim > 1 else 0, width, wide)
        origin = _origin(first)
        size = min(batch_rows, _power_of_two(num_rows))
        for batch, start in _batches(first, blocks, width, size):
            if start + len(batch) > num_rows:
                raise FeatalignError(f"features: expected {num_rows} rows, one for each label, got more; check that both come from the same data")
            if held is not None:
                held.take(batch, start)
            padded, padded_labels, valid = _padded(batch, labels_moved[start : start + len(batch)], size)
            state = _update(state, padded, padded_labels, valid, origin, num_classes=labels.num_classes)
            seen = start + len(batch)
        if seen != num_rows:
            raise FeatalignError(f"features: expected {num_rows} rows, one for each label, got {seen}; check that both come from the same data")
        rows = held.finish(labels.values) if held is not None else None
        statistics = _finished(_from_zero(state, origin), labels, needs, width, seed, wide, rows)
        if source_outputs is None:
            return statistics
        tabled = "source_probabilities" in needs and labels.num_classes > 0
        table = _label_table(source_outputs, labels_moved, labels.num_classes, size) if tabled else None
        return replace(statistics, source=AgainstSource(source_outputs, labels.values, table))


def label_columns(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Labels as columns (N, K): one-hot for classes, themselves for regression (`num_classes` 0)."""
    return np.eye(num_classes)[labels] if num_classes else labels


@partial(jax.jit, static_argnames=("needs", "num_classes", "num_targets", "width", "wide"))
def _empty_state(needs: frozenset[Need], num_classes: int, num_targets: int, width: int, wide: bool) -> dict:
    """What every pass starts from; compiled, so that each buffer is its own and the updates may donate them."""
    state: dict = {"activity": Activity.empty(width)}
    if needs & {"moments", "spectrum"} and not wide:
        state["moments"] = Moments.empty(width)
    if needs & {"label_moments", "spectrum"}:
        state["label_moments"] = ClassMoments.empty(num_classes, width) if num_classes else TargetMoments.empty(num_targets, width)
    if "class_scatter" in needs and num_classes:
        state["class_scatter"] = ClassScatter.empty(num_classes, width)
    return state


@partial(jax.jit, static_argnames=("num_classes",), donate_argnums=0)
def _update(state: dict, features: jax.Array, labels: jax.Array, valid: jax.Array, origin: jax.Array, *, num_classes: int) -> dict:
    """The state after one more batch, moments about `origin`."""
    features = jnp.where(valid[:, None], features.astype(jnp.float64), 0.0)
    merged = {"activity": state["activity"].merge(Activity.from_batch(features, valid))}
    features = jnp.where(valid[:, None], features - origin, 0.0)
    if "moments" in state:
        merged["moments"] = state["moments"].merge(Moments.from_batch(features, valid))
    if "label_moments" in state:
        moments = (
            ClassMoments.from_batch(features, labels, valid, num_classes=num_classes)
            if num_classes
            else TargetMoments.from_batch(features, labels, valid)
        )
        merged["label_moments"] = state["label_moments"].merge(moments)
    if "class_scatter" in state:
        merged["class_scatter"] = state["class_scatter"].merge(ClassScatter.from_batch(features, labels, valid, num_classes=num_classes))
    return merged


def _finished(state: dict, labels: Labels, needs: frozenset[Need], width: int, seed: int, wide: bool, rows: Rows | None) -> Statistics:
    count = len(labels.values)
    moments, label_moments, spectrum = state.get("moments"), state.get("label_moments"), None
    usable = float(state["activity"].not_finite) == 0
    if usable and wide and rows is not None:
        features = jnp.asarray(rows.features).astype(jnp.float64)
        moments = _moments_of_rows(features)
        spectrum = spectrum_from_rows(features, jnp.asarray(label_columns(labels.values, labels.num_classes))) if "spectrum" in needs else None
    elif usable and "spectrum" in needs and moments is not None and label_moments is not None:
        cross, label_means, label_squares = _against_labels(moments, label_moments)
        spectrum = spectrum_from_scatter(moments.count, moments.mean, moments.scatter, cross, label_means, label_squares)
    return Statistics(
        num_rows=count,
        num_features=width,
        num_classes=labels.num_classes,
        seed=seed,
        activity=state["activity"],
        moments=moments,
        label_moments=label_moments,
        class_scatter=state.get("class_scatter"),
        spectrum=spectrum,
        rows=rows if "rows" in needs else None,
    )


def _label_table(outputs: SourceOutputs, labels: np.ndarray, num_classes: int, size: int) -> LabelTable:
    blocks = outputs.probabilities()
    first = next(blocks)
    table = jax.tree.map(jnp.copy, LabelTable.empty(num_classes, first.shape[1]))
    for batch, start in _batches(first, blocks, first.shape[1], size):
        table = _tabled(table, *_padded(batch, labels[start : start + len(batch)], size), num_classes=num_classes)
    return table


@partial(jax.jit, static_argnames=("num_classes",), donate_argnums=0)
def _tabled(table: LabelTable, probabilities: jax.Array, labels: jax.Array, valid: jax.Array, *, num_classes: int) -> LabelTable:
    return table.merge(LabelTable.from_batch(probabilities, labels, valid, num_classes=num_classes))


def _origin(features: np.ndarray) -> np.ndarray:
    """The first row (D,). Differences to it are nearly exact, so a constant column has exactly no variance and an offset costs no digits."""
    row = features[0].astype(np.float64)
    return np.where(np.isfinite(row), row, 0.0)


@jax.jit
def _from_zero(state: dict, origin: jax.Array) -> dict:
    """The state with its means counted from zero again; nothing else depends on the origin."""
    moved = dict(state)
    if "class_scatter" in state:
        moved["class_scatter"] = replace(state["class_scatter"], means=state["class_scatter"].means + origin)
    if "moments" in state:
        moved["moments"] = replace(state["moments"], mean=state["moments"].mean + origin)
    match state.get("label_moments"):
        case ClassMoments() as moments:
            moved["label_moments"] = replace(moments, means=moments.means + origin)
        case TargetMoments() as moments:
            moved["label_moments"] = replace(moments, feature_mean=moments.feature_mean + origin)
    return moved


@jax.jit
def _moments_of_rows(features: jax.Array) -> Moments:
    moments = Moments.from_batch(features - features[0], jnp.ones(len(features), bool), with_scatter=False)
    return replace(moments, mean=moments.mean + features[0])


@jax.jit
def _against_labels(moments: Moments, label_moments: ClassMoments | TargetMoments) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Yᵀ Z (K, D), the means and the centred squares of the label columns."""
    if isinstance(label_moments, TargetMoments):
        return label_moments.cross, label_moments.mean, jnp.diag(label_moments.scatter)
    shares = label_moments.counts / moments.count
    cross = label_moments.counts[:, None] * (label_moments.means - moments.mean)
    return cross, shares, label_moments.counts * (1 - shares)


def _batches(first: np.ndarray, blocks: Iterator[np.ndarray], width: int, size: int) -> Iterator[tuple[np.ndarray, int]]:
    """Rows in batches of `size` (the last may be smaller) with the number of the first row, whatever the sizes of the blocks."""
    start, rest = 0, first[:0]
    block: np.ndarray | None = first
    while block is not None:
        block = check_features(block)
        if block.shape[1] != width:
            raise FeatalignError(
                f"features: expected {width} columns in every block, got {block.shape[1]}; all rows must come from one layer of one source"
            )
        if len(rest):
            block, rest = np.concatenate([rest, block]), first[:0]
        offset = 0
        while offset + size <= len(block):
            yield block[offset : offset + size], start
            offset, start = offset + size, start + size
        rest = block[offset:]
        block = next(blocks, None)
    if len(rest):
        yield rest, start


def _padded(batch: np.ndarray, labels: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    missing = size - len(batch)
    valid = np.arange(size) < len(batch)
    if not missing:
        return batch, labels, valid
    grown = [np.concatenate([part, np.zeros((missing, *part.shape[1:]), part.dtype)]) for part in (batch, labels)]
    return grown[0], grown[1], valid


def _power_of_two(number: int) -> int:
    return max(8, 1 << (number - 1).bit_length())


class _HeldRows:
    """Collects the rows to hold while they stream by."""

    def __init__(self, num_rows: int, max_rows: int, seed: int):
        self.sampled = num_rows > max_rows
        self.wanted = np.sort(np.random.default_rng(seed).choice(num_rows, max_rows, replace=False)) if self.sampled else np.arange(num_rows)
        self.parts: list[np.ndarray] = []

    def take(self, batch: np.ndarray, start: int) -> None:
        low, high = np.searchsorted(self.wanted, [start, start + len(batch)])
        self.parts.append(batch[self.wanted[low:high] - start] if self.sampled else batch)

    def finish(self, labels: np.ndarray) -> Rows:
        features = self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts)
        if features.dtype.name in ("float16", "bfloat16"):
            features = features.astype(np.float32)
        return Rows(features, labels[self.wanted], self.wanted, self.sampled)
