"""The trainer of networks in torch: timm, transformers, sentence-transformers, and own modules."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from featalign.records.setting import LowRank
from featalign.sources.torch.functional import Emitting, emitted, parameters_of
from featalign.sources.torch.low_rank import adapted, is_of_adapter, merged
from featalign.sources.torch.models import PARTS, device
from featalign.sources.torch.network import TorchModel, tensors_of
from featalign.training.batches import Plan
from featalign.training.torch_step import Network, Stepper
from featalign.training.trainer import HEAD, Adapted, Job, Rows, Trained

EXAMPLES = 4  # that tell which linear layers a layer depends on


@dataclass(frozen=True, eq=False)
class State:
    """Jobs in training, one after the other."""

    jobs: tuple[Job, ...]
    steppers: tuple[Stepper, ...]


@dataclass(frozen=True, eq=False)
class TorchTrainer:
    """A `Trainer` for a module of torch; without a `model` it trains a head alone on features.

    The module stays in evaluation mode, as networks in JAX do: dropout is off, and batch
    normalisation keeps the averages that came with the weights, so that both frameworks train the
    same function. A network with batch normalisation that starts from fresh weights is therefore
    trained without normalisation. Weights are in float32. Jobs are trained one after the other.

    >>> from featalign.training.course import train
    >>> from featalign.records.setting import Setting
    >>> trainer = TorchTrainer("features")
    >>> rows = Rows(np.eye(2, dtype=np.float32), np.arange(2))
    >>> trained = train(trainer, Job({}, rows, Setting(0.1, steps=20)), 2)
    >>> trainer.logits(trained, rows.inputs, 2).argmax(axis=1)
    array([0, 1])
    """

    layer: str
    model: TorchModel | None = None
    parameters: Any = field(default_factory=dict, repr=False)

    @property
    def network(self) -> Network:
        """The network as a function of its parameters."""
        return Network(self.layer, None if self.model is None else Emitting(self.model))

    @property
    def prefers_together(self) -> bool:
        """False: there is no computation of several networks at once."""
        return False

    def on_features(self) -> "TorchTrainer":
        """A trainer of the head alone."""
        return TorchTrainer(self.layer)

    def low_rank(self, low_rank: LowRank, rows: Rows, seed: int) -> Adapted:
        """A trainer of small matrices beside linear layers, by peft."""
        assert self.model is not None
        self._check(rows)
        some = tensors_of(rows.inputs[np.arange(min(EXAMPLES, len(rows.labels)))], device())
        model, scale = self.model, low_rank.alpha / low_rank.rank
        changed = adapted(
            model, self.layer, some, rank=low_rank.rank, alpha=low_rank.alpha, seed=seed
        )
        trainer = of_network(changed, self.layer)
        moving = {f"network.{name}" for name in trainer.parameters if is_of_adapter(name)}
        return Adapted(
            trainer,
            frozenset(moving.union(HEAD)),
            lambda parameters: merged(model, parameters, scale),
        )

    def begin(self, jobs: Sequence[Job], num_classes: int, *, together: bool) -> State:
        """The state of these jobs before the first step."""
        del together
        return State(tuple(jobs), tuple(self._stepper(job, num_classes) for job in jobs))

    def advance(self, state: State, plans: Sequence[Plan]) -> tuple[State, tuple[float, ...]]:
        """The same state after the steps of one plan for each job, and the mean loss of each."""
        where, means = device(), []
        for job, stepper, plan in zip(state.jobs, state.steppers, plans, strict=True):
            rows, losses = job.rows, []
            for batch, shifts, rate in zip(plan.batches, plan.shifts, plan.rates, strict=True):
                labels = torch.from_numpy(rows.labels[batch].astype(np.int64)).to(where)
                inputs = tensors_of(rows.inputs[batch], where)
                moved = torch.from_numpy(shifts).to(where)
                losses.append(stepper.step(inputs, labels, moved, float(rate)))
            means.append(float(np.mean(losses)))
        return state, tuple(means)

    def reached(self, state: State, place: int) -> tuple[Any, Any]:
        """Parameters and head of one of the jobs, to be read before the state is advanced."""
        return state.steppers[place].reached()

    def kept(self, trained: Trained) -> Trained:
        """The same with copies of the weights in the memory of the processor."""
        parameters, head = (
            {name: value.detach().cpu().clone() for name, value in tensors.items()}
            for tensors in (trained.parameters, trained.head)
        )
        return replace(trained, parameters=parameters, head=head)

    def logits(self, trained: Trained, inputs: Any, count: int) -> np.ndarray:
        """Logits (N, C) of so many preprocessed inputs."""
        parameters, head = _on_device(trained.parameters), _on_device(trained.head)
        network = self.network
        return _in_parts(lambda some: network.logits(parameters, head, some), inputs, count)

    def features(self, rows: Rows) -> np.ndarray:
        """Features (N, D) of preprocessed rows, by the weights that the network came with."""
        self._check(rows)
        network, parameters = self.network, self.parameters
        return _in_parts(
            lambda some: network.features(parameters, some), rows.inputs, len(rows.labels)
        )

    def depths(self, inputs: Any, layers: Sequence[str]) -> Mapping[str, int]:
        """The place of the first of these layers on which each tensor acts, by its name.

        A tensor acts on a layer where its gradient is not zero.
        """
        assert self.model is not None
        tensors, found = tensors_of(inputs, device()), {}
        leaves = {name: value.detach().requires_grad_() for name, value in self.parameters.items()}
        with torch.enable_grad():
            made = emitted(Emitting(self.model), leaves, tensors, tuple(layers))
            for place, layer in enumerate(layers):
                drawn = np.random.default_rng(0).standard_normal(tuple(made[layer].shape))
                # a plain sum would have no gradient through a normalisation
                weights = torch.from_numpy(drawn.astype(np.float32)).to(made[layer].device)
                slopes = torch.autograd.grad(
                    (made[layer] * weights).sum(),
                    list(leaves.values()),
                    retain_graph=True,
                    allow_unused=True,
                )
                for name, slope in zip(leaves, slopes, strict=True):
                    if slope is not None and bool((slope != 0).any()):
                        found.setdefault(f"network.{name}", place)
        return {f"network.{name}": found.get(f"network.{name}", len(layers)) for name in leaves}

    def _check(self, rows: Rows) -> int:
        """The width of the layer.

        Raises FeatalignError where it depends on weights that a checkpoint lacks.
        """
        some = tensors_of(rows.inputs[np.arange(1)], device())
        with torch.no_grad():
            if self.model is None:
                return some.shape[1]
            return self.model.emit(some, (self.layer,))[self.layer].shape[1]

    def _stepper(self, job: Job, num_classes: int) -> Stepper:
        width, where = self._check(job.rows), device()
        head = job.head or {
            "kernel": torch.zeros(width, num_classes),
            "bias": torch.zeros(num_classes),
        }
        parameters = _on_device(job.parameters)
        anchor = parameters if job.anchor is None else _on_device(job.anchor)
        weights = parameters, {name: _tensor(value).to(where) for name, value in head.items()}
        return Stepper(self.network, job.setting, weights, anchor, job.moving)


def of_network(model: TorchModel, layer: str) -> TorchTrainer:
    """The trainer of a module, with a head on this layer."""
    return TorchTrainer(layer, model, parameters_of(model.module))


def _in_parts(compute: Any, inputs: Any, count: int) -> np.ndarray:
    """What is computed of so many inputs, in parts that fit into memory."""
    return np.concatenate(list(_parts(compute, inputs, count)))


def _parts(compute: Any, inputs: Any, count: int) -> Iterator[np.ndarray]:
    where = device()
    size = PARTS[where]
    for start in range(0, count, size):
        some = inputs[np.arange(start, min(start + size, count))]
        with torch.no_grad():
            yield compute(tensors_of(some, where)).float().cpu().numpy()


def _on_device(tensors: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    where = device()
    return {name: _tensor(value).to(where) for name, value in tensors.items()}


def _tensor(value: Any) -> torch.Tensor:
    return value if isinstance(value, torch.Tensor) else torch.from_numpy(np.asarray(value))
