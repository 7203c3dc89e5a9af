"""Linear probe: the cross-validated accuracy of logistic regression."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import softmax

from featalign.metrics import Metric
from featalign.records.score import Status
from featalign.scorers.logistic import GAP, MAX_STEPS, Fit, clean_start, minimise, with_intercept
from featalign.scorers.scorer import Judged, RowMean, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.folds import NUM_FOLDS, folds_of
from featalign.statistics.rows import Rows

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
MANY_PRODUCTS = 2e7  # below this number float64 costs little, and compiling float32 does not pay
ZERO_GAP = 1e-4  # a coarse end suffices, because under permuted labels values are means of noise


@dataclass(frozen=True)
class Validated:
    """The results of P penalties, the strongest first, on N rows in F folds."""

    held_out_losses: np.ndarray  # (P,) mean cross-entropy of the held-out rows
    hits: np.ndarray  # (P, N) whether each held-out row is right, or how many of its labels are
    losses: np.ndarray  # (P, F) the objective on the training rows
    converged: np.ndarray  # (P, F)
    logits: np.ndarray | None = None  # (P, N, C) of the held-out rows, where they were asked for


def compute(statistics: Statistics) -> RowMean | Judged | Status:
    """Accuracy of l2-regularised multinomial logistic regression over 5 stratified seeded folds.

    With groups every group is in one fold.

    L-BFGS minimises mean cross-entropy + penalty/2 |W|² on standardised features, with a free
    intercept, for penalties 1e-4 ... 1 from the strongest to the weakest, all folds side by side.
    Each fit starts where the one before ended. It ends when its gradient shows that the loss is
    within 5e-5 of the least. Fits of more than 2e7 products a step are made in float32. All fits
    are made in float64 where they are smaller, or where one in float32 does not converge. Where
    that fails too, the score is a status. A class without a training row in a fold is never
    predicted there; its held-out rows count as wrong and do not enter the cross-entropy. The
    penalty is the one with the highest held-out accuracy, and among equals the one with the lowest
    held-out cross-entropy. The value is that accuracy, in [0, 1]; larger is better. The features
    are first rotated to their principal directions, of which there are at most N; that changes only
    the number of steps. With several labels a row there is one binary regression per label, with
    one penalty for all, over folds stratified by the combination of labels. The value is then the
    mean share of a row's labels that are predicted right.

    Under another metric the held-out class probabilities of all folds are judged together, so that
    a class that is absent from a fold leaves nothing undefined, and the penalty is the one with the
    best value. The logits of several labels are judged as they are.
    """
    labels = statistics[Rows].labels
    if len(labels) < NUM_FOLDS:
        return Status.TOO_FEW_ROWS
    found = validated(statistics)
    if not found.converged.all():
        return Status.NOT_CONVERGED
    if statistics.metric is not None:
        return _judged(statistics, statistics.metric, found)
    hits = found.hits / _columns(labels)
    best = np.lexsort((found.held_out_losses, -hits.mean(axis=1)))[0]
    return RowMean(hits[best], hits=statistics.task == "classification")


def _judged(statistics: Statistics, metric: Metric, found: Validated) -> Judged:
    assert found.logits is not None
    rows, logits = statistics[Rows], found.logits.astype(np.float64)
    # probabilities of different fits can be compared, logits up to a constant of the row cannot
    scores = softmax(logits, axis=-1) if statistics.num_classes else logits
    values = np.array([metric.compute(rows.labels, each) for each in scores])
    best = np.lexsort((found.held_out_losses, -values))[0]
    return Judged(metric, rows.labels, scores[best][None], rows.held.groups)


def validated(statistics: Statistics) -> Validated:
    """The fits, in float32 where they are large and converge in it, and in float64 otherwise."""
    held, labels = statistics[Rows].held, statistics[Rows].labels
    folds = _folds(labels, held.groups, statistics.seed)
    products = min(held.features.shape) * len(labels) * max(statistics.num_classes, 1)
    for double in (False, True) if products > MANY_PRODUCTS else (True,):
        rows = held.standardised(double=double)
        with jax.enable_x64(double):
            found = _cross_validate(
                rows,
                jnp.asarray(_as_given(labels)),
                jnp.asarray(folds),
                jnp.asarray(sorted(PENALTIES, reverse=True), rows.dtype),
                num_classes=statistics.num_classes,
                gap=GAP,
                max_steps=MAX_STEPS,
                with_logits=statistics.metric is not None,
            )
        if np.asarray(found[3]).all():
            break
    held_out_losses, hits, losses, converged, *logits = map(np.asarray, found)
    return Validated(held_out_losses, hits.astype(np.float64), losses, converged, *logits)


def permuted(relabelled: Sequence[Statistics]) -> list[float]:
    """The cross-validated accuracy at the strongest penalty, under each order of the labels.

    Under permuted labels penalties differ by noise alone, and the fit at the strongest one takes
    only a step or two until its loss is within 1e-4 of the least. The score itself takes the best
    of five penalties and gains a little by it: up to about half the deviation over orders.
    """
    first, labels = relabelled[0], [order[Rows].labels for order in relabelled]
    if len(labels[0]) < NUM_FOLDS:
        return [float("nan")] * len(relabelled)
    held = first[Rows].held
    folds = [
        _folds(each, held.groups, order.seed)
        for each, order in zip(labels, relabelled, strict=True)
    ]
    rows = held.standardised(double=False)
    with jax.enable_x64(False):
        given = jnp.asarray(_as_given(np.stack(labels)))
        hits = _strongest(
            rows, given, jnp.asarray(np.stack(folds)), max(PENALTIES), num_classes=first.num_classes
        )
    return (np.asarray(hits, np.float64) / len(labels[0]) / _columns(labels[0])).tolist()


def _folds(labels: np.ndarray, groups: np.ndarray | None, seed: int) -> np.ndarray:
    """Folds stratified by class, or by the combination of labels, each with whole groups."""
    combinations = (
        labels
        if labels.ndim == 1
        else np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1)
    )
    return folds_of(combinations, groups, seed=seed)


def _columns(labels: np.ndarray) -> int:
    return 1 if labels.ndim == 1 else labels.shape[1]


def _as_given(labels: np.ndarray) -> np.ndarray:
    return labels.astype(np.float32 if labels.dtype == np.uint8 else np.int32)


def _split(folds: jax.Array, dtype: jnp.dtype) -> tuple[jax.Array, jax.Array]:
    """Which model holds out which row (N, F), and the weights of its training rows (N, F)."""
    held = folds[:, None] == jnp.arange(NUM_FOLDS)[None, :]
    return held, (~held / (~held).sum(axis=0)).astype(dtype)


def _members(labels: jax.Array, num_classes: int, dtype: jnp.dtype) -> jax.Array:
    return jax.nn.one_hot(labels, num_classes, dtype=dtype) if num_classes else labels.astype(dtype)


@partial(jax.jit, static_argnames=("num_classes", "with_logits"))
def _cross_validate(
    features: jax.Array,
    labels: jax.Array,
    folds: jax.Array,
    penalties: jax.Array,
    *,
    num_classes: int,
    gap: float,
    max_steps: int,
    with_logits: bool = False,
) -> tuple[jax.Array, ...]:
    """The fields of `Validated`, where the model that did not see its fold scores each row.

    `labels` are class indices, or zeros and ones (N, K) with `num_classes` 0.
    """
    rows, dtype, binary = with_intercept(features), features.dtype, not num_classes
    members = _members(labels, num_classes, dtype)
    held, weights = _split(folds, dtype)

    clean = clean_start(rows, members, weights, binary=binary)

    def one(last: Fit, penalty: jax.Array) -> tuple[Fit, tuple[jax.Array, ...]]:
        start = last.where(last.converged, clean)
        fitted = minimise(
            rows,
            members,
            weights,
            penalty,
            start=start,
            gap=gap,
            max_steps=max_steps,
            binary=binary,
        )
        own = _own(fitted.logits, held)
        if num_classes:
            # a class without a training row has no finite loss: such rows only count as misses
            known = _own((weights.T @ members > 0)[None], held)
            losses = -(jax.nn.log_softmax(own) * members * known).sum(axis=1)
        else:
            known = _own(
                jnp.where(
                    members[:, None] > 0, weights.T @ members > 0, weights.T @ (1 - members) > 0
                ),
                held,
            )
            losses = (known * (jax.nn.softplus(own) - members * own)).mean(axis=1)
        return fitted, (
            losses.mean(),
            _hits(own, labels, num_classes),
            fitted.losses,
            fitted.converged,
            *((own,) if with_logits else ()),
        )

    return jax.lax.scan(one, clean, penalties)[1]


@partial(jax.jit, static_argnames=("num_classes",))
def _strongest(
    features: jax.Array, labels: jax.Array, folds: jax.Array, penalty: float, *, num_classes: int
) -> jax.Array:
    """The number of hits under each of P orders of the labels.

    The orders come one after the other, so that memory holds the models of one order.
    """
    rows, binary = with_intercept(features), not num_classes

    def one(order: tuple[jax.Array, jax.Array]) -> jax.Array:
        labels, folds = order
        members = _members(labels, num_classes, features.dtype)
        held, weights = _split(folds, features.dtype)
        start = clean_start(rows, members, weights, binary=binary)
        logits = minimise(
            rows, members, weights, penalty, start=start, gap=ZERO_GAP, binary=binary
        ).logits
        return _hits(_own(logits, held), labels, num_classes).sum()

    return jax.lax.map(one, (labels, folds))


def _own(values: jax.Array, held: jax.Array) -> jax.Array:
    """The values (N, C) of the model that did not see the row, from those of all (N, F, C)."""
    return jnp.where(held[:, :, None], values, 0).sum(axis=1)


def _hits(logits: jax.Array, labels: jax.Array, num_classes: int) -> jax.Array:
    """Whether each row's class is predicted, or how many of its labels are.

    These are whole numbers, which float32 holds exactly.
    """
    return (
        logits.argmax(axis=1) == labels
        if num_classes
        else ((logits > 0) == (labels > 0)).sum(axis=1)
    )


LINEAR_PROBE = Scorer(
    "linear_probe",
    compute,
    frozenset({Rows}),
    "cross-validated accuracy of logistic regression",
    True,
    tasks=("classification", "multilabel"),
    invariances=frozenset({"scale", "shift"}),
    permuted=permuted,
    unit="percent",
)
