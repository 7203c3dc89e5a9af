"""Gradual unfreezing, watched against training from scratch.

The head is trained first, then one group of parameters after the other from the head down.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import jax
import numpy as np

from featalign.training.groups import depths
from featalign.training.loop import Apply, Job, Trained, Watch, accuracy, train
from featalign.training.rows import Split

# how far below scratch is more than chance: the 95% quantile of the normal distribution
DEVIATIONS = 1.6448536269514722
EXAMPLES = 4


def unfreeze(
    apply: Apply,
    layer: str,
    layers: Sequence[str],
    job: Job,
    split: Split,
    *,
    floor: float,
    watch: Watch,
) -> tuple[Trained, str | None]:
    """The network of the stage with the best validation accuracy.

    Beside it is why training stopped early, if it did.

    Each stage has an equal part of the steps. It is the last one when it ends below `floor`, the
    validation accuracy of training from scratch, by more than 1.64 standard errors of that
    accuracy, and is no better than the stage before: negative transfer.
    """
    some = np.asarray(split.training.inputs[np.arange(min(EXAMPLES, len(split.training.labels)))])
    upto = layers[: layers.index(layer) + 1]
    depth = depths(apply, job.parameters, some, upto)
    places = sorted({place for place in jax.tree.leaves(depth) if place < len(upto)}, reverse=True)
    stages = np.array_split(np.arange(job.setting.steps), min(len(places) + 1, job.setting.steps))
    count = len(split.validation.labels)
    likely = (floor * count + 1) / (
        count + 2
    )  # so that a floor of 100% on few rows has a standard error too
    noise = DEVIATIONS * math.sqrt(likely * (1 - likely) / count)
    best, reached, before, now = None, -1.0, -1.0, Trained(job.parameters, job.head, 0, ())
    for stage, steps in enumerate(stages):
        lowest = places[stage - 1] if stage else len(upto)
        open_ones = jax.tree.map(
            lambda place, lowest=lowest: np.float32(lowest <= place < len(upto)), depth
        )
        now = train(
            apply,
            layer,
            replace(
                job,
                parameters=now.parameters,
                head=now.head,
                setting=replace(job.setting, steps=len(steps), seed=job.setting.seed + stage),
                moving=(open_ones, {"kernel": np.float32(1), "bias": np.float32(1)}),
                anchor=job.parameters,
            ),
            split.num_classes,
            watch=lambda place, trained, done=int(steps[0]): watch(
                place, replace(trained, step=done + trained.step)
            ),
        )
        now = replace(now, step=int(steps[-1]) + 1)
        here = accuracy(apply, layer, now, split.validation)
        if here > reached or best is None:
            best, reached = now, here
        if here < floor - noise and here <= before:
            return best, (
                f"negative transfer: {here:.1%} of the validation rows right with {stage} of "
                f"{len(places)} groups of parameters unfrozen, "
                f"no better than the stage before, where training from scratch reaches {floor:.1%}"
            )
        before = here
    assert best is not None
    return best, None
