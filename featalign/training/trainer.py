"""What training asks of a framework, and the records that pass between them.

Nothing here knows a framework; `jax_trainer.py` and `torch_trainer.py` are their trainers.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from featalign.records.setting import LowRank, Setting
from featalign.training.batches import Plan

HEAD = ("head.kernel", "head.bias")  # names of the tensors that every trainer adds


def as_array(tensor: Any) -> np.ndarray:
    """A tensor of any framework, on any device, as an array."""
    return np.asarray(tensor.detach().cpu() if hasattr(tensor, "detach") else tensor)


@dataclass(frozen=True, eq=False)
class Rows:
    """Preprocessed inputs (N, ...) and class indices (N,).

    `inputs` may also be an object that gives inputs, or arrays of them by name, when indexed by an
    array of row numbers.
    """

    inputs: Any
    labels: np.ndarray


@dataclass(frozen=True)
class Job:
    """One training: where it starts, on which rows, and how.

    `parameters` are weights of the trainer's network, in the form of its framework. `head` has a
    kernel (D, C) and a bias (C,); None means zeros, so that the first steps do not distort the
    features. `moving` names the tensors that move, as `Trainer.depths` and `HEAD` name them; None
    means all. `anchor` are the parameters to which `towards_start` pulls; None means those at the
    start.
    """

    parameters: Any
    rows: Rows
    setting: Setting
    head: Any = None
    moving: frozenset[str] | None = None
    anchor: Any = None


@dataclass(frozen=True)
class Trained:
    """Network and head after so many steps, and the mean loss of each tenth of the steps so far."""

    parameters: Any
    head: Any
    step: int
    losses: tuple[float, ...]


def num_moved(job: Job, trained: Trained) -> int:
    """The numbers that a job trains, of network and head together."""
    trees = {"network": trained.parameters, "head": trained.head}
    named = (leaf for part, tree in trees.items() for leaf in _leaves(part, tree))
    return sum(
        math.prod(leaf.shape) for name, leaf in named if job.moving is None or name in job.moving
    )


def _leaves(name: str, tree: Any) -> Iterator[tuple[str, Any]]:
    """The tensors of a tree of any framework, with their names as in a checkpoint."""
    if isinstance(tree, Mapping):
        items = tree.items()
    elif isinstance(tree, list | tuple):
        items = enumerate(tree)
    else:
        yield name, tree
        return
    for key, value in items:
        yield from _leaves(f"{name}.{key}", value)


@dataclass(frozen=True, eq=False)
class Adapted:
    """A trainer of small matrices beside the weights of another trainer's network.

    `moving` names these matrices. `merged` turns parameters of this trainer into parameters of the
    other one that compute the same.
    """

    trainer: "Trainer"
    moving: frozenset[str]
    merged: Callable[[Any], Any]


Watch = Callable[[int, Trained], None]  # it gets the job's place and what it has become


class Trainer(Protocol):
    """A network of some framework with a new head on one of its layers, and how it is trained.

    A trainer never changes. Training changes a state, which only its framework can read, and which
    must not be used again once it has been advanced. Trainers are equal where they hold the same
    network, whatever their weights; their jobs may then be trained together.
    """

    @property
    def layer(self) -> str:
        """The layer that the head reads."""
        ...

    @property
    def parameters(self) -> Any:
        """The weights that the network came with."""
        ...

    @property
    def prefers_together(self) -> bool:
        """Whether several small networks train faster at once than one after the other."""
        ...

    def on_features(self) -> "Trainer":
        """A trainer of the head alone, whose inputs are features (B, D); it has no parameters."""
        ...

    def low_rank(self, low_rank: LowRank, rows: Rows, seed: int) -> Adapted:
        """A trainer of small matrices beside the weights of linear layers, drawn by the seed.

        Raises FeatalignError where there are no such layers before `layer`, and for a framework
        that has none of this.
        """
        ...

    def begin(self, jobs: Sequence[Job], num_classes: int, *, together: bool) -> Any:
        """The state of these jobs before the first step.

        `together` asks for all of them in one computation, where the framework can do that. They
        then share steps, batch size, optimiser, augmentation and the number of rows.
        """
        ...

    def advance(self, state: Any, plans: Sequence[Plan]) -> tuple[Any, tuple[float, ...]]:
        """The state after the steps of one plan for each job, and the mean loss of each job."""
        ...

    def reached(self, state: Any, place: int) -> tuple[Any, Any]:
        """Parameters and head of one of the jobs, to be read before the state is advanced."""
        ...

    def kept(self, trained: Trained) -> Trained:
        """The same with weights of its own, which outlast the next steps."""
        ...

    def logits(self, trained: Trained, inputs: Any, count: int) -> np.ndarray:
        """Logits (N, C) of so many preprocessed inputs."""
        ...

    def features(self, rows: Rows) -> np.ndarray:
        """Features (N, D) of preprocessed rows, by the weights that the network came with."""
        ...

    def depths(self, inputs: Any, layers: Sequence[str]) -> Mapping[str, int]:
        """The place of the first of these layers on which each tensor of the network acts.

        It is len(layers) for a tensor that acts on none. The names are those of a checkpoint,
        `network.NAME`. `inputs` are a few preprocessed inputs.
        """
        ...
