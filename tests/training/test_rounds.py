"""Training goes on in rounds while validation improves, and hands back the best of them."""

from dataclasses import replace

import numpy as np
import pytest

import featalign as fa
from featalign.records.setting import Setting
from featalign.training.course import train
from featalign.training.frameworks import trainer_of
from featalign.training.measures import validation_order
from featalign.training.rounds import ANOTHER, in_rounds
from featalign.training.trainer import Job
from tests.training.examples import clouds, small_source, split_of

SPLIT = split_of(120)
TRAINER = trainer_of(small_source(), "features")


def job_of(setting: Setting) -> Job:
    return Job(TRAINER.parameters, SPLIT.training, setting)


def rounds_by_hand(job: Job, most: int) -> list[tuple[tuple[float, float], object]]:
    """Every round in turn, whether or not validation improves."""
    found, parameters, head = [], job.parameters, None
    for place in range(most):
        setting = replace(job.setting, seed=job.setting.seed + ANOTHER * place, rounds=1)
        part = replace(
            job, parameters=parameters, head=head, setting=setting, anchor=job.parameters
        )
        reached = train(TRAINER, part, SPLIT.num_classes)
        parameters, head = reached.parameters, reached.head
        found.append((validation_order(TRAINER, reached, SPLIT), reached))
    return found


@pytest.mark.parametrize("rate", [3e-4, 3e-3, 0.3])
def test_the_best_round_before_the_first_that_is_no_better(rate):
    job = job_of(Setting(rate, 20, 16, rounds=4))
    seen: list[int] = []
    found = in_rounds(TRAINER, job, SPLIT, watch=lambda place, trained: seen.append(trained.step))
    by_hand = rounds_by_hand(job, 4)
    best = 0
    while best + 1 < 4 and by_hand[best + 1][0] < by_hand[best][0]:
        best += 1
    assert found.step == 20 * (best + 1)
    assert validation_order(TRAINER, found, SPLIT) == by_hand[best][0]
    assert seen == sorted(seen)
    assert seen[-1] == 20 * min(best + 2, 4)


def test_one_round_is_a_plain_training():
    job = job_of(Setting(3e-3, 20, 16))
    ((order, _),) = rounds_by_hand(job, 1)
    found = in_rounds(TRAINER, job, SPLIT, watch=lambda place, trained: None)
    assert validation_order(TRAINER, found, SPLIT) == order


def test_the_long_budget_spends_at_most_four_times_the_short_one():
    points, classes = clouds(90, 0)
    target = fa.Target.from_arrays("clouds", points, classes)
    short, long = (
        fa.fine_tune(small_source(), target, arm="full", budget=budget, steps=20, progress=False)
        for budget in ("short", "long")
    )
    assert (short.setting.rounds, long.setting.rounds) == (1, 4)
    assert [point.step for point in short.curve][-1] == 20
    assert 40 <= long.curve[-1].step <= 80
    for one, other in zip(short.runs, long.runs, strict=True):
        assert one.learning_rate == other.learning_rate
        assert other.validation_order <= one.validation_order
        assert one.curve == other.curve[: len(one.curve)]


def test_a_budget_that_is_none_is_refused():
    points, classes = clouds(90, 0)
    target = fa.Target.from_arrays("clouds", points, classes)
    with pytest.raises(fa.FeatalignError, match="budget: expected one of short, long, got 'huge'"):
        fa.fine_tune(small_source(), target, budget="huge", progress=False)  # type: ignore[arg-type]


def test_the_default_is_the_budget_that_forecasts_are_for():
    points, classes = clouds(90, 0)
    target = fa.Target.from_arrays("clouds", points, classes)
    found = fa.fine_tune(small_source(), target, arm="full", progress=False)
    assert {run.learning_rate for run in found.runs} == {1e-3, 4e-3}
    assert found.setting.steps == 300
    assert np.isfinite(found.accuracy.value)
