"""A training that diverged is not taken for one that did not: what is NaN is not of class 0."""

import math
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from featalign.records.setting import Setting
from featalign.training.arms import Request
from featalign.training.fine_tuning import Tuning, run_arms
from featalign.training.jax_step import Network
from featalign.training.jax_trainer import JaxTrainer
from featalign.training.measures import accuracy, hits
from featalign.training.short import held_out_run, short_steps
from featalign.training.trainer import Rows, Trained
from tests.training.examples import small_source, split_of

pytestmark = pytest.mark.slow

SOURCE, SETTING = small_source(), Setting(0.01, steps=20, batch_size=16)


def of_the_first_class(split):
    """The split with most rows in class 0, which is the arg-max of logits that are NaN."""
    parts = {name: getattr(split, name) for name in ("training", "validation", "test")}
    changed = {}
    for name, rows in parts.items():
        changed[name] = Rows(rows.inputs, (np.arange(len(rows.labels)) % 10 >= 8).astype(np.int32))
    return replace(split, **changed)


@pytest.mark.parametrize("arm", ["full", "scratch", "gradual"])
@pytest.mark.parametrize("together", [False, True])
def test_a_run_that_diverged_is_chosen_only_where_all_did(arm, together):
    split = of_the_first_class(split_of(60))

    def run(*rates):
        tuning = Tuning(SETTING, rates, together=together)
        return next(iter(run_arms(SOURCE, [Request(arm, split)], tuning)))

    with np.errstate(all="ignore"):
        mixed, all_of_them = run(1e30, 1e-6), run(1e30, 1e35)
    assert mixed.setting.learning_rate == 1e-6
    assert math.isfinite(mixed.chosen.validation_loss)
    assert all_of_them.accuracy.value == 0
    assert all_of_them.stopped is not None
    assert "diverged" in all_of_them.stopped


def test_logits_that_are_not_finite_hit_nothing():
    labels = np.array([0, 0, 1])
    found = hits(np.array([[1.0, 0], [np.nan, 0], [0, np.inf]]), labels)
    assert found.tolist() == [True, False, False]
    broken = Trained({}, {"kernel": jnp.full((2, 3), jnp.nan), "bias": jnp.zeros(3)}, 0, ())
    rows = Rows(np.ones((5, 2), np.float32), np.zeros(5, np.int32))
    trainer = JaxTrainer(Network(lambda parameters, inputs: {"all": inputs}, "all"))
    assert accuracy(trainer, broken, rows) == 0


def test_short_runs_that_diverged_hit_nothing_and_have_no_loss():
    labels, folds = np.zeros(6, int), [np.array([0, 2, 4]), np.array([1, 3, 5])]
    good, bad = np.tile([3.0, 0.0], (3, 1)), np.full((3, 2), np.nan)
    run = held_out_run(labels, folds, [[good] * 10, [good] * 5 + [bad] * 5], 10)
    assert run.accuracies == (1.0,) * 5 + (0.5,) * 5
    assert np.isfinite(run.losses).tolist() == [True] * 5 + [False] * 5
    assert len(run.steps) == len(short_steps(10))
