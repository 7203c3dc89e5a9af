"""Linear probe: cross-validated accuracy of multinomial logistic regression."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from featalign.scorers.scorer import Scorer, Status
from featalign.statistics.gather import Statistics

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
NUM_FOLDS = 5
MAX_STEPS = 200
TOLERANCE = 1e-4


def compute(statistics: Statistics) -> float | Status:
    """Accuracy of l2-regularised multinomial logistic regression over 5 stratified seeded folds.

    Minimises mean cross-entropy + penalty/2 |W|² on standardised features (the intercept is free) for penalties 1e-4 ... 1 by
    L-BFGS, all folds and penalties in one compiled call; the penalty is the one with the lowest held-out cross-entropy, and the
    value is the share of held-out rows it gets right. Held-out rows of a class with no training row count as wrong and leave the
    choice of the penalty alone. In [0, 1], larger is better. The fit is in float32 and ends when no gradient entry exceeds 1e-4;
    against a float64 fit that moves at most single rows. With N < D the features are first rotated to their N directions, which
    changes nothing.
    """
    assert statistics.rows is not None
    features, labels = statistics.rows.features, statistics.rows.labels
    if len(labels) < NUM_FOLDS:
        return Status.TOO_FEW_ROWS
    folds = stratified_folds(labels, NUM_FOLDS, seed=statistics.seed)
    prepared = _rotated(jnp.asarray(features)) if features.shape[0] < features.shape[1] else _standardised(jnp.asarray(features))
    with jax.enable_x64(False):
        rows = jnp.asarray(np.asarray(prepared, np.float32))
        losses, hits = cross_validate(
            rows, jnp.asarray(labels.astype(np.int32)), jnp.asarray(folds), jnp.asarray(PENALTIES, jnp.float32), num_classes=statistics.num_classes
        )
    return int(np.asarray(hits)[np.asarray(losses).argmin()]) / len(labels)


def stratified_folds(labels: np.ndarray, num_folds: int, *, seed: int) -> np.ndarray:
    """A fold number (N,) for each row; each class is dealt out evenly, in seeded random order.

    >>> stratified_folds(np.array([0, 0, 1, 1, 0, 1]), 3, seed=0).tolist()
    [1, 2, 1, 0, 0, 2]
    """
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(labels))
    ordered = shuffled[np.argsort(labels[shuffled], kind="stable")]
    folds = np.empty(len(labels), np.int32)
    folds[ordered] = np.arange(len(labels)) % num_folds
    return folds


@jax.jit
def _standardised(features: jax.Array) -> jax.Array:
    """Each column with mean 0 and deviation 1; constant columns become 0."""
    features = features.astype(jnp.float64)
    centred = features - features.mean(axis=0)
    deviation = jnp.sqrt((centred**2).mean(axis=0))
    constant = deviation <= 1e-12 * jnp.abs(features).max(axis=0)
    return jnp.where(constant, 0.0, centred / jnp.where(constant, 1.0, deviation))


@jax.jit
def _rotated(features: jax.Array) -> jax.Array:
    """The standardised features (N, D) in an orthonormal basis of their rows, (N, N)."""
    standardised = _standardised(features)
    values, vectors = jnp.linalg.eigh(standardised @ standardised.T, symmetrize_input=False)
    return vectors * jnp.sqrt(jnp.maximum(values, 0.0))


@partial(jax.jit, static_argnames=("num_classes",))
def cross_validate(
    features: jax.Array, labels: jax.Array, folds: jax.Array, penalties: jax.Array, *, num_classes: int
) -> tuple[jax.Array, jax.Array]:
    """Held-out cross-entropy and number of hits (P,) of each penalty, over all rows, each scored by the model that did not see its fold."""
    rows = jnp.concatenate([features, jnp.ones((len(features), 1), features.dtype)], axis=1)
    members = jax.nn.one_hot(labels, num_classes, dtype=features.dtype)
    held = jnp.repeat(folds[None, :] == jnp.arange(NUM_FOLDS)[:, None], len(penalties), axis=0)  # (B, N), B = folds x penalties
    shrinkage = jnp.tile(penalties, NUM_FOLDS)[:, None, None] * (jnp.arange(rows.shape[1]) < features.shape[1])[None, :, None]
    weights = (~held / (~held).sum(axis=1, keepdims=True)).astype(features.dtype)
    logits = _logits(rows, fit(rows, members, weights.T, shrinkage))
    entropy = -(jax.nn.log_softmax(logits) * members[:, None, :]).sum(axis=-1)
    known = (weights @ members > 0)[:, labels]  # a class without a training row has no finite loss: such rows only count as misses
    losses = jnp.where((held & known).T, entropy, 0.0).sum(axis=0)
    hits = (held.T & (logits.argmax(axis=-1) == labels[:, None])).sum(axis=0)
    return losses.reshape(NUM_FOLDS, -1).sum(axis=0) / len(labels), hits.reshape(NUM_FOLDS, -1).sum(axis=0)


def _logits(rows: jax.Array, parameters: jax.Array) -> jax.Array:
    """Rows (N, D) under B models (B, D, C): (N, B, C), in one matrix product."""
    return jnp.einsum("nd,bdc->nbc", rows, parameters)


def fit(
    rows: jax.Array,
    members: jax.Array,
    weights: jax.Array,
    shrinkage: jax.Array,
    *,
    tolerance: jax.Array | float = TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> jax.Array:
    """The minimisers (B, D, C) of weighted cross-entropy + shrinkage/2 W², by L-BFGS from zero, all B models side by side.

    Logits are linear in the parameters, so a step costs two matrix products (one for the direction's logits, one for the gradient)
    and the line search none. Ends when the largest gradient entry of every model is below `tolerance`.
    """
    preconditioner = optax.scale_by_lbfgs(memory_size=10)

    def gradient(parameters: jax.Array, logits: jax.Array) -> jax.Array:
        residuals = (jax.nn.softmax(logits) - members[:, None, :]) * weights[:, :, None]
        return jnp.einsum("nd,nbc->bdc", rows, residuals) + shrinkage * parameters

    def slopes(reach: jax.Array, parameters: jax.Array, logits: jax.Array, direction: jax.Array, change: jax.Array) -> tuple[jax.Array, jax.Array]:
        """First and second derivative (B,) of each loss along its direction, at `reach` (B,)."""
        shares = jax.nn.softmax(logits + reach[None, :, None] * change)
        expected = (shares * change).sum(axis=-1)
        first = (weights * (expected - (members[:, None, :] * change).sum(axis=-1))).sum(axis=0)
        second = (weights * ((shares * change**2).sum(axis=-1) - expected**2)).sum(axis=0)
        shrunk = shrinkage * direction
        return (
            first + (shrunk * (parameters + reach[:, None, None] * direction)).sum(axis=(1, 2)),
            second + (shrunk * direction).sum(axis=(1, 2)),
        )

    def search(parameters: jax.Array, logits: jax.Array, direction: jax.Array, change: jax.Array) -> jax.Array:
        """Three safeguarded Newton steps towards the minimum along the direction; of the points tried, the flattest."""

        def refine(_: int, state: tuple) -> tuple:
            reach, low, high, best, flattest = state
            first, second = slopes(reach, parameters, logits, direction, change)
            better = jnp.abs(first) < flattest
            best, flattest = jnp.where(better, reach, best), jnp.where(better, jnp.abs(first), flattest)
            low, high = jnp.where(first < 0, reach, low), jnp.where(first < 0, high, reach)
            proposal = reach - first / jnp.maximum(second, 1e-30)
            inside = (proposal > low) & (proposal < jnp.minimum(high, 10 * reach))
            middle = jnp.where(jnp.isinf(high), 4 * reach, (low + high) / 2)
            return jnp.where(inside, proposal, middle), low, high, best, flattest

        one = jnp.ones(len(parameters), rows.dtype)
        start = (one, 0 * one, jnp.inf * one, 0 * one, jnp.inf * one)
        return jax.lax.fori_loop(0, 3, refine, start)[3]

    def step(state: tuple) -> tuple:
        parameters, logits, slope, memory, _, iteration = state
        updates, memory = jax.vmap(preconditioner.update)(slope, memory, parameters)
        direction = jnp.asarray(updates)
        downhill = (direction * slope).sum(axis=(1, 2)) > 0
        direction = -jnp.where(downhill[:, None, None], direction, slope)
        change = _logits(rows, direction)
        reach = search(parameters, logits, direction, change)
        parameters = parameters + reach[:, None, None] * direction
        logits = logits + reach[None, :, None] * change
        slope = gradient(parameters, logits)
        return parameters, logits, slope, memory, jnp.abs(slope).max(), iteration + 1

    parameters = jnp.zeros((weights.shape[1], rows.shape[1], members.shape[1]), rows.dtype)
    logits = _logits(rows, parameters)
    slope = gradient(parameters, logits)
    state = (parameters, logits, slope, jax.vmap(preconditioner.init)(parameters), jnp.abs(slope).max(), 0)
    return jax.lax.while_loop(lambda state: (state[4] > tolerance) & (state[5] < max_steps), step, state)[0]


LINEAR_PROBE = Scorer(
    "linear_probe",
    compute,
    frozenset({"rows"}),
    "cross-validated accuracy of logistic regression",
    True,
    invariances=frozenset({"scale", "shift"}),
)
