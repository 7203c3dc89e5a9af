"""Short runs.

Halves never see each other, longer runs begin as shorter ones, and some runs are refused.
"""

from dataclasses import replace
from functools import cache
from typing import Any

import jax
import numpy as np
import pytest
from flax import nnx
from scipy.special import log_softmax

import featalign as fa
from featalign.jobs.given import session_at
from featalign.jobs.short import short_evidence
from featalign.training import short
from featalign.training.short import held_out_run, run_steps, short_folds, short_source, short_steps
from tests.training.examples import clouds, small_source

pytestmark = pytest.mark.slow

SOURCE = small_source()
STEPS = 20


@cache
def target_of(count=60, seed=0):
    return fa.Target.from_arrays("clouds", *clouds(count, seed))


@pytest.fixture
def jobs(monkeypatch):
    """Every training that is run, as (trainer, job)."""
    seen = []

    def watched(trainer, job, *arguments, **options):
        seen.append((trainer, job))
        return train(trainer, job, *arguments, **options)

    train = short.train
    monkeypatch.setattr(short, "train", watched)
    return seen


def run_of(
    tmp_path,
    arm: Any = "full",
    steps: Any = STEPS,
    target: Any = None,
    source: Any = SOURCE,
    **options: Any,
):
    return short_evidence(
        source, target or target_of(), arm, steps, session_at(tmp_path), **options
    )


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(40) % 2,
        np.arange(100) % 10,
        np.arange(60) % 3,
        np.repeat([0, 1, 2], [40, 15, 5]),
        np.repeat([0, 1], [3, 30]),
    ],
    ids=["two alike", "ten alike", "three alike", "uneven", "rare"],
)
def test_halves_hold_every_row_once(labels):
    target = fa.Target.from_arrays(
        "rows", np.random.default_rng(0).normal(size=(len(labels), 3)), labels
    )
    one, other = short_folds(target)
    assert sorted([*one, *other]) == list(range(len(labels)))
    assert abs(len(one) - len(other)) <= 1
    for label in np.unique(labels):
        counts = [int((labels[rows] == label).sum()) for rows in (one, other)]
        assert abs(counts[0] - counts[1]) <= 1


def test_each_half_is_trained_on_the_other_rows_and_from_the_right_weights(tmp_path, jobs):
    target = target_of()
    folds = short_folds(target)
    for arm in ("full", "scratch"):
        jobs.clear()
        run_of(tmp_path, arm)
        assert len(jobs) == 2
        for fold, (trainer, job) in enumerate(jobs):
            rows = folds[1 - fold]
            np.testing.assert_array_equal(job.rows.inputs, target.inputs.read(rows))
            np.testing.assert_array_equal(job.rows.labels, target.labels[rows])
            assert trainer.layer == SOURCE.default_layer
            expected = SOURCE if arm == "full" else SOURCE.random_twin(short.FIRST_TWIN + fold)
            assert expected.differentiable is not None
            for own, wanted in zip(
                jax.tree.leaves(job.parameters),
                jax.tree.leaves(expected.differentiable.parameters),
                strict=True,
            ):
                np.testing.assert_array_equal(own, wanted)


class Wide(nnx.Module):
    """Wide enough to learn anything by heart."""

    def __init__(self, seed):
        rngs = nnx.Rngs(seed)
        self.first, self.second = nnx.Linear(12, 256, rngs=rngs), nnx.Linear(256, 128, rngs=rngs)

    def __call__(self, inputs):
        return {"features": nnx.relu(self.second(nnx.relu(self.first(inputs))))}


def test_what_can_only_be_learnt_by_heart_stays_at_chance(tmp_path, jobs):
    random = np.random.default_rng(3)
    target = fa.Target.from_arrays(
        "noise",
        random.normal(size=(120, 12)).astype(np.float32),
        random.permutation(np.arange(120) % 3),
    )
    source = fa.flax_source("wide", Wide(0), example=np.ones(12, np.float32), initialise=Wide)
    for arm in ("full", "scratch"):
        run = run_of(tmp_path, arm, 200, target, source)
        assert 0.2 < run.accuracies[-1] < 0.47  # chance is 1/3; 120 rows scatter by 0.04
        assert run.losses[-1] > np.log(3)
    own = [short_source(source, target, "full", fold, 200) for fold in range(2)]
    for fold, model in enumerate(
        own
    ):  # while the rows that a half was trained on are known by heart
        rows = short_folds(target)[1 - fold]
        hits = (
            model.embed(target.inputs.read(rows))["step 200"].argmax(axis=1) == target.labels[rows]
        )
        assert hits.mean() > 0.95


def test_a_longer_run_begins_as_a_shorter_one(tmp_path):
    for arm in ("full", "scratch"):
        long, brief = run_of(tmp_path, arm, 40), run_of(tmp_path, arm, STEPS)
        assert long.steps == tuple(range(4, 41, 4))
        assert brief.steps == tuple(range(2, 21, 2))
        shared = sorted(set(long.steps) & set(brief.steps))
        assert len(shared) == 5
        for step in shared:
            one, other = long.steps.index(step), brief.steps.index(step)
            assert long.losses[one] == pytest.approx(brief.losses[other], rel=1e-6)
            np.testing.assert_array_equal(long.hits[one], brief.hits[other])
        assert np.ptp(long.losses) > 1e-3


def test_a_second_call_reads_the_cache_and_trains_nothing(tmp_path, jobs):
    first = run_of(tmp_path)
    assert len(jobs) == 2
    second = run_of(tmp_path)
    assert len(jobs) == 2
    assert (first.losses, first.accuracies, first.steps) == (
        second.losses,
        second.accuracies,
        second.steps,
    )
    np.testing.assert_array_equal(first.hits, second.hits)
    changes: list[dict[str, Any]] = [
        {"arm": "scratch"},
        {"steps": 30},
        {"batch_size": 16},
        {"target": target_of(60, 1)},
        {"source": small_source(6)},
    ]
    for change in changes:
        before = len(jobs)
        run_of(tmp_path, **change)
        assert len(jobs) == before + 2, change


def test_the_name_of_a_target_trains_nothing_anew_and_its_labels_do(tmp_path, jobs):
    run_of(tmp_path)
    run_of(tmp_path, target=replace(target_of(), name="renamed"))
    assert len(jobs) == 2
    turned = replace(target_of(), labels=(target_of().labels + 1) % 3)
    run_of(tmp_path, target=turned)
    assert len(jobs) == 4


def test_training_helps_where_there_is_something_to_learn(tmp_path):
    run = run_of(tmp_path, "scratch", 200, target_of(120))
    assert run.losses[-1] < run.losses[0] < np.log(3) + 0.1
    assert run.accuracies[-1] > 0.55
    np.testing.assert_allclose(run.accuracies, run.hits.mean(axis=1))
    assert run.hits.shape == (10, 120)


def test_held_out_losses_and_hits_are_those_of_the_logits():
    random = np.random.default_rng(0)
    labels, folds = random.integers(0, 4, 30), (np.arange(0, 30, 2), np.arange(1, 30, 2))
    scores = [
        [5 * random.normal(size=(15, 4)).astype(np.float32) for _ in range(10)] for _ in folds
    ]
    run = held_out_run(labels, folds, scores, 50)
    for point in range(10):
        whole = np.empty((30, 4))
        for rows, found in zip(folds, scores, strict=True):
            whole[rows] = found[point]
        assert run.losses[point] == pytest.approx(
            -log_softmax(whole, axis=1)[np.arange(30), labels].mean(), rel=1e-6
        )
        np.testing.assert_array_equal(run.hits[point], whole.argmax(axis=1) == labels)
    assert run.steps == short_steps(50) == (5, 10, 15, 20, 25, 30, 35, 40, 45, 50)
    huge = [[1e4 * one for one in each] for each in scores]
    assert np.isfinite(held_out_run(labels, folds, huge, 50).losses).all()


def test_the_length_is_a_share_of_the_steps_of_one_training():
    assert run_steps(100, 1.0) == 300
    assert run_steps(100, 0.1) == 30
    assert run_steps(1600, 1.0) == 600  # 15 epochs of 1,280 rows in batches of 32
    assert run_steps(1600, 0.5) == 300
    assert run_steps(1600, 0.5, batch_size=64) == 150
    assert run_steps(100, 0.001) == 10
    assert all(
        run_steps(rows, share) % 10 == 0 for rows in (37, 411, 2222) for share in (0.07, 0.33, 0.5)
    )


def test_what_cannot_be_trained_is_refused_by_name(tmp_path):
    plain = fa.Source.from_function("plain", lambda batch: np.asarray(batch), revision="1")
    with pytest.raises(
        fa.FeatalignError, match="plain: expected a differentiable source, this one is a black box"
    ):
        run_of(tmp_path, source=plain)
    points, _ = clouds(40, 0)
    for told, task in (
        (points[:, 0].astype(float), "regression"),
        (points[:, :2] > 0, "multilabel"),
    ):
        with pytest.raises(
            fa.FeatalignError, match=f"expected classes for short runs, other is a task of {task}"
        ):
            run_of(tmp_path, target=fa.Target.from_arrays("other", points, told))
    few = fa.Target.from_arrays("few", points[:5], np.array([0, 1, 2, 0, 1]))
    with pytest.raises(
        fa.FeatalignError,
        match="expected 2 rows a class for short runs, few has 5 rows for 3 classes",
    ):
        run_of(tmp_path, target=few)
    for steps in (0, 5, 25):
        with pytest.raises(
            fa.FeatalignError, match=f"steps: expected a multiple of 10, got {steps}"
        ):
            run_of(tmp_path, steps=steps)
    fixed = fa.flax_source("fixed", Wide(0), example=np.ones(12, np.float32))
    target = fa.Target.from_arrays(
        "noise", np.ones((20, 12), np.float32) * np.arange(20)[:, None], np.arange(20) % 2
    )
    with pytest.raises(
        fa.FeatalignError, match="fixed: expected a source that can be re-initialised"
    ):
        run_of(tmp_path, "scratch", target=target, source=fixed)
