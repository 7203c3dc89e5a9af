"""Training a source's network, or its random twin's, with a new head on a target."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

EVALUATION_ROWS = 250


@dataclass(frozen=True)
class Setting:
    """One way to train: AdamW with a linear warm-up over a tenth of the steps and a cosine decay to nothing."""

    learning_rate: float
    steps: int = 300
    batch_size: int = 32
    weight_decay: float = 1e-4
    seed: int = 0


@dataclass(frozen=True)
class Rows:
    """Preprocessed inputs (N, ...) and class indices (N,)."""

    inputs: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Trained:
    """Network and head after training, and the mean loss of each twentieth of the steps."""

    parameters: Any
    head: Any
    losses: tuple[float, ...]


def train(apply: Callable[[Any, Any], Any], layer: str, parameters: Any, rows: Rows, num_classes: int, setting: Setting) -> Trained:
    """Train all parameters of a network and a new linear head on one of its layers, from the parameters given.

    `apply(parameters, inputs)` gives the layers by name. The head starts at zero, so that the first steps do not tear at the features. Batches
    are drawn without replacement, epoch after epoch. The step runs in a Python loop: convolutions inside `lax.scan` are many times slower on a
    processor.
    """
    width = jax.eval_shape(apply, parameters, rows.inputs[:1])[layer].shape[1]
    trained = (jax.tree.map(jnp.array, parameters), {"kernel": jnp.zeros((width, num_classes)), "bias": jnp.zeros(num_classes)})
    state = optax.adamw(0.0).init(trained)
    losses: list[float] = []
    for step, batch in zip(range(setting.steps), _batches(len(rows.labels), setting), strict=False):
        rate = setting.learning_rate * min(1.0, 10 * (step + 1) / setting.steps) * (1 + np.cos(np.pi * step / setting.steps)) / 2
        trained, state, loss = _step(
            apply, layer, trained, state, rows.inputs[batch], rows.labels[batch], np.float32(rate), np.float32(setting.weight_decay)
        )
        losses.append(loss)
    parts = np.array_split(np.array([float(loss) for loss in losses]), min(20, len(losses)))
    return Trained(trained[0], trained[1], tuple(float(part.mean()) for part in parts))


def logits(apply: Callable[[Any, Any], Any], layer: str, trained: Trained, inputs: np.ndarray) -> np.ndarray:
    """Logits (N, C) of preprocessed inputs."""
    size = min(EVALUATION_ROWS, len(inputs))
    padded = np.concatenate([inputs, np.zeros((-len(inputs) % size, *inputs.shape[1:]), inputs.dtype)])
    parts = [_predict(apply, layer, (trained.parameters, trained.head), padded[start : start + size]) for start in range(0, len(padded), size)]
    return np.concatenate([np.asarray(part) for part in parts])[: len(inputs)]


def _batches(count: int, setting: Setting) -> Iterator[np.ndarray]:
    random = np.random.default_rng(setting.seed)
    size, waiting = min(setting.batch_size, count), np.empty(0, np.int64)
    while True:
        while len(waiting) < size:
            waiting = np.concatenate([waiting, random.permutation(count)])
        yield waiting[:size]
        waiting = waiting[size:]


@partial(jax.jit, static_argnums=(0, 1), donate_argnums=(2, 3))
def _step(apply: Callable, layer: str, trained: Any, state: Any, inputs: Any, labels: Any, rate: Any, decay: Any) -> tuple[Any, Any, jax.Array]:
    def loss_of(trained: Any) -> jax.Array:
        return optax.softmax_cross_entropy_with_integer_labels(_logits(apply, layer, trained, inputs), labels).mean()

    loss, slope = jax.value_and_grad(loss_of)(trained)
    updates, state = optax.adamw(rate, weight_decay=decay).update(slope, state, trained)
    return optax.apply_updates(trained, updates), state, loss


def _logits(apply: Callable, layer: str, trained: Any, inputs: Any) -> jax.Array:
    parameters, head = trained
    return apply(parameters, inputs)[layer] @ head["kernel"] + head["bias"]


_predict = partial(jax.jit, static_argnums=(0, 1))(_logits)
