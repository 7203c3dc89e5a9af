"""Training in rounds, for as long as validation improves."""

from dataclasses import replace

from featalign.training.course import train
from featalign.training.measures import validation_order
from featalign.training.rows import Split
from featalign.training.trainer import Job, Trained, Trainer, Watch

ANOTHER = 7919  # from the seed of one round to that of the next


def in_rounds(trainer: Trainer, job: Job, split: Split, *, watch: Watch) -> Trained:
    """The network of the best round.

    A round is a whole training, with warm-up and decay, that starts from where the round before
    ended (warm restarts: Loshchilov and Hutter, ICLR 2017). A round follows while the one before
    improved the validation accuracy (or other metric), or at equal accuracy the validation loss,
    and while there are fewer than `setting.rounds`.
    """
    setting, done = job.setting, 0
    best, now = None, Trained(job.parameters, job.head, 0, ())
    order = None
    for place in range(setting.rounds):
        part = replace(
            job,
            parameters=now.parameters,
            head=now.head,
            setting=replace(setting, seed=setting.seed + ANOTHER * place),
            anchor=job.parameters if job.anchor is None else job.anchor,
        )
        reached = train(
            trainer,
            part,
            split.num_classes,
            watch=lambda which, trained, done=done: watch(
                which, replace(trained, step=done + trained.step)
            ),
        )
        done += setting.steps
        now = replace(reached, step=done)
        found = validation_order(trainer, now, split)
        if best is not None and order is not None and found >= order:
            break
        best, order = now, found
    return now if best is None else best
