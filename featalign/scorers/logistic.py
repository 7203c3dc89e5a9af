"""Logistic regression under several weightings of the rows side by side, by L-BFGS."""

from dataclasses import dataclass
from typing import NamedTuple

import jax
import jax.numpy as jnp

GAP = 5e-5
MAX_STEPS = 1000
MAX_TRIES = 20  # points of one line search
MEMORY = 10
FLATTER, LOWER = 0.5, 1e-4  # a step ends where the slope is half of what it was and the loss lower
NEVER = -1e4  # the logit of a class that no training row has: its share is 0 to the last digit


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Fit:
    """B models with D parameters a class, the last of them the intercept, on N rows."""

    parameters: jax.Array  # (D, B, C)
    logits: jax.Array  # (N, B, C)
    losses: jax.Array  # (B,) the objective with its penalty
    gaps: jax.Array  # (B,) the share of a loss by which it is at most above its least
    converged: jax.Array  # (B,) whether the gap is as small as was asked for

    def where(self, kept: jax.Array, other: "Fit") -> "Fit":
        """The models where `kept` (B,) is true, and those of another fit in place of the rest."""
        return Fit(
            jnp.where(kept[:, None], self.parameters, other.parameters),
            jnp.where(kept[:, None], self.logits, other.logits),
            jnp.where(kept, self.losses, other.losses),
            jnp.where(kept, self.gaps, other.gaps),
            jnp.where(kept, self.converged, other.converged),
        )


class _Point(NamedTuple):
    """The points that B descents have reached."""

    parameters: jax.Array  # (D, B, C)
    logits: jax.Array  # (N, B, C)
    shares: jax.Array  # (N, B, C) of the classes
    losses: jax.Array  # (B,)


class _Memory(NamedTuple):
    """The last M steps of B descents, and how they changed the slopes."""

    steps: jax.Array  # (M, D, B, C)
    changes: jax.Array  # (M, D, B, C)
    count: jax.Array  # () the last step is at (count - 1) mod M


class _State(NamedTuple):
    point: _Point
    slopes: jax.Array  # (D, B, C)
    gaps: jax.Array  # (B,)
    stuck: jax.Array  # (B,) whether no step goes down any more
    memory: _Memory


def with_intercept(features: jax.Array) -> jax.Array:
    """Features (N, D) and a column of ones, (N, D + 1)."""
    return jnp.concatenate([features, jnp.ones((len(features), 1), features.dtype)], axis=1)


def clean_start(
    rows: jax.Array, members: jax.Array, weights: jax.Array, *, binary: bool = False
) -> Fit:
    """Zero weights, and the intercepts that are best with them: the logarithms of the shares.

    A class that no row has gets the share 0; with `binary`, a label that all rows have gets the
    share 1. Their slopes are 0, so their parameters stay finite.
    """
    shares = _mean(members, weights)
    intercepts = _logarithm(shares)
    if binary:
        intercepts = intercepts - _logarithm(_mean(1 - members, weights))
    num_models, classes = intercepts.shape
    parameters = jnp.zeros((rows.shape[1], num_models, classes), rows.dtype).at[-1].set(intercepts)
    logits = jnp.broadcast_to(intercepts, (len(rows), num_models, classes))
    unknown = jnp.full(num_models, jnp.inf, rows.dtype)
    return Fit(parameters, logits, unknown, unknown, jnp.zeros(num_models, bool))


def minimise(
    rows: jax.Array,
    members: jax.Array,
    weights: jax.Array,
    penalty: jax.Array | float,
    *,
    start: Fit,
    gap: jax.Array | float = GAP,
    max_steps: int = MAX_STEPS,
    binary: bool = False,
) -> Fit:
    """The minimisers of weighted cross-entropy + penalty/2 |W|² over rows (N, D), B models at once.

    The last column of the rows is of ones; its parameters, the intercepts, are free. `members`
    (N, C) are each row's classes; with `binary` each column is a label of its own. `weights`
    (N, B) sum to 1 for each model. `start` is a `clean_start`, or another fit to the same rows.

    L-BFGS starts from the curvature of the loss at the start in place of the unit matrix. Logits
    are linear in the parameters, so a step costs two matrix products (one for the direction's
    logits, one for the slopes) and its line search none. The search ends where the loss is lower
    and its slope half of what it was. Where it finds no such point, it takes one that is lower, or
    leaves the model where it is. Apart from rounding, no loss ends above that of the start.

    The descent ends when every loss is within the share `gap` of its least. The penalty bounds the
    excess: with slopes g, loss - least <= |g_W|² / (2 penalty) for the weights, and about g_b² / (2
    h_b) for intercepts of curvature h_b. A model that is not there after `max_steps` has not
    converged.
    """
    members = members[:, None, :]
    shrinkage = jnp.full((rows.shape[1], 1, 1), penalty, rows.dtype).at[-1].set(0)

    def at(parameters: jax.Array, logits: jax.Array) -> _Point:
        shares, entropies = _predicted(logits, members, binary=binary)
        pulled = (shrinkage * parameters**2).sum(axis=(0, 2)) / 2
        return _Point(parameters, logits, shares, (weights * entropies).sum(axis=0) + pulled)

    def slopes_at(point: _Point) -> tuple[jax.Array, jax.Array]:
        """The slopes, and the gaps that they leave."""
        residuals = (point.shares - members) * weights[:, :, None]
        slopes = jnp.einsum("nd,nbc->dbc", rows, residuals) + shrinkage * point.parameters
        bends = jnp.einsum("nb,nbc->bc", weights, point.shares * (1 - point.shares))
        free = jnp.where(bends > 0, slopes[-1] ** 2 / jnp.where(bends > 0, bends, 1.0), 0.0)
        excess = ((slopes[:-1] ** 2).sum(axis=(0, 2)) / penalty + free.sum(axis=1)) / 2
        # a fold of one class has no loss, and no excess over it
        return slopes, jnp.where(excess > 0, excess / point.losses, 0.0)

    def search(
        point: _Point, direction: jax.Array, change: jax.Array, downhill: jax.Array
    ) -> _Point:
        """The end of each step, by safeguarded Newton steps to the minimum along the direction."""

        def moved(reach: jax.Array) -> _Point:
            logits = point.logits + reach[:, None] * change
            return at(point.parameters + reach[:, None] * direction, logits)

        def derivatives(there: _Point) -> tuple[jax.Array, jax.Array]:
            """The first and the second derivatives (B,) along the direction."""
            expected = there.shares * change
            first = (weights * (expected - members * change).sum(axis=-1)).sum(axis=0)
            square = (expected**2).sum(axis=-1) if binary else expected.sum(axis=-1) ** 2
            second = (weights * ((expected * change).sum(axis=-1) - square)).sum(axis=0)
            pulled = (shrinkage * direction * there.parameters).sum(axis=(0, 2))
            return first + pulled, second + (shrinkage * direction**2).sum(axis=(0, 2))

        def refine(tried: tuple) -> tuple:
            _, reach, low, high, done, tries = tried
            there = moved(reach)
            first, second = derivatives(there)
            allowed = LOWER * reach * downhill + rounding * jnp.abs(point.losses)
            lower = there.losses <= point.losses + allowed
            done = done | (lower & (jnp.abs(first) <= FLATTER * jnp.abs(downhill)))
            beyond = ~lower | (first >= 0)
            low, high = jnp.where(beyond, low, reach), jnp.where(beyond, reach, high)
            proposal = reach - first / jnp.maximum(second, jnp.finfo(rows.dtype).tiny)
            inside = (proposal > low) & (proposal < jnp.minimum(high, 10 * reach))
            middle = jnp.where(jnp.isinf(high), 4 * reach, (low + high) / 2)
            proposal = jnp.where(inside, proposal, middle)
            return there, jnp.where(done, reach, proposal), low, high, done, tries + 1

        def unfinished(tried: tuple) -> jax.Array:
            return ~tried[4].all() & (tried[5] < MAX_TRIES)

        still = downhill >= 0
        one = jnp.where(still, 0.0, 1.0).astype(rows.dtype)
        tried = refine((point, one, jnp.zeros_like(one), jnp.full_like(one, jnp.inf), still, 0))
        there, reach, low, _, done, _ = jax.lax.while_loop(unfinished, refine, tried)
        # a descent that found no such point goes to the farthest lower one, or stays
        return jax.lax.cond(done.all(), lambda: there, lambda: moved(jnp.where(done, reach, low)))

    def step(state: _State) -> _State:
        point, open_models = state.point, _is_open(state, gap)
        direction = _towards_minimum(state.slopes, state.memory, scale)
        uphill = (direction * state.slopes).sum(axis=(0, 2)) >= 0
        direction = jnp.where(uphill[:, None], -scale * state.slopes, direction)
        direction = jnp.where(open_models[:, None], direction, 0.0)
        downhill = (direction * state.slopes).sum(axis=(0, 2))
        change = jnp.einsum("nd,dbc->nbc", rows, direction)
        there = search(point, direction, change, downhill)
        slopes, gaps = slopes_at(there)
        step = there.parameters - point.parameters
        stuck = state.stuck | (open_models & (step == 0).all(axis=(0, 2)))
        return _State(there, slopes, gaps, stuck, _added(state.memory, step, slopes - state.slopes))

    def unfinished(state: _State) -> jax.Array:
        return _is_open(state, gap).any() & (state.memory.count < max_steps)

    rounding = 4 * jnp.finfo(rows.dtype).eps
    first = at(start.parameters, start.logits)
    spread = first.shares * (1 - first.shares) * weights[:, :, None]
    coupled = 1.0 if binary else members.shape[-1] / max(members.shape[-1] - 1, 1)
    bends = coupled * jnp.einsum("nd,nbc->dbc", rows**2, spread) + shrinkage
    scale = 1 / jnp.where(bends > 0, bends, 1.0)
    empty = jnp.zeros((MEMORY, *start.parameters.shape), rows.dtype)
    state = _State(
        first,
        *slopes_at(first),
        jnp.zeros(weights.shape[1], bool),
        _Memory(empty, empty, jnp.asarray(0)),
    )
    state = jax.lax.while_loop(unfinished, step, state)
    last = state.point
    return Fit(last.parameters, last.logits, last.losses, state.gaps, state.gaps <= gap)


def _is_open(state: _State, gap: jax.Array | float) -> jax.Array:
    return ~state.stuck & ~(state.gaps <= gap)


def _mean(members: jax.Array, weights: jax.Array) -> jax.Array:
    """The weighted mean (B, C) of members (N, C), exactly 0 or 1 where all rows agree."""
    none = (weights[:, :, None] * members[:, None, :]).sum(axis=0)
    rest = (weights[:, :, None] * (1 - members[:, None, :])).sum(axis=0)
    return none / (none + rest)


def _logarithm(shares: jax.Array) -> jax.Array:
    return jnp.where(shares > 0, jnp.log(jnp.where(shares > 0, shares, 1.0)), NEVER)


def _predicted(
    logits: jax.Array, members: jax.Array, *, binary: bool
) -> tuple[jax.Array, jax.Array]:
    """The shares of the classes (N, B, C), and the cross-entropy of each row (N, B)."""
    if binary:
        shares, normaliser = jax.nn.sigmoid(logits), jax.nn.softplus(logits).sum(axis=-1)
    else:
        top = logits.max(axis=-1, keepdims=True)
        powers = jnp.exp(logits - top)
        total = powers.sum(axis=-1, keepdims=True)
        shares, normaliser = powers / total, (top + jnp.log(total))[:, :, 0]
    return shares, normaliser - (members * logits).sum(axis=-1)


def _towards_minimum(slopes: jax.Array, memory: _Memory, scale: jax.Array) -> jax.Array:
    """Minus the slopes times an inverse Hessian: the diagonal `scale`, corrected by the memory.

    These are the two loops of L-BFGS (Nocedal, "Updating quasi-Newton matrices with limited
    storage", 1980).
    """
    most = len(memory.steps)
    products = (memory.steps * memory.changes).sum(axis=(1, 3))  # (M, B)
    inverse = jnp.where(products > 0, 1 / jnp.where(products > 0, products, 1.0), 0.0)

    def back(age: jax.Array, carried: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        direction, parts = carried
        place = (memory.count - 1 - age) % most
        part = inverse[place] * (memory.steps[place] * direction).sum(axis=(0, 2))
        direction = direction - part[:, None] * memory.changes[place]
        return direction, parts.at[place].set(part)

    def forth(age: jax.Array, direction: jax.Array) -> jax.Array:
        place = (memory.count + age) % most
        part = inverse[place] * (memory.changes[place] * direction).sum(axis=(0, 2))
        return direction + (parts[place] - part)[:, None] * memory.steps[place]

    direction, parts = jax.lax.fori_loop(0, most, back, (slopes, jnp.zeros_like(products)))
    return -jax.lax.fori_loop(0, most, forth, scale * direction)


def _added(memory: _Memory, step: jax.Array, change: jax.Array) -> _Memory:
    """The memory with one more step in the place of the oldest."""
    place = memory.count % len(memory.steps)
    steps, changes = memory.steps.at[place].set(step), memory.changes.at[place].set(change)
    return _Memory(steps, changes, memory.count + 1)
