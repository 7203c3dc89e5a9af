"""A job that really trains: an arm of a source on a target."""

from dataclasses import dataclass, replace
from pathlib import Path

from featalign.jobs.embedded import check_kind
from featalign.jobs.frozen import on_features
from featalign.records.fine_tuned import Arm, FineTuned
from featalign.records.setting import USUAL_LOW_RANK, LowRank, Setting
from featalign.session import Session
from featalign.sources.source import Source
from featalign.targets.target import Target
from featalign.training.arms import Request, check_arm
from featalign.training.budget import Budget
from featalign.training.checkpoint import check_checkpoint, save_checkpoint
from featalign.training.fine_tuning import Tuning, run_arms
from featalign.training.rows import check_trainable, split_rows


@dataclass(frozen=True, kw_only=True)
class Train:
    """What to train, and how.

    `setting` takes its learning rate from `learning_rates` in turn. Its steps count where there is
    no `budget` that gives them. `checkpoint` is a place for the weights. `metric` chooses the run,
    and is measured, in place of accuracy.
    """

    source: Source
    target: Target
    arm: Arm
    setting: Setting
    learning_rates: tuple[float, ...]
    budget: Budget | None
    layer: str | None = None
    max_test: int | None = None
    together: bool | None = None
    checkpoint: Path | None = None
    metric: str | None = None
    low_rank: LowRank = USUAL_LOW_RANK


def train(job: Train, session: Session) -> FineTuned:
    """What the arm reached, for the learning rate that validation chooses.

    An interruption raises KeyboardInterrupt with what the finished learning rates gave as its
    `finished` attribute. Raises FeatalignError for what cannot be trained.
    """
    source, target = job.source, job.target
    session.hold(source.model)
    check_arm(source, job.arm, job.layer)
    check_kind(source, target)
    if job.checkpoint is not None:
        check_checkpoint(job.checkpoint)
    if source.trainable is None:
        check_trainable(target, job.max_test)
        source, target = on_features(source, target, job.layer, session, max_test=job.max_test)
    split = split_rows(
        target,
        source.reading,
        seed=job.setting.seed,
        max_test=job.max_test,
        metric=job.metric,
    )
    setting = replace(job.setting, learning_rate=job.learning_rates[0])
    if job.budget is not None:
        count = len(split.training.labels)
        setting = replace(setting, steps=job.budget.steps(count, batch_size=setting.batch_size))
    found = run_arms(
        source,
        [Request(job.arm, split, setting.seed)],
        Tuning(setting, job.learning_rates, job.layer, job.together, job.low_rank),
        report=session.report,
    )
    results: list[FineTuned] = []
    try:
        results.extend(found)
    except KeyboardInterrupt as interruption:
        interruption.finished = results[0] if results else None  # type: ignore[attr-defined]
        raise
    finally:
        if results and job.checkpoint is not None:
            save_checkpoint(results[0], job.checkpoint)
    return results[0]
