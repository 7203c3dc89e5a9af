"""The arms: ways to use a source on a target, each a function that says what is tried.

Nothing here knows a framework; see `Trainer`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featalign.checks import check_one_of
from featalign.errors import FeatalignError
from featalign.progress import Report
from featalign.records.fine_tuned import ARMS, Arm
from featalign.records.setting import USUAL_LOW_RANK, LowRank, Setting
from featalign.sources.source import Source, check_layer
from featalign.training.frameworks import LOW_RANK, trainer_of
from featalign.training.gradual import Watched, unfreeze
from featalign.training.rows import Split
from featalign.training.runs import Finished, Tries, best_of, finished
from featalign.training.trainer import Job, Rows, Trained, Trainer, as_array

TOGETHER: tuple[Arm, ...] = ("scratch", "full", "probe_then_full")  # arms that share computations
PROBE_RATE = 0.03  # the learning rate of a head alone on standardised features
PROBE_PENALTIES = (1e-3, 1e-2, 1e-1, 1.0)


@dataclass(frozen=True, eq=False)
class Request:
    """An arm to train, on which rows, with which seed."""

    arm: Arm
    split: Split
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Bench:
    """What the arms of a source share: the source, the trainer of its weights, and the settings."""

    source: Source
    trainer: Trainer
    setting: Setting
    learning_rates: tuple[float, ...]
    report: Report
    low_rank: LowRank = USUAL_LOW_RANK

    def settings(self, seed: int) -> tuple[Setting, ...]:
        """One setting for each learning rate."""
        return tuple(
            replace(self.setting, learning_rate=rate, seed=seed) for rate in self.learning_rates
        )

    def finish(self, request: Request, tries: Tries) -> Finished:
        """The best run of an arm that another arm needs."""
        return best_of(list(finished(tries, self.name(request.arm), self.report)))

    def name(self, arm: Arm) -> str:
        """The name of an arm's trainings in reports."""
        return f"{self.source.name} {arm}"


def scratch(bench: Bench, request: Request) -> Tries:
    """Training of all weights from fresh ones, without a pull back to their random start."""
    settings = [replace(each, towards_start=0.0) for each in bench.settings(request.seed)]
    fresh = trainer_of(bench.source.random_twin(request.seed), bench.trainer.layer)
    return _tries(fresh, request.split, settings)


def probe(bench: Bench, request: Request) -> Tries:
    """Training of the head alone, on standardised features, with one penalty after the other."""
    split, mean, deviation = _standardised(bench.trainer, request.split)
    plain = replace(
        bench.setting,
        augmentation=False,
        towards_start=0.0,
        learning_rate=PROBE_RATE,
        seed=request.seed,
    )
    settings = [replace(plain, head_penalty=penalty) for penalty in PROBE_PENALTIES]

    def folded(trained: Trained) -> Trained:
        """The source with this head, changed so that it reads features as they are."""
        kernel = as_array(trained.head["kernel"]) / deviation[:, None]
        head = {"kernel": kernel, "bias": as_array(trained.head["bias"]) - mean @ kernel}
        return replace(trained, parameters=bench.trainer.parameters, head=head)

    return replace(_tries(bench.trainer.on_features(), split, settings), fold=folded)


def full(bench: Bench, request: Request) -> Tries:
    """Training of all weights from those of the source, with a head of zeros."""
    return _tries(bench.trainer, request.split, bench.settings(request.seed))


def probe_then_full(bench: Bench, request: Request) -> Tries:
    """Training of all weights from those of the source and the head of the best probe."""
    asked = replace(request, arm="probe")
    tries = probe(bench, asked)
    head = tries.fold(bench.finish(asked, tries).trained).head
    return _tries(bench.trainer, request.split, bench.settings(request.seed), head)


def gradual(bench: Bench, request: Request) -> Tries:
    """Training that unfreezes groups of parameters from the head down, compared with scratch."""
    asked = replace(request, arm="scratch")
    floor = bench.finish(asked, scratch(bench, asked)).run.validation_accuracy
    watched = Watched(request.split, bench.source.all_layers, floor)
    return replace(
        full(bench, request),
        stages=lambda job, watch: unfreeze(bench.trainer, job, watched, watch=watch),
    )


def lora(bench: Bench, request: Request) -> Tries:
    """Training of a head and of small matrices beside the source's weights, which stay."""
    split = request.split
    adapted = bench.trainer.low_rank(bench.low_rank, split.training, request.seed)
    tries = _tries(adapted.trainer, split, bench.settings(request.seed))

    def merged(trained: Trained) -> Trained:
        """The source with what the small matrices change."""
        return replace(trained, parameters=adapted.merged(trained.parameters))

    jobs = tuple(replace(job, moving=adapted.moving) for job in tries.jobs)
    return replace(tries, jobs=jobs, fold=merged)


TRIES: Mapping[Arm, Callable[[Bench, Request], Tries]] = {
    "scratch": scratch,
    "probe": probe,
    "full": full,
    "probe_then_full": probe_then_full,
    "gradual": gradual,
    "lora": lora,
}


def check_arm(source: Source, arm: str, layer: str | None) -> None:
    """Raise FeatalignError for what cannot be trained.

    That is an unknown arm, a layer that the source does not have, or, for a source whose weights
    cannot be trained, any arm but `probe`, which trains a head alone.
    """
    check_one_of(arm, ARMS, "arm")
    if source.trainable is None and arm != "probe":
        raise FeatalignError(
            f"{source.name}: expected a differentiable source for the arm {arm!r}, this one is a "
            "black box, on which only a probe can be trained; "
            "fine-tuning needs a module of Flax or torch, a Keras network or a zoo source"
        )
    if arm == "lora" and source.trainable is not None and not has_low_rank(source):
        raise FeatalignError(
            f"arm: expected a source that runs in torch for the arm 'lora', {source.name} runs in "
            f"{source.trainable.framework}; choose full, or a model of timm, transformers or "
            "sentence-transformers"
        )
    if layer is not None:
        check_layer(layer, source.all_layers, name=source.name)


def has_low_rank(source: Source) -> bool:
    """Whether there is an arm `lora` for a source."""
    return source.trainable is not None and source.trainable.framework in LOW_RANK


def _tries(trainer: Trainer, split: Split, settings: Sequence[Setting], head: Any = None) -> Tries:
    """A job for each setting, from the weights that the trainer's network came with."""
    return Tries(
        trainer,
        split,
        tuple(Job(trainer.parameters, split.training, each, head) for each in settings),
    )


def _standardised(trainer: Trainer, split: Split) -> tuple[Split, np.ndarray, np.ndarray]:
    """The split with standardised features in place of inputs, and their mean and deviation (D,).

    The two are those of the training rows; the deviation of a constant feature is 1.
    """
    features = {
        name: trainer.features(getattr(split, name)) for name in ("training", "validation", "test")
    }
    mean, deviation = features["training"].mean(axis=0), features["training"].std(axis=0)
    largest = max(float(deviation.max()), 1e-30)
    deviation = np.where(deviation > 1e-6 * largest, deviation, 1).astype(np.float32)
    rows = {
        name: Rows((values - mean) / deviation, getattr(split, name).labels)
        for name, values in features.items()
    }
    return replace(split, **rows), mean, deviation
