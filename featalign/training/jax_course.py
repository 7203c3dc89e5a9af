"""Jobs in training in JAX, one after the other, or all of them in one computation."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from featalign.records.setting import Setting
from featalign.training.batches import Plan
from featalign.training.jax_step import (
    Batch,
    Constants,
    Network,
    Recipe,
    State,
    optimiser,
    step,
    steps_together,
)
from featalign.training.trainer import Job, Rows


@dataclass(frozen=True, eq=False)
class Apart:
    """Jobs that are trained one after the other, with each step called from Python.

    Convolutions inside `lax.scan` would be many times slower on a processor.
    """

    jobs: tuple[Job, ...]
    recipes: tuple[Recipe, ...]
    states: tuple[State, ...]
    constants: tuple[Constants, ...]

    def advance(self, plans: Sequence[Plan]) -> tuple["Apart", tuple[float, ...]]:
        """What `Trainer.advance` says."""
        states, means = [], []
        for job, recipe, state, constants, plan in zip(
            self.jobs, self.recipes, self.states, self.constants, plans, strict=True
        ):
            rows, losses = job.rows, []
            for batch, shifts, rate in zip(plan.batches, plan.shifts, plan.rates, strict=True):
                seen = Batch(rows.inputs[batch], rows.labels[batch], shifts, rate)
                state, loss = step(recipe, state, constants, seen)
                losses.append(loss)
            states.append(state)
            means.append(float(np.mean(jax.device_get(losses))))
        return replace(self, states=tuple(states)), tuple(means)

    def reached(self, place: int) -> tuple[Any, Any]:
        """What `Trainer.reached` says."""
        return self.states[place].weights


@dataclass(frozen=True, eq=False)
class Together:
    """Jobs that are trained at once with vmap; their trees have the jobs as first axis.

    `rows` are the inputs and labels of each job, or those `shared` by all of them.
    """

    recipe: Recipe
    shared: bool
    state: State
    constants: Constants
    rows: tuple[jax.Array, jax.Array]

    def advance(self, plans: Sequence[Plan]) -> tuple["Together", tuple[float, ...]]:
        """What `Trainer.advance` says."""
        batches = np.stack([plan.batches for plan in plans], axis=1)
        shifts = np.stack([plan.shifts for plan in plans], axis=1)
        rates = np.stack([plan.rates for plan in plans], axis=1)
        state, losses = steps_together(
            self.recipe,
            self.shared,
            self.state,
            self.constants,
            self.rows,
            Batch(batches, batches, shifts, rates),
        )
        means = np.asarray(losses).mean(axis=0)
        return replace(self, state=state), tuple(float(mean) for mean in means)

    def reached(self, place: int) -> tuple[Any, Any]:
        """What `Trainer.reached` says."""
        return jax.tree.map(lambda leaf: leaf[place], self.state.weights)


def begin_apart(network: Network, jobs: Sequence[Job], num_classes: int) -> Apart:
    """Jobs before the first step, to be trained one after the other."""
    starts = [_start(network, job, num_classes) for job in jobs]
    states = []
    for job, (weights, constants) in zip(jobs, starts, strict=True):
        own = jax.tree.map(jnp.copy, weights)  # a step takes over the memory of its weights
        states.append(State(own, optimiser(job.setting.optimiser, constants).init(weights)))
    recipes = tuple(_recipe(network, job.setting) for job in jobs)
    return Apart(tuple(jobs), recipes, tuple(states), tuple(each for _, each in starts))


def begin_together(network: Network, jobs: Sequence[Job], num_classes: int) -> Together:
    """Jobs before the first step, to be trained at once."""
    starts = [_start(network, job, num_classes) for job in jobs]
    weights, constants = (_stack(trees) for trees in zip(*starts, strict=True))
    name = jobs[0].setting.optimiser
    memory = jax.vmap(lambda weights, constants: optimiser(name, constants).init(weights))(
        weights, constants
    )
    shared = all(job.rows is jobs[0].rows for job in jobs)
    return Together(
        _recipe(network, jobs[0].setting),
        shared,
        State(weights, memory),
        constants,
        _whole([job.rows for job in jobs], shared),
    )


def tensor_names(tree: Any) -> Any:
    """A tree with the name of each tensor in its place, as in a checkpoint.

    >>> tensor_names({"network": {"first": [0.0, 1.0]}})
    {'network': {'first': ['network.first.0', 'network.first.1']}}
    """
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: jax.tree_util.keystr(path, simple=True, separator="."), tree
    )


def layer_width(network: Network, parameters: Any, rows: Rows) -> int:
    """The number of features D of the layer that the head reads."""
    found = jax.eval_shape(network.apply, parameters, rows.inputs[np.arange(1)])
    return found[network.layer].shape[1]


def _start(network: Network, job: Job, num_classes: int) -> tuple[tuple[Any, Any], Constants]:
    """The weights that a training starts from, as arrays, and its constants."""
    head, setting = job.head, job.setting
    if head is None:
        width = layer_width(network, job.parameters, job.rows)
        head = {
            "kernel": np.zeros((width, num_classes), np.float32),
            "bias": np.zeros(num_classes, np.float32),
        }
    weights = jax.tree.map(jnp.asarray, (job.parameters, head))
    constants = Constants(
        anchor=weights[0] if job.anchor is None else job.anchor,
        moving=_moving(weights, job.moving),
        weight_decay=np.float32(setting.weight_decay),
        towards_start=np.float32(setting.towards_start),
        label_smoothing=np.float32(setting.label_smoothing),
        head_penalty=np.float32(setting.head_penalty),
    )
    return weights, constants


def _moving(weights: tuple[Any, Any], named: frozenset[str] | None) -> tuple[Any, Any]:
    """Trees with a 1 for each tensor that moves and a 0 for each other one."""
    names = tensor_names({"network": weights[0], "head": weights[1]})
    found = jax.tree.map(lambda name: np.float32(named is None or name in named), names)
    return found["network"], found["head"]


def _whole(rows: Sequence[Rows], shared: bool) -> tuple[jax.Array, jax.Array]:
    """Inputs and labels on the device, of the first job if all share them, or of each job."""
    kept = rows[:1] if shared else rows
    inputs = [jnp.asarray(each.inputs[np.arange(len(each.labels))]) for each in kept]
    if shared:
        return inputs[0], jnp.asarray(rows[0].labels)
    return jnp.stack(inputs), jnp.asarray(np.stack([each.labels for each in rows]))


def _recipe(network: Network, setting: Setting) -> Recipe:
    return Recipe(network, setting.optimiser, setting.augmentation)


def _stack(trees: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
