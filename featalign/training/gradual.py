"""Gradual unfreezing, compared with training from scratch.

The head is trained first, and then one group of parameters after the other from the head down.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from featalign.training.course import train
from featalign.training.measures import accuracy, validation_order
from featalign.training.rows import Split
from featalign.training.trainer import HEAD, Job, Trained, Trainer, Watch

# so many standard errors below scratch are more than chance: the normal distribution's 95% quantile
DEVIATIONS = 1.6448536269514722
EXAMPLES = 4


@dataclass(frozen=True, eq=False)
class Watched:
    """What the stages are judged by.

    `layers` are all layers of the source from input to output, `floor` is the validation accuracy
    of training from scratch.
    """

    split: Split
    layers: tuple[str, ...]
    floor: float

    @property
    def noise(self) -> float:
        """The distance below the floor that is more than chance: 1.64 of its standard errors."""
        count = len(self.split.validation.labels)
        # this gives a floor of 100% on few rows a standard error too
        likely = (self.floor * count + 1) / (count + 2)
        return DEVIATIONS * math.sqrt(likely * (1 - likely) / count)


def unfreeze(
    trainer: Trainer, job: Job, watched: Watched, *, watch: Watch
) -> tuple[Trained, str | None]:
    """The network of the best stage, and why training stopped early.

    The best is that of the best validation accuracy, or other metric of the split.

    Each stage has an equal part of the steps. Training stops with negative transfer after a stage
    that ends below the floor by more than 1.64 standard errors of that accuracy, and is no better
    than the stage before. Otherwise the reason is None.
    """
    split, floor = watched.split, watched.floor
    depths, num_layers = _depths(trainer, watched)
    places = sorted({place for place in depths.values() if place < num_layers}, reverse=True)
    stages = np.array_split(np.arange(job.setting.steps), min(len(places) + 1, job.setting.steps))
    best, reached, before, now = None, -1.0, -1.0, Trained(job.parameters, job.head, 0, ())
    for stage, steps in enumerate(stages):
        lowest = places[stage - 1] if stage else num_layers
        moving = {name for name, place in depths.items() if lowest <= place < num_layers}
        now = train(
            trainer,
            replace(
                job,
                parameters=now.parameters,
                head=now.head,
                setting=replace(job.setting, steps=len(steps), seed=job.setting.seed + stage),
                moving=frozenset(moving.union(HEAD)),
                anchor=job.parameters,
            ),
            split.num_classes,
            watch=lambda place, trained, done=int(steps[0]): watch(
                place, replace(trained, step=done + trained.step)
            ),
        )
        now = replace(now, step=int(steps[-1]) + 1)
        here = accuracy(trainer, now, split.validation)
        judged = here if split.metric is None else -validation_order(trainer, now, split)[0]
        if judged > reached or best is None:
            best, reached = now, judged
        if here < floor - watched.noise and here <= before:
            return best, (
                f"negative transfer: {here:.1%} of the validation rows right with {stage} of "
                f"{len(places)} groups of parameters unfrozen, "
                f"no better than the stage before, where training from scratch reaches {floor:.1%}"
            )
        before = here
    assert best is not None
    return best, None


def _depths(trainer: Trainer, watched: Watched) -> tuple[Mapping[str, int], int]:
    """The depth of each tensor, and the number of layers up to the head."""
    rows, layers = watched.split.training, watched.layers
    some = rows.inputs[np.arange(min(EXAMPLES, len(rows.labels)))]
    upto = layers[: layers.index(trainer.layer) + 1]
    return trainer.depths(some, upto), len(upto)
