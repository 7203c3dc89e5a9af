"""Networks with rectified units: a teacher, a source and a student.

The source lacks some of the teacher's neurons, and the student is pretrained on the source.

f(x) = (1/m) Σ a_i max(0, w_i·x), x ~ N(0, I_d). All expectations over x are closed: E max(0, u·x)
max(0, v·x) = |u||v| κ(cos) / 2π with κ(ρ) = √(1 - ρ²) + ρ (π - arccos ρ), so that pretraining is
descent on the population loss and every error is exact.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments.features_are_fate.results import Save

RATE = 0.02
RIDGES = tuple(10.0**power for power in range(-9, 1))


@dataclass(frozen=True)
class ReluPlan:
    """Sizes, and the shares of the target's neurons that the source lacks."""

    width: int = 30
    teacher: int = 30
    student: int = 150
    fractions: tuple[float, ...] = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)
    rows: tuple[int, ...] = (100, 200, 400, 800, 1600)
    steps: int = 1500
    draws: int = 2


QUICK_RELU = ReluPlan(15, 12, 40, (0.0, 0.5), (60, 120), 200, 1)


@jax.custom_jvp
def arc_cosine(cosines: jax.Array) -> jax.Array:
    """κ(ρ) = √(1 - ρ²) + ρ (π - arccos ρ).

    Its derivative π - arccos ρ is finite at ±1, where that of its parts is not.
    """
    cosines = jnp.clip(cosines, -1.0, 1.0)
    return jnp.sqrt(1 - cosines**2) + cosines * (jnp.pi - jnp.arccos(cosines))


@arc_cosine.defjvp
def _(primals, tangents):
    (cosines,), (change,) = primals, tangents
    return arc_cosine(cosines), (jnp.pi - jnp.arccos(jnp.clip(cosines, -1.0, 1.0))) * change


def products(first: jax.Array, second: jax.Array) -> jax.Array:
    """E max(0, u·x) max(0, v·x) for neurons (A, d) and (B, d): (A, B)."""
    lengths = jnp.linalg.norm(first, axis=1)[:, None] * jnp.linalg.norm(second, axis=1)[None, :]
    return lengths * arc_cosine(first @ second.T / lengths) / (2 * jnp.pi)


@partial(jax.jit, static_argnames="steps")
def pretrain(
    neurons: jax.Array, outputs: jax.Array, teacher: jax.Array, weights: jax.Array, steps: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Student neurons (m, d) and outputs (m,) after Adam on the population loss, and that loss.

    The student is trained towards Σ weights_k max(0, teacher_k·x). The rate falls to 0 along a
    cosine.
    """
    target = weights @ products(teacher, teacher) @ weights

    def loss(student: tuple[jax.Array, jax.Array]) -> jax.Array:
        own, scaled = student[0], student[1] / len(student[1])
        return (
            scaled @ products(own, own) @ scaled
            - 2 * scaled @ products(own, teacher) @ weights
            + target
        )

    return _adam(loss, (neurons, outputs), steps)


@partial(jax.jit, static_argnames="steps")
def train_on_rows(
    neurons: jax.Array, outputs: jax.Array, inputs: jax.Array, labels: jax.Array, steps: int
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The same on the mean squared error of rows (n, d) with labels (n,)."""

    def loss(student: tuple[jax.Array, jax.Array]) -> jax.Array:
        return (
            (jnp.maximum(inputs @ student[0].T, 0) @ student[1] / len(student[1]) - labels) ** 2
        ).mean()

    return _adam(loss, (neurons, outputs), steps)


def _adam(loss, student, steps):
    optimizer = optax.adam(optax.cosine_decay_schedule(RATE, steps))

    def step(_, state):
        student, memory = state
        changes, memory = optimizer.update(jax.grad(loss)(student), memory)
        return optax.apply_updates(student, changes), memory

    student, _ = jax.lax.fori_loop(0, steps, step, (student, optimizer.init(student)))
    return *student, loss(student)


def run_relu(
    plan: ReluPlan, stored: dict[str, Any], save: Save, results: dict[str, Any]
) -> dict[str, Any]:
    """Errors of linear transfer and from scratch, as shares of the target's E f².

    Beside them is the part of the target outside the learned features.
    """
    del results
    cells: dict[str, Any] = dict(stored.get("cells", {}))
    for draw in range(plan.draws):
        random = np.random.default_rng(draw)
        teacher = _unit(random.normal(size=(plan.teacher, plan.width)))
        weights = random.choice([-1.0, 1.0], plan.teacher)
        weights /= np.sqrt(weights @ _numbers(teacher, teacher) @ weights)  # E f² = 1
        start = (
            _unit(random.normal(size=(plan.student, plan.width))),
            0.1 * random.normal(size=plan.student),
        )
        for fraction in (None, *plan.fractions):
            name = f"draw {draw} scratch" if fraction is None else f"draw {draw} ablated {fraction}"
            if name not in cells:
                setting = (plan, draw, teacher, weights, start)
                cells[name] = (
                    _scratch(*setting) if fraction is None else _transfer(*setting, fraction)
                )
                save({"cells": cells})
    return {
        "cells": cells,
        "lines": _lines(plan, cells, "source"),
        "student lines": _lines(plan, cells, "student"),
        "scratch exponent": _exponent(plan, cells),
    }


def _transfer(
    plan: ReluPlan, draw: int, teacher: np.ndarray, weights: np.ndarray, start: Any, fraction: float
) -> dict[str, Any]:
    kept = slice(round(fraction * plan.teacher), None)
    single = [jnp.asarray(array, jnp.float32) for array in (*start, teacher[kept], weights[kept])]
    neurons, _, loss = pretrain(*single, plan.steps)
    learned = np.asarray(neurons, np.float64)
    gram, moments = _numbers(learned, learned), _numbers(learned, teacher) @ weights
    errors = {}
    for rows in plan.rows:
        inputs = np.random.default_rng([draw, rows]).normal(size=(rows, plan.width))
        features, labels = (
            np.maximum(inputs @ learned.T, 0),
            np.maximum(inputs @ teacher.T, 0) @ weights,
        )
        values, vectors = np.linalg.eigh(features.T @ features / rows)
        projected = vectors.T @ (features.T @ labels / rows)
        fits = [vectors @ (projected / (values + ridge * values[-1])) for ridge in RIDGES]
        errors[str(rows)] = min(float(1 - 2 * fit @ moments + fit @ gram @ fit) for fit in fits)
    source_gram = _numbers(teacher[kept], teacher[kept])
    source_moments = _numbers(teacher[kept], teacher) @ weights
    source_norm = float(weights[kept] @ source_gram @ weights[kept])
    return {
        "pretraining error": float(loss) / source_norm,
        "outside the source's neurons": float(
            1 - source_moments @ np.linalg.solve(source_gram, source_moments)
        ),
        "outside the student's neurons": float(
            1 - moments @ np.linalg.solve(gram + 1e-9 * np.trace(gram) * np.eye(len(gram)), moments)
        ),
        "transfer error": errors,
    }


def _scratch(
    plan: ReluPlan, draw: int, teacher: np.ndarray, weights: np.ndarray, start: Any
) -> dict[str, Any]:
    errors = {}
    for rows in plan.rows:
        inputs = np.random.default_rng([draw, rows]).normal(size=(rows, plan.width))
        single = [
            jnp.asarray(array, jnp.float32)
            for array in (*start, inputs, np.maximum(inputs @ teacher.T, 0) @ weights)
        ]
        neurons, outputs, _ = train_on_rows(*single, plan.steps)
        own, scaled = (
            np.asarray(neurons, np.float64),
            np.asarray(outputs, np.float64) / plan.student,
        )
        errors[str(rows)] = float(
            1 - 2 * scaled @ _numbers(own, teacher) @ weights + scaled @ _numbers(own, own) @ scaled
        )
    return {"error": errors}


def _lines(plan: ReluPlan, cells: dict[str, Any], whose: str) -> dict[str, Any]:
    """For each number of rows the line through the errors: slope, intercept, correlation.

    The line is of error against the part outside the neurons of source or student.
    """
    found = {}
    parts = [cell for name, cell in cells.items() if "ablated" in name]
    outside = np.array([cell[f"outside the {whose}'s neurons"] for cell in parts])
    for rows in plan.rows:
        errors = np.array([cell["transfer error"][str(rows)] for cell in parts])
        slope, intercept = np.polyfit(outside, errors, 1)
        found[str(rows)] = {
            "slope": slope,
            "intercept": intercept,
            "correlation": np.corrcoef(outside, errors)[0, 1],
        }
    return found


def _exponent(plan: ReluPlan, cells: dict[str, Any]) -> float:
    """Of the mean error from scratch as a power of n."""
    means = [
        np.mean([cell["error"][str(rows)] for name, cell in cells.items() if "scratch" in name])
        for rows in plan.rows
    ]
    return float(np.polyfit(np.log(plan.rows), np.log(means), 1)[0])


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _numbers(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """`products` in float64."""
    with jax.enable_x64(True):
        return np.asarray(products(jnp.asarray(first), jnp.asarray(second)))
