"""Real training of arms: validation chooses a run, and the test rows measure it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.progress import Report, silent
from featalign.records.fine_tuned import FineTuned, Point
from featalign.records.interval import Interval
from featalign.records.setting import USUAL_LOW_RANK, LowRank, Setting
from featalign.sources.source import Source
from featalign.training.arms import TOGETHER, TRIES, Bench, Request, check_arm
from featalign.training.course import train_together
from featalign.training.frameworks import trainer_of
from featalign.training.measures import measured
from featalign.training.runs import Finished, Tries, best_of, finished, note
from featalign.training.trainer import Trained, num_moved
from featalign.wilson import wilson

LEVEL = 0.9
DIVERGED = "diverged: no run gives finite logits; scale the inputs or take smaller rates"


@dataclass(frozen=True)
class Tuning:
    """What is tried for each arm: a setting at each of the learning rates.

    `layer` is the layer that the head reads, or None for the source's default. `together` says
    whether networks are trained at once with vmap; with None their framework decides.
    """

    setting: Setting
    learning_rates: Sequence[float]
    layer: str | None = None
    together: bool | None = None
    low_rank: LowRank = USUAL_LOW_RANK  # of the arm `lora`


def run_arms(
    source: Source,
    requests: Sequence[Request],
    tuning: Tuning,
    *,
    report: Report = silent,
) -> Iterator[FineTuned]:
    """Train the arms of a source; each result comes as soon as it is finished.

    The arms `scratch`, `full` and `probe_then_full` of equal settings are trained together with
    vmap where the tuning says so. By default that is on everything but a processor, where each step
    of each network runs in a Python loop. Both ways give the same up to rounding. An interruption
    gives what the finished learning rates reached as the last result, with the reason in `stopped`,
    and is then raised again. Raises FeatalignError as `check_arm` does, and for an augmentation of
    inputs that are no images.
    """
    for request in requests:
        check_arm(source, request.arm, tuning.layer)
        _check_augmentation(request, tuning.setting)
    if not requests:
        return
    trainer = trainer_of(source, tuning.layer or source.default_layer)
    bench = Bench(
        source, trainer, tuning.setting, tuple(tuning.learning_rates), report, tuning.low_rank
    )
    together = trainer.prefers_together if tuning.together is None else tuning.together
    together = together and tuning.setting.rounds == 1  # rounds end at times of their own
    if not together:
        for request in requests:
            yield from _apart(bench, request)
        return
    for group in _groups(requests):
        yield from _together(bench, group) if group[0].arm in TOGETHER else _apart(bench, group[0])


def binomial(accuracy: float, count: int) -> Interval:
    """An accuracy on so many rows with Wilson's interval (Wilson, JASA 1927).

    >>> found = binomial(0.5, 100)
    >>> round(found.low, 3), round(found.high, 3)
    (0.419, 0.581)
    """
    low, high = wilson(round(accuracy * count) / count, count)
    return Interval(value=accuracy, low=low, high=high, level=LEVEL)


def _apart(bench: Bench, request: Request) -> Iterator[FineTuned]:
    """The result of an arm that is trained with one learning rate or penalty after the other."""
    start = time.perf_counter()
    tries = TRIES[request.arm](bench, request)
    runs: list[Finished] = []
    try:
        for each in finished(tries, bench.name(request.arm), bench.report):
            runs.append(each)
    except KeyboardInterrupt:
        if runs:
            what = "penalties" if request.arm == "probe" else "learning rates"
            stopped = f"interrupted after {len(runs)} of {len(tries.jobs)} {what}"
            yield _result(bench, request, tries, runs, start, stopped)
        raise
    yield _result(bench, request, tries, runs, start)


def _together(bench: Bench, requests: Sequence[Request]) -> Iterator[FineTuned]:
    """The results of arms that are trained at once, with all their learning rates."""
    start = time.perf_counter()
    tried = [TRIES[request.arm](bench, request) for request in requests]
    trainer = tried[0].trainer
    if any(tries.trainer != trainer for tries in tried):  # fresh networks differ beyond parameters
        for request in requests:
            yield from _apart(bench, request)
        return
    places = [(tries, job) for tries in tried for job in tries.jobs]
    points: list[list[Point]] = [[] for _ in places]
    notes = [note(tries, own) for (tries, _), own in zip(places, points, strict=True)]

    def watch(place: int, trained: Trained) -> None:
        notes[place](place, trained)
        told = f"{bench.source.name}, {len(places)} networks"
        bench.report(told, trained.step, bench.setting.steps)

    jobs = [job for _, job in places]
    networks = train_together(trainer, jobs, requests[0].split.num_classes, watch=watch)
    reached = list(zip(places, networks, points, strict=True))
    for request, tries in zip(requests, tried, strict=True):
        runs = [
            Finished(measured(trainer, tries.split, trained, job.setting, own), trained)
            for (owner, job), trained, own in reached
            if owner is tries
        ]
        yield _result(bench, request, tries, runs, start)


def _groups(requests: Sequence[Request]) -> list[list[Request]]:
    """Requests whose networks can be trained together."""
    groups: dict[tuple[Any, int], list[Request]] = {}
    for request in requests:
        split = request.split
        alike = len(split.training.labels) if request.arm in TOGETHER else request
        groups.setdefault((alike, split.num_classes), []).append(request)
    return list(groups.values())


def _result(
    bench: Bench,
    request: Request,
    tries: Tries,
    runs: Sequence[Finished],
    start: float,
    stopped: str | None = None,
) -> FineTuned:
    """What the best run reached; where all runs diverged, `stopped` says so."""
    best, split = best_of(runs), request.split
    run, count = best.run, len(split.test.labels)
    diverged = DIVERGED if run.diverged else None
    return FineTuned(
        source=bench.source.name,
        layer=bench.trainer.layer,
        target=split.target,
        arm=request.arm,
        seed=int(request.seed),
        accuracy=binomial(run.test_accuracy, count),
        setting=replace(
            tries.jobs[0].setting,
            learning_rate=run.learning_rate,
            head_penalty=run.head_penalty,
        ),
        runs=tuple(each.run for each in runs),
        num_training=len(split.training.labels),
        num_validation=len(split.validation.labels),
        num_test=count,
        seconds=time.perf_counter() - start,
        stopped=stopped or best.stopped or diverged,
        metric="accuracy" if split.metric is None else split.metric.name,
        num_trained=num_moved(tries.jobs[0], best.trained),
        low_rank=bench.low_rank if request.arm == "lora" else None,
        trained=tries.fold(best.trained),
    )


def _check_augmentation(request: Request, setting: Setting) -> None:
    if not setting.augmentation or request.arm == "probe":
        return
    first = request.split.training.inputs[np.arange(1)]
    arrays = first.values() if isinstance(first, Mapping) else (first,)
    if not any(np.ndim(array) == 4 for array in arrays):
        raise FeatalignError(
            "augmentation: expected images (B, H, W, C), got inputs that cannot be shifted; "
            "leave it out"
        )
