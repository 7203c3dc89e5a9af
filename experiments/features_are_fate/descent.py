"""Gradient descent on a two-layer linear network.

It goes in the eigenbasis of the rows that the network is trained on.
"""

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

CAREFUL_STEPS, BETWEEN = (
    300,
    50,
)  # steps at the small rate; steps between two looks at whether to stop
CAREFUL, BOLD = 0.25, 0.9


class Weights(NamedTuple):
    """First layer, transposed (m, d), so that processors run along d; and last layer (m,)."""

    first: jax.Array
    last: jax.Array

    @property
    def coefficients(self) -> jax.Array:
        """β = W v (d,)."""
        return (self.first * self.last[:, None]).sum(axis=0)


def descend(
    eigenvalues: jax.Array,
    right_side: jax.Array,
    start: Weights,
    decay: jax.Array,
    max_steps: int,
    tolerance: float,
) -> tuple[Weights, jax.Array]:
    """Full-batch gradient descent on (1/n) |y - X W v|² + decay/2 (|W|² + |v|²).

    The weights and the number of steps.

    With Λ (d,) and b (d,) of `Draw` the gradient by β is 2(Λβ - b). The step is 0.25 (the first 300
    times) or 0.9 over a bound of the curvature, 2 (λ₁ (|W|² + |v|²) + |Λβ - b|) + decay: well
    within what is stable, so that each step descends. Without decay it stops within `tolerance` of
    the rows' least-squares fit (Euclidean, in the directions the rows see), with decay where no
    weight moves by more than `tolerance` of the gradient's own unit, in any case after `max_steps`.
    """
    seen = eigenvalues > 0
    inverse = jnp.where(seen, 1 / jnp.where(seen, eigenvalues, 1.0), 0.0)
    largest = eigenvalues.max()

    def slope(weights: Weights) -> jax.Array:
        return eigenvalues * weights.coefficients - right_side

    def step(weights: Weights, rate: jax.Array) -> Weights:
        residual = slope(weights)
        curvature = (
            2
            * (
                largest * ((weights.first**2).sum() + (weights.last**2).sum())
                + jnp.sqrt((residual**2).sum())
            )
            + decay
        )
        size = rate / curvature
        return Weights(
            weights.first - size * (2 * residual * weights.last[:, None] + decay * weights.first),
            weights.last
            - size * (2 * (weights.first * residual).sum(axis=1) + decay * weights.last),
        )

    def distance(weights: Weights) -> jax.Array:
        residual = slope(weights)
        first = 2 * residual * weights.last[:, None] + decay * weights.first
        return jnp.where(
            decay > 0, jnp.sqrt((first**2).sum()), jnp.sqrt(((residual * inverse) ** 2).sum())
        )

    def some_steps(
        state: tuple[Weights, jax.Array, jax.Array],
    ) -> tuple[Weights, jax.Array, jax.Array]:
        weights, steps, _ = state
        rate = jnp.where(steps < CAREFUL_STEPS, CAREFUL, BOLD)
        weights = jax.lax.fori_loop(0, BETWEEN, lambda _, found: step(found, rate), weights)
        return weights, steps + BETWEEN, distance(weights)

    def go_on(state: tuple[Weights, jax.Array, jax.Array]) -> jax.Array:
        return (state[1] < max_steps) & ((state[2] > tolerance) | (state[1] < CAREFUL_STEPS))

    weights, steps, _ = jax.lax.while_loop(
        go_on, some_steps, (start, jnp.zeros((), jnp.int32), jnp.asarray(jnp.inf, right_side.dtype))
    )
    return weights, steps


@partial(jax.jit, static_argnames=("max_steps", "tolerance"))
def _descend_all(eigenvalues, right_sides, starts, decays, max_steps, tolerance):
    alike = jax.vmap(
        lambda values, side, start, decay: descend(
            values, side, start, decay, max_steps, tolerance
        ),
        in_axes=(None, 0, None, 0),
    )
    # draws one after another: the networks of one draw fit into the processor's cache, those of all
    # do not
    return jax.lax.map(lambda each: alike(*each), (eigenvalues, right_sides, starts, decays))


@dataclass(frozen=True, eq=False)
class Trained:
    """First layers (R, K, d, m), last layers (R, K, m) and steps taken (R, K).

    They are those of R draws with K right sides each.
    """

    first: np.ndarray
    last: np.ndarray
    steps: np.ndarray

    @property
    def coefficients(self) -> np.ndarray:
        """β = W v (R, K, d) in float64."""
        return np.einsum(
            "rkdm,rkm->rkd", self.first.astype(np.float64), self.last.astype(np.float64)
        )


def descend_all(
    eigenvalues: np.ndarray,
    right_sides: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    *,
    decays: np.ndarray | None = None,
    max_steps: int,
    tolerance: float,
) -> Trained:
    """`descend` for R draws with K right sides each.

    Arguments are eigenvalues (R, d), right sides (R, K, d), first layers (R, d, m), last layers
    (R, m), and `decays` (R, K), zero by default. Descent is in the precision of the arrays.
    """
    decays = np.zeros(right_sides.shape[:2], right_sides.dtype) if decays is None else decays
    starts = Weights(jnp.asarray(first.swapaxes(1, 2)), jnp.asarray(last))
    weights, steps = _descend_all(eigenvalues, right_sides, starts, decays, max_steps, tolerance)
    return Trained(
        np.asarray(weights.first).swapaxes(2, 3), np.asarray(weights.last), np.asarray(steps)
    )
