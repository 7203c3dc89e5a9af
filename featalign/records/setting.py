"""One way to train, as plain numbers."""

from dataclasses import dataclass, fields
from typing import Literal

import numpy as np

from featalign.records.plain import Plain

Optimiser = Literal["adamw", "sgd"]


@dataclass(frozen=True)
class LowRank(Plain):
    """The small matrices of the arm `lora`: W + (alpha / rank) B A, with B (out, rank).

    So Hu et al., ICLR 2022. A rank of 8 and twice as much alpha are usual.
    """

    rank: int = 8
    alpha: float = 16.0


USUAL_LOW_RANK = LowRank()


@dataclass(frozen=True)
class Setting(Plain):
    """One way to train, the same for every framework.

    The learning rate warms up over a tenth of the steps while it decays to nothing as a cosine.
    Where `decay` is False, it warms up over 10 steps and stays, so that a longer run begins as a
    shorter one. `weight_decay` pulls all parameters towards zero, and `towards_start` pulls those
    of the network towards where they started (L2-SP: Li, Grandvalet and Davoine, ICML 2018). Both
    act apart from the gradient (Loshchilov and Hutter, ICLR 2019), also for `sgd`, which has a
    momentum of 0.9.
    `head_penalty` λ adds λ/2 |kernel|² of the head to the loss. `augmentation` shifts images by up
    to an eighth of their side. There are up to `rounds` trainings of so many steps, one from where
    the other ended, while validation improves.
    """

    learning_rate: float
    steps: int = 300
    batch_size: int = 32
    optimiser: Optimiser = "adamw"
    weight_decay: float = 1e-4
    towards_start: float = 0.0
    label_smoothing: float = 0.0
    augmentation: bool = False
    seed: int = 0
    decay: bool = True
    head_penalty: float = 0.0
    rounds: int = 1

    def __post_init__(self) -> None:
        for each in fields(self):  # numpy's numbers are no plain data
            value = getattr(self, each.name)
            if isinstance(value, np.generic):
                object.__setattr__(self, each.name, value.item())
