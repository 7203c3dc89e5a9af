"""The runs of an arm: what is tried, how each run goes, and which one validation chooses."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from featalign.progress import Report
from featalign.records.fine_tuned import Point, Run
from featalign.records.setting import Setting
from featalign.training.course import train
from featalign.training.measures import accuracy, measured
from featalign.training.rows import Split
from featalign.training.trainer import Job, Trained, Trainer, Watch

Ended = tuple[Trained, str | None]  # what a job became, and why it stopped early, if it did


@dataclass(frozen=True, eq=False)
class Tries:
    """What an arm tries: one network, its rows, and a job for each learning rate or penalty.

    `stages` trains a job in several stages; with None there is one. `fold` turns the trained
    network into the one to return.
    """

    trainer: Trainer
    split: Split
    jobs: tuple[Job, ...]
    stages: Callable[[Job, Watch], Ended] | None = None
    fold: Callable[[Trained], Trained] = lambda trained: trained

    def train(self, job: Job, watch: Watch) -> Ended:
        """What a job becomes, and why it stopped early, if it did."""
        if self.stages is not None:
            return self.stages(job, watch)
        return train(self.trainer, job, self.split.num_classes, watch=watch), None


@dataclass(frozen=True, eq=False)
class Finished:
    """A run, what it trained, and why it stopped early, if it did."""

    run: Run
    trained: Trained
    stopped: str | None = None


def finished(tries: Tries, name: str, report: Report) -> Iterator[Finished]:
    """The runs of one job after the other; each comes as soon as it is finished."""
    for job in tries.jobs:
        points: list[Point] = []
        told = f"{name}, {_tried(job.setting)}"
        trained, stopped = tries.train(job, _watch(tries, points, told, report))
        run = measured(tries.trainer, tries.split, trained, job.setting, points)
        yield Finished(run, trained, stopped)


def note(tries: Tries, points: list[Point]) -> Watch:
    """A watch that adds a point of the curve to these points."""

    def noted(place: int, trained: Trained) -> None:
        del place
        reached = accuracy(tries.trainer, trained, tries.split.validation)
        points.append(
            Point(step=trained.step, loss=trained.losses[-1], validation_accuracy=reached)
        )

    return noted


def best_of(runs: Sequence[Finished]) -> Finished:
    """The run with the best validation accuracy, and among equals the least validation loss.

    A run that diverged is the best only where all runs did.
    """
    return min(runs, key=lambda each: each.run.validation_order)


def _watch(tries: Tries, points: list[Point], told: str, report: Report) -> Watch:
    noted, steps = note(tries, points), tries.jobs[0].setting.steps

    def watch(place: int, trained: Trained) -> None:
        noted(place, trained)
        report(told, trained.step, steps)

    return watch


def _tried(setting: Setting) -> str:
    if setting.head_penalty:
        return f"penalty {setting.head_penalty:g}"
    return f"learning rate {setting.learning_rate:g}"
