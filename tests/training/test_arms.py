"""The arms: what each starts from, what chooses among learning rates, and what never does."""

import json
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

import featalign as fa
from featalign.errors import FeatalignError
from featalign.records.fine_tuned import ARMS as ALL_ARMS
from featalign.records.fine_tuned import FineTuned
from featalign.records.setting import Setting
from featalign.sources.capabilities import Trainable
from featalign.sources.source import Source
from featalign.training import fine_tuning, frameworks, jax_trainer
from featalign.training.arms import PROBE_PENALTIES, Request
from featalign.training.course import train
from featalign.training.fine_tuning import Tuning, binomial, run_arms
from featalign.training.frameworks import trainer_of
from featalign.training.trainer import Job, Rows, Trained
from tests.training.examples import Network, rows_of, small_source, split_of

pytestmark = pytest.mark.slow

ARMS: tuple[Any, ...] = tuple(
    arm for arm in ALL_ARMS if arm != "lora"
)  # JAX has no library for that one
SMALL = small_source()
SPLIT = split_of()
SETTING = Setting(0.01, steps=30, batch_size=16)
RATES = (0.01, 0.003)
TUNING = Tuning(SETTING, RATES, together=False)


def differentiable_of(source=SMALL):
    found = source.differentiable
    assert found is not None
    return found


def run_all(requests, *, source=SMALL, **options: Any) -> list[FineTuned]:
    return list(run_arms(source, requests, replace(TUNING, **options)))


def run_one(arm: Any = "full", split=SPLIT, seed: Any = 0, **options) -> FineTuned:
    (result,) = run_all([Request(arm, split, seed)], **options)
    return result


def leaves_of(result):
    return [
        np.asarray(leaf)
        for leaf in jax.tree.leaves((result.trained.parameters, result.trained.head))
    ]


def assert_same_weights(one, other, **tolerance):
    for first, second in zip(leaves_of(one), leaves_of(other), strict=True):
        if tolerance:
            np.testing.assert_allclose(first, second, **tolerance)
        else:
            np.testing.assert_array_equal(first, second)


def weights_differ(one, other):
    return (
        max(
            np.abs(first - second).max()
            for first, second in zip(leaves_of(one), leaves_of(other), strict=True)
        )
        > 1e-3
    )


def plain_features(rows, source=SMALL, layer="features"):
    differentiable = differentiable_of(source)
    return np.asarray(
        differentiable.apply(differentiable.parameters, rows.inputs)[layer], np.float64
    )


def standardised(split, rows):
    features = plain_features(split.training)
    deviation = features.std(axis=0)
    deviation[-1] = 1  # the feature that is the same for all inputs
    return (plain_features(rows) - features.mean(axis=0)) / deviation


def slow_logits(result, split, rows):
    """Logits of what was trained, straight from its weights."""
    kernel, bias = (
        np.asarray(result.trained.head[name], np.float64) for name in ("kernel", "bias")
    )
    return (
        np.asarray(
            differentiable_of().apply(result.trained.parameters, rows.inputs)["features"],
            np.float64,
        )
        @ kernel
        + bias
    )


@pytest.fixture(scope="module")
def results():
    return {
        result.arm: result
        for result in run_all([Request(arm, SPLIT) for arm in ARMS], learning_rates=(0.03, 0.003))
    }


@pytest.mark.parametrize("arm", ARMS)
def test_each_arm_says_what_its_weights_do(results, arm):
    result = results[arm]
    assert (result.source, result.target, result.arm, result.seed) == ("small", "clouds", arm, 0)
    assert (result.num_training, result.num_validation, result.num_test) == (60, 40, 80)
    run = result.chosen
    scores = slow_logits(result, SPLIT, SPLIT.test)
    assert (
        result.accuracy.value
        == run.test_accuracy
        == (scores.argmax(axis=1) == SPLIT.test.labels).mean()
    )
    assert result.accuracy == binomial(result.accuracy.value, 80)
    scores = slow_logits(result, SPLIT, SPLIT.validation)
    assert run.validation_accuracy == (scores.argmax(axis=1) == SPLIT.validation.labels).mean()
    own = log_softmax(scores, axis=1)[np.arange(40), SPLIT.validation.labels]
    np.testing.assert_allclose(run.validation_loss, -own.mean(), rtol=1e-4)
    assert run.validation_accuracy > 0.5  # the largest class has half of the rows


@pytest.mark.parametrize("arm", ARMS)
def test_the_run_with_the_best_validation_is_chosen(results, arm):
    result = results[arm]
    tried = [(run.learning_rate, run.head_penalty) for run in result.runs]
    assert tried == (
        [(0.03, penalty) for penalty in PROBE_PENALTIES]
        if arm == "probe"
        else [(0.03, 0), (0.003, 0)]
    )
    best = max(result.runs, key=lambda run: (run.validation_accuracy, -run.validation_loss))
    assert result.chosen is best
    assert result.setting == replace(
        SETTING, learning_rate=best.learning_rate, head_penalty=best.head_penalty
    )
    assert result.curve == best.curve


@pytest.mark.parametrize("arm", ARMS)
def test_curves_and_records(results, arm):
    result = results[arm]
    for run in result.runs:
        steps = [point.step for point in run.curve]
        assert steps == sorted(set(steps))
        if arm != "gradual":
            assert steps == list(range(3, 31, 3))
            assert run.curve[-1].validation_accuracy == run.validation_accuracy
        assert run.curve[-1].loss < run.curve[0].loss
    record = json.loads(json.dumps(result.to_record()))
    assert record["accuracy"]["value"] == result.accuracy.value
    assert record["setting"]["learning_rate"] == result.setting.learning_rate
    assert [run["test_accuracy"] for run in record["runs"]] == [
        run.test_accuracy for run in result.runs
    ]
    assert "trained" not in record


def test_numbers_of_numpy_are_plain_in_a_record():
    seed, setting = np.int64(1), replace(SETTING, steps=np.int64(5), batch_size=np.int32(8))
    record = json.loads(
        json.dumps(
            run_one("probe", seed=seed, setting=setting, learning_rates=np.array([0.1])).to_record()
        )
    )
    assert (record["seed"], record["setting"]["seed"], record["setting"]["steps"]) == (1, 1, 5)


@pytest.mark.parametrize("arm", ARMS)
def test_the_same_seed_gives_the_same_and_another_one_another(results, arm):
    again = run_one(arm, learning_rates=(0.03, 0.003))
    assert_same_weights(again, results[arm])
    assert again.to_record() | {"seconds": 0} == results[arm].to_record() | {"seconds": 0}
    assert weights_differ(run_one(arm, seed=1, learning_rates=(0.03, 0.003)), results[arm])


@pytest.mark.parametrize("arm", ARMS)
def test_test_labels_change_nothing_but_the_accuracy(results, arm):
    shuffled = replace(SPLIT, test=Rows(SPLIT.test.inputs, (SPLIT.test.labels + 1) % 3))
    other = run_one(arm, shuffled, learning_rates=(0.03, 0.003))
    assert_same_weights(other, results[arm])
    assert other.setting == results[arm].setting
    for run, same in zip(other.runs, results[arm].runs, strict=True):
        assert replace(run, test_accuracy=same.test_accuracy, test_hits=same.test_hits) == same
    assert other.stopped == results[arm].stopped
    assert other.accuracy.value < 0.5 < results[arm].accuracy.value


def test_a_learning_rate_that_is_best_on_test_rows_alone_is_not_taken():
    rates = (1e-5, 0.03)
    slow = run_one(learning_rates=rates[:1])
    predicted = slow_logits(slow, SPLIT, SPLIT.test).argmax(axis=1).astype(np.int32)
    result = run_one(
        split=replace(SPLIT, test=Rows(SPLIT.test.inputs, predicted)), learning_rates=rates
    )
    assert result.runs[0].test_accuracy == 1 > result.runs[1].test_accuracy
    assert result.setting.learning_rate == 0.03
    assert result.accuracy.value == result.runs[1].test_accuracy


def test_equal_validation_accuracies_are_told_apart_by_the_loss():
    easy = split_of(spread=0.05)
    for rates in ((0.003, 0.03), (0.03, 0.003)):
        result = run_one("probe_then_full", easy, learning_rates=rates)
        assert [run.validation_accuracy for run in result.runs] == [1, 1]
        losses = {run.learning_rate: run.validation_loss for run in result.runs}
        assert losses[0.03] < losses[0.003]
        assert result.setting.learning_rate == 0.03


def test_scratch_is_full_of_the_random_twin(results):
    for seed in (0, 3):
        scratch = run_one("scratch", seed=seed)
        full = run_one("full", seed=seed, source=SMALL.random_twin(seed))
        assert_same_weights(scratch, full)
        assert scratch.runs == full.runs
    assert weights_differ(run_one("full"), run_one("scratch"))


def test_scratch_is_not_pulled_towards_its_random_start():
    pulled = replace(SETTING, towards_start=5.0)
    assert_same_weights(run_one("scratch", setting=pulled), run_one("scratch"))
    assert weights_differ(run_one("full", setting=pulled), run_one("full"))


def test_the_probe_leaves_the_source_alone():
    result = run_one("probe", setting=replace(SETTING, augmentation=True))
    for kept, leaf in zip(
        jax.tree.leaves(differentiable_of().parameters),
        jax.tree.leaves(result.trained.parameters),
        strict=True,
    ):
        np.testing.assert_array_equal(kept, leaf)
    assert not result.setting.augmentation
    assert {name: value.shape for name, value in result.trained.head.items()} == {
        "kernel": (5, 3),
        "bias": (3,),
    }


def test_the_head_of_the_probe_is_folded_back():
    """It was trained on standardised features, and reads features as they are."""
    probe, rows = run_one("probe", seed=2), SPLIT.validation
    scores = slow_logits(probe, SPLIT, rows)
    losses = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(rows.labels)), rows.labels]
    np.testing.assert_allclose(losses.mean(), probe.chosen.validation_loss, rtol=1e-4)
    np.testing.assert_allclose(
        trainer_of(SMALL, "features").features(SPLIT.test),
        plain_features(SPLIT.test),
        rtol=1e-5,
        atol=1e-6,
    )


def test_a_probe_with_a_penalty_is_ridge_logistic_regression():
    points, labels = SPLIT.training.inputs, SPLIT.training.labels
    scaled = (points - points.mean(axis=0)) / points.std(axis=0)
    for penalty in PROBE_PENALTIES[1:]:
        setting = replace(
            SETTING,
            learning_rate=0.03,
            steps=1500,
            batch_size=len(labels),
            weight_decay=0.0,
            head_penalty=penalty,
        )
        job = Job({}, Rows(scaled, labels), setting)
        found = train(trainer_of(SMALL, "features").on_features(), job, 3)
        known = LogisticRegression(C=1 / (penalty * len(labels)), max_iter=5000, tol=1e-8).fit(
            scaled, labels
        )
        kernel = np.asarray(found.head["kernel"])
        np.testing.assert_allclose(
            kernel - kernel.mean(axis=1, keepdims=True),
            known.coef_.T - known.coef_.T.mean(axis=1, keepdims=True),
            atol=0.02,
        )


def test_probe_then_full_starts_where_the_probe_ended():
    probe = run_one("probe", seed=4)
    started = run_one("probe_then_full", seed=4, learning_rates=(1e-9,))
    assert started.chosen.validation_accuracy == probe.chosen.validation_accuracy
    assert started.accuracy == probe.accuracy
    np.testing.assert_allclose(
        started.chosen.validation_loss, probe.chosen.validation_loss, rtol=1e-3
    )
    full = run_one("full", seed=4, learning_rates=(1e-9,))
    assert full.chosen.validation_loss > probe.chosen.validation_loss + 0.1


def test_other_layers_get_the_head():
    for layer, width in (("hidden", 10), ("logits", 3)):
        for arm in ARMS:
            result = run_one(
                arm, layer=layer, learning_rates=(0.01,), setting=replace(SETTING, steps=8)
            )
            assert result.trained.head["kernel"].shape == (width, 3), arm
    beyond = (
        jax.tree.leaves(run_one("full", layer="hidden").trained.parameters["second"]),
        jax.tree.leaves(differentiable_of().parameters["second"]),
    )
    for after, before in zip(*beyond, strict=True):  # what no gradient reaches decays and no more
        assert np.abs(after - before).max() <= 1e-4 * np.abs(before).max()


def test_what_cannot_be_trained():
    with pytest.raises(
        FeatalignError,
        match=r"^arm: expected one of scratch, probe, .*, gradual, lora, got 'fast'",
    ):
        run_all([Request("probe", SPLIT), Request("fast", SPLIT)])  # type: ignore[arg-type]
    with pytest.raises(
        FeatalignError, match=r"^layer: small has no layer 'top'; it has hidden, features, logits"
    ):
        run_one(layer="top")
    box = Source.from_function("box", lambda batch: batch, revision="1")
    with pytest.raises(
        FeatalignError,
        match=r"^box: expected a differentiable source for the arm 'full', this one is a black box",
    ):
        run_one(source=box)
    with pytest.raises(
        FeatalignError, match=r"^box: expected features of it as inputs, this one is a black box"
    ):
        run_one("probe", source=box)
    fixed = fa.flax_source(
        "fixed", Network(0), example=SPLIT.training.inputs[0], logits_layer="logits"
    )
    for arm in ("scratch", "gradual"):
        with pytest.raises(
            FeatalignError, match=r"^fixed: expected a source that can be re-initialised"
        ):
            run_one(arm, source=fixed)
    assert run_one("full", source=fixed).source == "fixed"


def wilson(hits, count, deviations=1.6448536269514722):
    """The accuracies that the observed one is so many standard deviations away from.

    They are found by halving.
    """

    def edge(inside, outside):
        for _ in range(200):
            middle = (inside + outside) / 2
            near = abs(hits / count - middle) <= deviations * np.sqrt(middle * (1 - middle) / count)
            inside, outside = (middle, outside) if near else (inside, middle)
        return inside

    return edge(hits / count, 0.0), edge(hits / count, 1.0)


@pytest.mark.parametrize(
    ("hits", "count"), [(0, 7), (7, 7), (1, 3), (50, 100), (991, 1000), (3, 100_000)]
)
def test_the_interval_is_that_of_wilson(hits, count):
    found = binomial(hits / count, count)
    np.testing.assert_allclose((found.low, found.high), wilson(hits, count), rtol=1e-6, atol=1e-9)
    assert (found.value, found.level) == (hits / count, 0.9)


def test_results_come_one_by_one():
    started: list[str] = []
    found = run_arms(
        SMALL,
        [Request("full", SPLIT), Request("probe", SPLIT), Request("scratch", SPLIT)],
        replace(TUNING, setting=replace(SETTING, steps=10)),
        report=lambda name, done, total, found=0, /: started.append(f"{name}: {done} of {total}"),
    )
    assert not started
    assert next(found).arm == "full"
    assert started == [
        f"small full, learning rate {rate}: {step} of 10"
        for rate in ("0.01", "0.003")
        for step in range(1, 11)
    ]
    assert next(found).arm == "probe"
    assert not any("scratch" in line for line in started)
    assert [result.arm for result in found] == ["scratch"]


def test_together_or_apart_all_arms_reach_the_same():
    """Requests of other seeds, other rows and another number of rows."""
    short = replace(split_of(seed=1), training=rows_of(40, 50))
    requests = [
        Request("full", SPLIT, 0),
        *(Request(arm, SPLIT, 1) for arm in ARMS),
        Request("full", short, 2),
        Request("full", split_of(seed=2), 3),
    ]
    setting = replace(SETTING, towards_start=0.2, weight_decay=0.01)
    apart = {(result.arm, result.seed): result for result in run_all(requests, setting=setting)}
    together = {
        (result.arm, result.seed): result
        for result in run_all(requests, setting=setting, together=True)
    }
    assert set(apart) == set(together) == {(request.arm, request.seed) for request in requests}
    for key, result in together.items():
        other = apart[key]
        assert result.setting == other.setting, key
        assert result.num_training == other.num_training == (40 if key[1] == 2 else 60)
        assert_same_weights(result, other, rtol=5e-3, atol=5e-4)
        for run, same in zip(result.runs, other.runs, strict=True):
            np.testing.assert_allclose(
                [point.loss for point in run.curve], [point.loss for point in same.curve], rtol=1e-3
            )
            np.testing.assert_allclose(run.validation_loss, same.validation_loss, rtol=2e-3)
            assert abs(run.test_accuracy - same.test_accuracy) <= 1 / 80


def test_together_is_the_default_on_all_but_a_processor(monkeypatch):
    called: list[int] = []
    monkeypatch.setattr(
        fine_tuning,
        "train_together",
        lambda trainer, jobs, *rest, **options: (
            called.append(len(jobs))
            or [
                Trained(job.parameters, {"kernel": np.zeros((5, 3)), "bias": np.zeros(3)}, 1, ())
                for job in jobs
            ]
        ),
    )
    for backend, calls in (("cpu", []), ("gpu", [2])):
        monkeypatch.setattr(jax_trainer.jax, "default_backend", lambda backend=backend: backend)
        run_one(together=None, setting=replace(SETTING, steps=2))
        assert called == calls


def collect(running, found):
    for result in running:
        found.append(result)


@pytest.mark.parametrize("arm", ARMS)
def test_an_interruption_leaves_what_is_finished(arm, results):
    rates = (0.03, 0.003)
    second, told = (
        ("penalty 0.01", "4 penalties")
        if arm == "probe"
        else ("learning rate 0.003", "2 learning rates")
    )

    def report(name, done, total, found=0, /):
        if f"small {arm}, {second}" in name and done > 3:
            raise KeyboardInterrupt

    found: list[FineTuned] = []
    running = run_arms(
        SMALL,
        [Request(arm, SPLIT), Request("full", SPLIT)],
        replace(TUNING, learning_rates=rates),
        report=report,
    )
    with pytest.raises(KeyboardInterrupt):
        collect(running, found)
    assert [result.stopped for result in found] == [f"interrupted after 1 of {told}"]
    assert found[0].runs == results[arm].runs[:1]
    assert found[0].arm == arm
    assert len(leaves_of(found[0])) >= 2


def test_an_interruption_of_the_first_learning_rate_leaves_nothing():
    def report(name, done, total, found=0, /):
        raise KeyboardInterrupt

    found: list[FineTuned] = []
    for arm in ARMS:
        with pytest.raises(KeyboardInterrupt):
            collect(
                run_arms(
                    SMALL,
                    [Request(arm, SPLIT)],
                    TUNING,
                    report=report,
                ),
                found,
            )
    assert found == []


def test_a_further_framework_is_one_trainer_and_one_line(monkeypatch):
    source = replace(SMALL, trainable=Trainable("other", differentiable_of))
    assert source.is_differentiable
    assert source.differentiable is None  # that of JAX
    known = {**frameworks.TRAINERS, "other": jax_trainer.of_network}
    monkeypatch.setattr(frameworks, "TRAINERS", known)
    for arm in ARMS:
        assert_same_weights(run_one(arm, source=source), run_one(arm))
