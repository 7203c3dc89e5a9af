"""Logistic regression of several weightings of the rows side by side, by L-BFGS."""

import jax
import jax.numpy as jnp
import optax

MAX_STEPS = 200
TOLERANCE = 1e-4


def fit(
    rows: jax.Array,
    members: jax.Array,
    weights: jax.Array,
    shrinkage: jax.Array,
    *,
    tolerance: jax.Array | float = TOLERANCE,
    max_steps: int = MAX_STEPS,
) -> jax.Array:
    """The minimisers (B, D, C) of weighted cross-entropy + shrinkage/2 W², from zero; see `minimise`."""
    return minimise(rows, members, weights, shrinkage, tolerance=tolerance, max_steps=max_steps)[0]


def minimise(
    rows: jax.Array,
    members: jax.Array,
    weights: jax.Array,
    shrinkage: jax.Array,
    *,
    start: tuple[jax.Array, jax.Array] | None = None,
    tolerance: jax.Array | float = TOLERANCE,
    max_steps: int = MAX_STEPS,
    binary: bool = False,
) -> tuple[jax.Array, jax.Array]:
    """The minimisers (B, D, C) of weighted cross-entropy + shrinkage/2 W² over rows (N, D) and their logits (N, B, C), all B models side by side.

    `members` (N, C) are each row's classes, (N, B, C) where each model has its own; with `binary` each column is a label of its own. Logits are
    linear in the parameters, so a step costs two matrix products (one for the direction's logits, one for the gradient) and the line search none.
    The parameters are scaled by the curvature of the loss where all shares are the classes' own, as if the columns were uncorrelated: the less
    correlated they are, the fewer steps. `start` is what another call gave for the same rows. Ends
    when the largest gradient entry of every model is below `tolerance`.
    """
    members = members[:, None, :] if members.ndim == 2 else members
    classes = members.shape[-1]
    link = jax.nn.sigmoid if binary else jax.nn.softmax
    common = jnp.einsum("nb,nbc->bc", weights, jnp.broadcast_to(members, (len(rows), weights.shape[1], classes)))
    common = jnp.clip(common, 0.5 / len(rows), 1 - 0.5 / len(rows))
    spread = common * (1 - common) * (1.0 if binary else classes / max(classes - 1, 1))
    curvature = jnp.einsum("nb,nd->bd", weights, rows**2)[:, :, None] * spread[:, None, :] + shrinkage
    scale = 1 / jnp.sqrt(jnp.where(curvature > 0, curvature, 1.0))
    preconditioner = optax.scale_by_lbfgs(memory_size=10, scale_init_precond=False)

    def logits_of(parameters: jax.Array) -> jax.Array:
        return jnp.einsum("nd,bdc->nbc", rows, parameters)

    def gradient(parameters: jax.Array, logits: jax.Array) -> jax.Array:
        residuals = (link(logits) - members) * weights[:, :, None]
        return jnp.einsum("nd,nbc->bdc", rows, residuals) + shrinkage * parameters

    def slopes(reach: jax.Array, parameters: jax.Array, logits: jax.Array, direction: jax.Array, change: jax.Array) -> tuple[jax.Array, jax.Array]:
        """First and second derivative (B,) of each loss along its direction, at `reach` (B,)."""
        shares = link(logits + reach[None, :, None] * change)
        expected = shares * change
        first = (weights * (expected - members * change).sum(axis=-1)).sum(axis=0)
        square = (expected**2).sum(axis=-1) if binary else expected.sum(axis=-1) ** 2
        second = (weights * ((expected * change).sum(axis=-1) - square)).sum(axis=0)
        shrunk = shrinkage * direction
        return (
            first + (shrunk * (parameters + reach[:, None, None] * direction)).sum(axis=(1, 2)),
            second + (shrunk * direction).sum(axis=(1, 2)),
        )

    def search(parameters: jax.Array, logits: jax.Array, direction: jax.Array, change: jax.Array) -> jax.Array:
        """Two safeguarded Newton steps towards the minimum along the direction; of the points tried, the flattest."""

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
        return jax.lax.fori_loop(0, 2, refine, (one, 0 * one, jnp.inf * one, 0 * one, jnp.inf * one))[3]

    def step(state: tuple) -> tuple:
        parameters, logits, slope, memory, _, iteration = state
        updates, memory = jax.vmap(preconditioner.update)(scale * slope, memory, parameters / scale)
        direction = scale * jnp.asarray(updates)
        downhill = (direction * slope).sum(axis=(1, 2)) > 0
        direction = -jnp.where(downhill[:, None, None], direction, scale**2 * slope)
        change = logits_of(direction)
        reach = search(parameters, logits, direction, change)
        parameters = parameters + reach[:, None, None] * direction
        logits = logits + reach[None, :, None] * change
        slope = gradient(parameters, logits)
        return parameters, logits, slope, memory, jnp.abs(slope).max(), iteration + 1

    if start is None:
        parameters = jnp.zeros((weights.shape[1], rows.shape[1], classes), rows.dtype)
        logits = jnp.zeros((len(rows), weights.shape[1], classes), rows.dtype)
    else:
        parameters, logits = start
    slope = gradient(parameters, logits)
    state = (parameters, logits, slope, jax.vmap(preconditioner.init)(parameters), jnp.abs(slope).max(), 0)
    return jax.lax.while_loop(lambda state: (state[4] > tolerance) & (state[5] < max_steps), step, state)[:2]
