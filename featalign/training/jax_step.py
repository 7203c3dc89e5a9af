"""A step of training in JAX, whose network is static and whose state is a pytree.

A step is compiled once for a recipe and the shapes that it sees.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from featalign.records.setting import Optimiser

Apply = Callable[[Any, Any], Any]
MOMENTUM = 0.9


@dataclass(frozen=True)
class Network:
    """A function that gives the layers by name, and the layer that the head reads.

    `apply(parameters, inputs)` maps preprocessed inputs (B, ...) to layers (B, D).
    """

    apply: Apply
    layer: str


@dataclass(frozen=True)
class Recipe:
    """What a step is compiled for, beside shapes."""

    network: Network
    optimiser: Optimiser
    augmentation: bool


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class State:
    """What a step changes: (parameters, head), and what the optimiser remembers."""

    weights: tuple[Any, Any]
    memory: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Constants:
    """What stays the same in all steps of a job, and may differ from job to job.

    `anchor` are the parameters to which `towards_start` pulls. `moving` has a 0 or a 1 for each
    tensor of (parameters, head). The rest are the numbers of a `Setting`.
    """

    anchor: Any
    moving: tuple[Any, Any]
    weight_decay: Any
    towards_start: Any
    label_smoothing: Any
    head_penalty: Any


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Batch:
    """What one step sees: inputs (B, ...), labels (B,), shifts (B, 2) and its learning rate.

    In a plan that runs inside one computation, row numbers stand in place of inputs and labels.
    """

    inputs: Any
    labels: Any
    shifts: Any
    rate: Any


def update(
    recipe: Recipe, state: State, constants: Constants, batch: Batch
) -> tuple[State, jax.Array]:
    """One step of one job, and its loss."""
    seen = shifted(batch.inputs, batch.shifts) if recipe.augmentation else batch.inputs

    def loss_of(weights: Any) -> jax.Array:
        scores = logits(recipe.network, weights, seen)
        wanted = optax.smooth_labels(
            jax.nn.one_hot(batch.labels, scores.shape[1]), constants.label_smoothing
        )
        return optax.softmax_cross_entropy(scores, wanted).mean()

    loss, slopes = jax.value_and_grad(loss_of)(state.weights)
    changes, memory = optimiser(recipe.optimiser, constants).update(
        slopes, state.memory, state.weights
    )
    # `optax.apply_updates` would round to half precision where the weights came so; a mask of optax
    # would keep jobs that move other tensors from sharing one computation
    weights = jax.tree.map(
        lambda now, change, moves: now - moves * batch.rate * change,
        state.weights,
        changes,
        constants.moving,
    )
    return State(weights, memory), loss


def optimiser(name: Optimiser, constants: Constants) -> optax.GradientTransformation:
    """The transformation from slopes to changes, before the learning rate.

    The penalty of the head belongs to the loss and comes first; both pulls are apart from it.
    """
    return optax.chain(
        optax.add_decayed_weights(constants.head_penalty, mask=_kernel_of_the_head),
        optax.scale_by_adam() if name == "adamw" else optax.trace(MOMENTUM),
        optax.add_decayed_weights(constants.weight_decay),
        _pulled_towards(constants.anchor, constants.towards_start),
    )


def _kernel_of_the_head(weights: Any) -> Any:
    parameters, head = weights
    return jax.tree.map(lambda leaf: False, parameters), {name: name == "kernel" for name in head}


def _pulled_towards(anchor: Any, strength: Any) -> optax.GradientTransformation:
    """A pull by `strength` times the way from the anchor to each network parameter (L2-SP)."""

    def pulled(changes: Any, weights: Any) -> Any:
        network = jax.tree.map(
            lambda change, now, then: change + strength * (now - then),
            changes[0],
            weights[0],
            anchor,
        )
        return network, changes[1]

    return optax.stateless(pulled)


step = partial(jax.jit, static_argnums=(0,), donate_argnums=(1,))(update)


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=(2,))
def steps_together(
    recipe: Recipe, shared: bool, state: State, constants: Constants, rows: Any, plan: Batch
) -> tuple[State, jax.Array]:
    """Some steps of J jobs, and their losses (S, J).

    State and constants have the jobs as first axis; the plan has steps and jobs as first axes.
    `rows` are the inputs and labels of each job, or those `shared` by all of them.
    """

    def one(state: State, constants: Constants, rows: Any, planned: Batch) -> Any:
        inputs, labels = rows
        batch = Batch(inputs[planned.inputs], labels[planned.labels], planned.shifts, planned.rate)
        return update(recipe, state, constants, batch)

    together: Callable[..., Any] = jax.vmap(one, in_axes=(0, 0, None if shared else 0, 0))

    def stepped(state: State, planned: Batch) -> tuple[State, jax.Array]:
        return together(state, constants, rows, planned)

    return jax.lax.scan(stepped, state, plan)


def shifted(images: jax.Array, shifts: jax.Array) -> jax.Array:
    """Images (B, H, W, C) moved by `shifts` (B, 2) times an eighth of their sides.

    The edge is repeated where the image moved away.
    """
    reach = np.array(images.shape[1:3]) // 8
    padded = jnp.pad(
        images, ((0, 0), (reach[0], reach[0]), (reach[1], reach[1]), (0, 0)), mode="edge"
    )
    corners = jnp.round((shifts + 1) * reach).astype(jnp.int32)

    def cut(image, corner):
        return jax.lax.dynamic_slice(image, (corner[0], corner[1], 0), images.shape[1:])

    return jax.vmap(cut)(padded, corners)


def logits(network: Network, weights: Any, inputs: Any) -> jax.Array:
    """Logits (B, C) of preprocessed inputs by (parameters, head)."""
    parameters, head = weights
    return network.apply(parameters, inputs)[network.layer] @ head["kernel"] + head["bias"]


predict = partial(jax.jit, static_argnums=(0,))(logits)
