"""Short runs: a little real training.

A network trained on one half of the rows predicts the other half.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np

from featalign.errors import FeatalignError
from featalign.records.setting import Setting
from featalign.sources.prepared import count, indexable
from featalign.sources.source import Source
from featalign.strata import class_after_class, grouped_parts
from featalign.targets.target import Target
from featalign.training.batches import PARTS
from featalign.training.budget import SHORT
from featalign.training.course import train
from featalign.training.frameworks import trainer_of
from featalign.training.measures import cross_entropies, hits
from featalign.training.rows import VALIDATION_SHARE, prepared
from featalign.training.trainer import Job, Rows, Trained, Trainer

NUM_FOLDS = 2
SHORT_RATE = 2e-3  # it lies between the two rates of the study
# raise it whenever short runs are trained in another way, because it enters the cache key
SHORT_VERSION = 2
ShortArm = Literal["scratch", "full"]
# trainings from scratch, the pretraining of the zoo, and random twins in scores have other seeds
FIRST_TWIN = 2000


@dataclass(frozen=True, eq=False)
class ShortRun:
    """How training went, at K points.

    For each number of steps it has the held-out loss (mean cross-entropy) and the accuracy over all
    rows, where each half is predicted by the other half's network. `hits` (K, N) says which rows
    were right at each of the K points.
    """

    steps: tuple[int, ...]
    losses: tuple[float, ...]
    accuracies: tuple[float, ...]
    hits: np.ndarray


def short_folds(target: Target) -> tuple[np.ndarray, ...]:
    """Two halves of the rows, drawn at random within each class.

    A class of two rows or more is in both. With groups the halves are as equal as whole groups
    allow, by class too. Raises FeatalignError for a target without classes or with too few rows.
    """
    if target.task != "classification":
        raise FeatalignError(
            f"target: expected classes for short runs, {target.name} is a task of {target.task}; "
            "use effort='cache'"
        )
    if len(target) < 2 * target.num_classes:
        raise FeatalignError(
            f"target: expected 2 rows a class for short runs, {target.name} has {len(target)} rows "
            f"for {target.num_classes} classes"
        )
    if target.groups is not None:
        parts = grouped_parts(target.labels, target.groups.values, NUM_FOLDS, seed=0)
        return tuple(np.flatnonzero(parts == fold) for fold in range(NUM_FOLDS))
    order = class_after_class(target.labels, np.random.default_rng(0))
    return tuple(np.sort(order[fold::NUM_FOLDS]) for fold in range(NUM_FOLDS))


def short_source(
    source: Source, target: Target, arm: ShortArm, fold: int, steps: int, *, batch_size: int = 32
) -> Source:
    """The networks of one short run as a source.

    Its layers "step S" are the logits (B, C) after each tenth of the steps. It trains when it is
    first asked, on the rows outside the fold. All weights start from the source's or from fresh
    ones (`arm`). AdamW has a constant learning rate of 0.002 after a warm-up, so that a longer run
    begins as a shorter one. Its revision names weights, rows, labels and budget, so that the cache
    keeps its logits. Raises FeatalignError for a source that cannot be trained, a target without
    classes, or steps that are no multiple of 10.
    """
    if source.trainable is None:
        raise FeatalignError(
            f"{source.name}: expected a differentiable source, this one is a black box; short runs "
            "need a module of Flax or torch, a Keras network or a zoo source"
        )
    if steps < PARTS or steps % PARTS:
        raise FeatalignError(f"steps: expected a multiple of {PARTS}, got {steps!r}")
    layers = tuple(f"step {step}" for step in short_steps(steps))
    content = [
        SHORT_VERSION,
        source.revision,
        source.default_layer,
        arm,
        target.fingerprint,
        fold,
        steps,
        batch_size,
        *filter(None, [target.groups_digest]),
    ]

    @cache
    def networks() -> tuple[Trainer, dict[str, Trained]]:
        return _trained(source, target, arm, fold, Setting(SHORT_RATE, steps, batch_size))

    def embed_batch(prepared: Any, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
        trainer, kept = networks()
        ready, number = indexable(prepared), count(prepared)
        return {layer: trainer.logits(kept[layer], ready, number) for layer in wanted}

    revision = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    name = f"{source.name} short {arm}, fold {fold}"
    return Source(
        name,
        revision,
        embed_batch,
        layers,
        layers[-1],
        reading=source.reading,
        model=source.model,
    )


def _trained(
    source: Source, target: Target, arm: ShortArm, fold: int, setting: Setting
) -> tuple[Trainer, dict[str, Trained]]:
    """The trainer of a short run, and its network at each point, by layer."""
    start = source.random_twin(FIRST_TWIN + fold) if arm == "scratch" else source
    trainer = trainer_of(start, source.default_layer)
    others = [part for place, part in enumerate(short_folds(target)) if place != fold]
    rows = np.sort(np.concatenate(others))
    inputs = prepared(target.inputs.take(rows), source.reading)
    labelled = Rows(inputs, target.labels[rows].astype(np.int32))
    job = Job(trainer.parameters, labelled, replace(setting, seed=fold, decay=False))
    kept: dict[str, Trained] = {}

    def keep(place: int, trained: Trained) -> None:
        del place
        kept[f"step {trained.step}"] = trainer.kept(trained)

    train(trainer, job, target.num_classes, watch=keep)
    return trainer, kept


def short_steps(steps: int) -> tuple[int, ...]:
    """The numbers of steps after which a short run of so many steps is measured.

    >>> short_steps(50)
    (5, 10, 15, 20, 25, 30, 35, 40, 45, 50)
    """
    return tuple(range(steps // PARTS, steps + 1, steps // PARTS))


def held_out_run(
    labels: np.ndarray,
    folds: Sequence[np.ndarray],
    scores: Sequence[Sequence[np.ndarray]],
    steps: int,
) -> ShortRun:
    """The run from held-out logits: `scores[fold][point]` (rows of the fold, C).

    Where a network diverged, its rows are wrong and the loss is NaN.
    """
    losses, right = [], []
    for point in range(PARTS):
        loss, hit = np.empty(len(labels)), np.empty(len(labels), bool)
        for rows, found in zip(folds, (each[point] for each in scores), strict=True):
            loss[rows] = cross_entropies(found, labels[rows])
            hit[rows] = hits(found, labels[rows])
        losses.append(float(loss.mean()))
        right.append(hit)
    accuracies = tuple(float(hit.mean()) for hit in right)
    return ShortRun(short_steps(steps), tuple(losses), accuracies, np.stack(right))


def run_steps(num_rows: int, share: float, *, batch_size: int = 32) -> int:
    """The steps of a short run on so many rows.

    They are a share of the steps of one training of the study, which trains on four fifths of the
    rows.

    >>> run_steps(100, 0.3), run_steps(1600, 0.3)
    (90, 180)
    """
    num_training = num_rows - round(VALIDATION_SHARE * num_rows)
    return part_of(
        SHORT.steps(num_training, batch_size=batch_size),
        share,
    )


def part_of(whole: int, share: float) -> int:
    """A share of so many steps, rounded so that it has ten equal parts.

    >>> part_of(300, 0.33), part_of(8, 0.5)
    (100, 10)
    """
    return max(PARTS, PARTS * round(share * whole / PARTS))
