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

    Minimises mean cross-entropy + penalty/2 |W|² on standardised features (the intercept is free) for penalties 1e-4 ... 1 by L-BFGS, all folds and
    penalties in one compiled call; the penalty is the one with the lowest held-out cross-entropy, and the value is the share of held-out
    rows it gets right. In [0, 1], larger is better. With N < D the features are first rotated to their N directions, which changes nothing.
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
    [2, 1, 1, 0, 0, 2]
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
    members = jax.nn.one_hot(labels, num_classes, dtype=features.dtype)

    def fit_and_score(fold: jax.Array, penalty: jax.Array) -> tuple[jax.Array, jax.Array]:
        training = (folds != fold).astype(features.dtype)
        weights = training / jnp.maximum(training.sum(), 1.0)
        parameters = _fit(features, members, weights, penalty)
        logits = features @ parameters["weights"] + parameters["intercept"]
        entropy = -(jax.nn.log_softmax(logits) * members).sum(axis=1)
        held = folds == fold
        return jnp.where(held, entropy, 0.0).sum(), (held & (logits.argmax(axis=1) == labels)).sum()

    over_penalties = jax.vmap(fit_and_score, in_axes=(None, 0))
    losses, hits = jax.vmap(over_penalties, in_axes=(0, None))(jnp.arange(NUM_FOLDS), penalties)
    return losses.sum(axis=0) / len(labels), hits.sum(axis=0)


def _fit(features: jax.Array, members: jax.Array, weights: jax.Array, penalty: jax.Array) -> dict[str, jax.Array]:
    """The minimiser, by L-BFGS from zero until the largest gradient entry is below TOLERANCE."""

    def loss(parameters: dict[str, jax.Array]) -> jax.Array:
        logits = features @ parameters["weights"] + parameters["intercept"]
        entropy = -(jax.nn.log_softmax(logits) * members).sum(axis=1)
        return weights @ entropy + penalty / 2 * (parameters["weights"] ** 2).sum()

    optimizer = optax.lbfgs(memory_size=10)
    value_and_gradient = optax.value_and_grad_from_state(loss)

    def step(carry: tuple) -> tuple:
        parameters, state, _, iteration = carry
        value, gradient = value_and_gradient(parameters, state=state)
        updates, state = optimizer.update(gradient, state, parameters, value=value, grad=gradient, value_fn=loss)
        size = jnp.maximum(jnp.abs(gradient["weights"]).max(), jnp.abs(gradient["intercept"]).max())
        return optax.apply_updates(parameters, updates), state, size, iteration + 1

    start = {"weights": jnp.zeros((features.shape[1], members.shape[1])), "intercept": jnp.zeros(members.shape[1])}
    carry = (start, optimizer.init(start), jnp.asarray(jnp.inf, features.dtype), 0)
    return jax.lax.while_loop(lambda carry: (carry[2] > TOLERANCE) & (carry[3] < MAX_STEPS), step, carry)[0]


LINEAR_PROBE = Scorer(
    "linear_probe",
    compute,
    frozenset({"rows"}),
    "cross-validated accuracy of logistic regression",
    True,
    invariances=frozenset({"scale", "shift"}),
)
