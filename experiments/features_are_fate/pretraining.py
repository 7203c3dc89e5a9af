"""Pretraining: gradient descent on the source.

What it makes of the singular values of the first layer is looked at, too.
"""

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.features_are_fate.descent import descend_all
from experiments.features_are_fate.draws import draw_rows, initial_weights
from experiments.features_are_fate.plan import Plan

RATE = 0.1  # of the published pretraining
SOURCE_SEED = 90_000


@cache
def pretrained(plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """First layers (R, d, m) and last layers (R, m) after pretraining, in float64.

    Pretraining is gradient descent on the population loss |W v - e_1|² of the source.
    """
    starts = [
        initial_weights(plan.width, plan.hidden, plan.scale, seed) for seed in range(plan.draws)
    ]
    source = np.zeros((len(starts), 1, plan.width))
    source[:, 0, 0] = 1.0
    with jax.enable_x64(True):
        trained = descend_all(
            np.ones((len(starts), plan.width)),
            source,
            *_stacked(starts),
            max_steps=plan.max_steps,
            tolerance=plan.scale / 10,
        )
    return trained.first[:, 0], trained.last[:, 0]


def pretrained_on_rows(
    plan: Plan, source_ratio: float, noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """The same after gradient descent on γ_s d noisy rows of the source.

    Layers are turned back into the original basis.
    """
    draws = [
        draw_rows(plan.rows(source_ratio), plan.width, SOURCE_SEED + seed)
        for seed in range(plan.draws)
    ]
    starts = [
        initial_weights(plan.width, plan.hidden, plan.scale, seed) for seed in range(plan.draws)
    ]
    first, last = _stacked(
        [(draw.basis.T @ start[0], start[1]) for draw, start in zip(draws, starts, strict=True)]
    )
    sides = np.stack([draw.right_sides(draw.teachers(np.zeros(1)), noise) for draw in draws])
    eigenvalues = np.stack([draw.eigenvalues for draw in draws])
    with jax.enable_x64(True):
        trained = descend_all(
            eigenvalues, sides, first, last, max_steps=plan.max_steps, tolerance=plan.tolerance
        )
    return np.stack(
        [draw.basis @ layer[0] for draw, layer in zip(draws, trained.first, strict=True)]
    ), trained.last[:, 0]


def singular_values(plan: Plan, steps: int = 160, every: int = 4) -> dict[str, Any]:
    """Singular values of the first layer at its full width (m = d) during pretraining.

    The rate is constant. Beside the values is the loss.
    """
    first, last = initial_weights(plan.width, plan.width, plan.scale, seed=0)
    source = np.eye(plan.width)[0]
    found: dict[str, Any] = {
        "steps": [],
        "first": [],
        "second": [],
        "median": [],
        "loss": [],
        "scale": plan.scale,
    }

    @jax.jit
    def step(first: jax.Array, last: jax.Array) -> tuple[jax.Array, jax.Array]:
        slope = 2 * (first @ last - source)
        return first - RATE * jnp.outer(slope, last), last - RATE * (first.T @ slope)

    with jax.enable_x64(True):
        for number in range(steps + 1):
            if number % every == 0:
                values = np.linalg.svd(np.asarray(first), compute_uv=False)
                loss = float(np.sum((np.asarray(first) @ np.asarray(last) - source) ** 2))
                for name, value in (
                    ("first", values[0]),
                    ("second", values[1]),
                    ("median", np.median(values)),
                    ("loss", loss),
                ):
                    found[name].append(float(f"{value:.4g}"))
                found["steps"].append(number)
            first, last = step(first, last)
    return found


def _stacked(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([first for first, _ in pairs]), np.stack([last for _, last in pairs])


def in_basis(firsts: np.ndarray, bases: list[np.ndarray]) -> np.ndarray:
    """First layers (R, d, m), each turned into its draw's basis (d, d)."""
    return np.stack([basis.T @ first for basis, first in zip(bases, firsts, strict=True)])
