"""The trainer of networks in JAX: Flax modules, networks of Keras, the zoo, and a head alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import jax
import numpy as np

from featalign.errors import FeatalignError
from featalign.records.setting import LowRank
from featalign.sources.capabilities import Differentiable
from featalign.training.batches import Plan
from featalign.training.jax_course import (
    Apart,
    Together,
    begin_apart,
    begin_together,
    layer_width,
    tensor_names,
)
from featalign.training.jax_depths import depths
from featalign.training.jax_step import Apply, Network, predict
from featalign.training.trainer import Adapted, Job, Rows, Trained

EVALUATION_ROWS = 250


@dataclass(frozen=True)
class JaxTrainer:
    """A `Trainer` for a pure function of parameters and inputs.

    >>> from featalign.training.course import train
    >>> from featalign.records.setting import Setting
    >>> trainer = JaxTrainer(Network(head_alone("features"), "features"))
    >>> rows = Rows(np.eye(2, dtype=np.float32), np.arange(2))
    >>> trained = train(trainer, Job({}, rows, Setting(0.1, steps=20)), 2)
    >>> trainer.logits(trained, rows.inputs, 2).argmax(axis=1)
    array([0, 1])
    """

    network: Network
    parameters: Any = field(default_factory=dict, compare=False, repr=False)

    @property
    def layer(self) -> str:
        """The layer that the head reads."""
        return self.network.layer

    @property
    def prefers_together(self) -> bool:
        """True on all but a processor, where each step runs in a Python loop."""
        return jax.default_backend() != "cpu"

    def on_features(self) -> "JaxTrainer":
        """A trainer of the head alone."""
        return JaxTrainer(Network(head_alone(self.layer), self.layer))

    def low_rank(self, low_rank: LowRank, rows: Rows, seed: int) -> Adapted:
        """An error: small matrices beside weights are made by peft, in torch."""
        del low_rank, rows, seed
        raise FeatalignError("arm: expected a source in torch for the arm 'lora', got one in JAX")

    def begin(self, jobs: Sequence[Job], num_classes: int, *, together: bool) -> Apart | Together:
        """The state of these jobs before the first step."""
        begin = begin_together if together else begin_apart
        return begin(self.network, jobs, num_classes)

    def advance(
        self, state: Apart | Together, plans: Sequence[Plan]
    ) -> tuple[Apart | Together, tuple[float, ...]]:
        """The state after the steps of one plan for each job, and the mean loss of each job."""
        return state.advance(plans)

    def reached(self, state: Apart | Together, place: int) -> tuple[Any, Any]:
        """Parameters and head of one of the jobs, to be read before the state is advanced."""
        return state.reached(place)

    def kept(self, trained: Trained) -> Trained:
        """The same with arrays of numpy, because the next step takes over the arrays themselves."""
        parameters, head = jax.device_get((trained.parameters, trained.head))
        return replace(trained, parameters=parameters, head=head)

    def logits(self, trained: Trained, inputs: Any, count: int) -> np.ndarray:
        """Logits (N, C) of so many preprocessed inputs, in batches of one size."""
        weights = (trained.parameters, trained.head)
        return np.concatenate(list(_predicted(self.network, weights, inputs, count)))

    def features(self, rows: Rows) -> np.ndarray:
        """Features (N, D), computed as the logits of a head that changes nothing."""
        width = layer_width(self.network, self.parameters, rows)
        head = {"kernel": np.eye(width, dtype=np.float32), "bias": np.zeros(width, np.float32)}
        plain = Trained(self.parameters, head, 0, ())
        return self.logits(plain, rows.inputs, len(rows.labels))

    def depths(self, inputs: np.ndarray, layers: Sequence[str]) -> Mapping[str, int]:
        """The place of the first of these layers on which each tensor acts, by its name."""
        found = {"network": depths(self.network.apply, self.parameters, inputs, layers)}
        return dict(zip(jax.tree.leaves(tensor_names(found)), jax.tree.leaves(found), strict=True))


def of_network(network: Differentiable, layer: str) -> JaxTrainer:
    """The trainer of a differentiable network, with a head on this layer."""
    return JaxTrainer(Network(network.apply, layer), network.parameters)


@cache
def head_alone(layer: str) -> Apply:
    """A network that returns its inputs, so that the head alone is trained on features.

    It is the same object for the same layer, so that a step is compiled once.
    """
    return lambda parameters, features: {layer: features}


def _predicted(
    network: Network, weights: tuple[Any, Any], inputs: Any, count: int
) -> Iterator[np.ndarray]:
    """Logits in parts; the last one is padded, so that all have one shape."""
    for start in range(0, count, EVALUATION_ROWS):
        some = np.asarray(inputs[np.arange(start, min(start + EVALUATION_ROWS, count))])
        padding = np.zeros((EVALUATION_ROWS - len(some), *some.shape[1:]), some.dtype)
        found = predict(network, weights, np.concatenate([some, padding]))
        yield np.asarray(found)[: len(some)]
