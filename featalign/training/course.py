"""The course of a training, in tenths of its steps, in any framework."""

from collections.abc import Sequence

from featalign.training.batches import parts, plan_of
from featalign.training.trainer import Job, Trained, Trainer, Watch


def train(
    trainer: Trainer,
    job: Job,
    num_classes: int,
    *,
    watch: Watch = lambda place, trained: None,
) -> Trained:
    """The network and head of a job after training.

    `watch(0, trained)` is called after each tenth of the steps. It has to read the weights before
    it returns, because the next step may take their memory (`Trainer.kept`).
    """
    return _train(trainer, trainer.begin([job], num_classes, together=False), [job], watch)[0]


def train_together(
    trainer: Trainer,
    jobs: Sequence[Job],
    num_classes: int,
    *,
    watch: Watch = lambda place, trained: None,
) -> list[Trained]:
    """What `train` gives for each job, with all jobs trained at once.

    This is for accelerators, which one small network leaves idle. The jobs share steps, batch size,
    optimiser, augmentation and the number of rows; everything else may differ. `watch(place,
    trained)` is called for each job after each tenth of the steps.
    """
    return _train(trainer, trainer.begin(jobs, num_classes, together=True), jobs, watch)


def _train(trainer: Trainer, state: object, jobs: Sequence[Job], watch: Watch) -> list[Trained]:
    plans = [plan_of(len(job.rows.labels), job.setting) for job in jobs]
    means: list[tuple[float, ...]] = []
    found: list[Trained] = []
    for steps in parts(jobs[0].setting.steps):
        state, losses = trainer.advance(state, [plan.part(steps) for plan in plans])
        means.append(losses)
        found = [
            Trained(
                *trainer.reached(state, place),
                int(steps[-1]) + 1,
                tuple(each[place] for each in means),
            )
            for place in range(len(jobs))
        ]
        for place, trained in enumerate(found):
            watch(place, trained)
    return found
