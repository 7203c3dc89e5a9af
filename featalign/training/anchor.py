"""The anchor: training from scratch, as a source whose features are the trained logits."""

import hashlib
import json
from functools import cache
from typing import Any

import numpy as np

from featalign.progress import Report, silent
from featalign.records.setting import Setting
from featalign.sources.prepared import count, indexable
from featalign.sources.source import Source, digest_arrays
from featalign.targets.target import Target
from featalign.training.arms import Request
from featalign.training.budget import SHORT, Budget
from featalign.training.fine_tuning import Tuning, run_arms
from featalign.training.frameworks import trainer_of
from featalign.training.rows import measured_rows, parted, split_rows
from featalign.training.trainer import Trained, Trainer

ANCHOR_VERSION = 1  # raise it whenever an anchor is trained in another way; it is in the cache key
LAYER = "logits"
MOST_TEST = 1000  # rows that measure the accuracy


def anchor_source(
    source: Source,
    target: Target,
    *,
    budget: Budget = SHORT,
    seed: int = 0,
    report: Report = silent,
) -> Source:
    """The architecture of a source, trained from scratch on a target, as a source of logits (B, C).

    It trains when it is first asked, as the arm "scratch" does with this budget, and validation
    chooses the learning rate. Its revision names the fresh weights, the rows and the budget, so
    that the cache keeps its logits, for all sources that share these and their preprocessing.
    Raises FeatalignError, when it trains, for a target that cannot be trained on.
    """
    content = [
        ANCHOR_VERSION,
        start_of(source, target, seed),
        source.default_layer,
        target.fingerprint,
        measured_part(target).fingerprint,
        [budget.name, *budget.learning_rates, budget.epochs, budget.min_steps, budget.rounds],
        seed,
    ]

    @cache
    def network() -> tuple[Trainer, Trained]:
        split = split_rows(target, source.reading, seed=seed, max_test=MOST_TEST)
        steps = budget.steps(len(split.training.labels))
        setting = Setting(budget.learning_rates[0], steps, seed=seed, rounds=budget.rounds)
        tuning = Tuning(setting, budget.learning_rates)
        (found,) = run_arms(source, [Request("scratch", split, seed)], tuning, report=report)
        return trainer_of(source.random_twin(seed), source.default_layer), found.trained

    def embed_batch(prepared: Any, wanted: tuple[str, ...]) -> dict[str, np.ndarray]:
        trainer, trained = network()
        ready, number = indexable(prepared), count(prepared)
        return {layer: trainer.logits(trained, ready, number) for layer in wanted}

    revision = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    name = f"{source.name} from scratch"
    return Source(
        name, revision, embed_batch, (LAYER,), LAYER, reading=source.reading, model=source.model
    )


def start_of(source: Source, target: Target, seed: int) -> str:
    """What names the start of training from scratch: the same for sources that start alike.

    They say so by the `architecture` of their fresh weights. Where they name none, they start alike
    if the drawn weights are equal and give equal features on two rows of the target.
    """
    fresh = source.fresh_weights
    if fresh is None:
        return source.revision
    drawn = fresh.draw(seed)
    if fresh.architecture is not None:
        return f"{fresh.architecture}, {drawn.revision}"
    if fresh.drawn_by is not None:
        return source.random_twin(seed).revision
    features = drawn.embed(target.inputs.read(np.arange(min(2, len(target)))))
    return f"{drawn.revision}, {digest_arrays(features)}"


def measured_part(target: Target) -> Target:
    """The test rows of an anchor: at most 1,000, the same for every seed."""
    held_out = parted(target)[1]
    return held_out.take(measured_rows(held_out.labels, MOST_TEST))
