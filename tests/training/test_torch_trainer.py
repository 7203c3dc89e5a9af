"""The torch trainer against the trainer of JAX, on one network written in both."""

import json
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from featalign.records.setting import Setting
from featalign.training.course import train
from featalign.training.frameworks import trainer_of
from featalign.training.trainer import HEAD, Job
from tests.training.examples import clouds, rows_of, small_source

torch = pytest.importorskip("torch", reason="needs featalign[hf]")
from tests.training.torch_examples import torch_twin  # noqa: E402

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

JAX, TORCH = small_source(), torch_twin()
ROWS = rows_of(60, 0)
NAMES = {f"network.{layer}.{part}": (layer, part) for layer in ("first", "second", "head")
         for part in ("kernel", "bias")}  # fmt: skip


def in_torch(name: str) -> str:
    return name.replace("kernel", "weight") if name.startswith("network.") else name


def compared(trained_jax, trained_torch, **tolerance):
    """Each tensor of the network and the head, beside each other."""
    for layer, part in NAMES.values():
        own = np.asarray(trained_jax.parameters[layer][part])
        name = f"{layer}.{'weight' if part == 'kernel' else part}"
        other = trained_torch.parameters[name].numpy()
        np.testing.assert_allclose(other.T if part == "kernel" else other, own, **tolerance)
    for part in ("kernel", "bias"):
        np.testing.assert_allclose(
            trained_torch.head[part].numpy(), np.asarray(trained_jax.head[part]), **tolerance
        )


SETTINGS = {
    "adamw": Setting(0.01, steps=20, batch_size=16, seed=1),
    "decay": Setting(0.01, steps=20, batch_size=16, weight_decay=2.0, seed=2),
    "sgd": Setting(0.1, steps=20, batch_size=16, optimiser="sgd", weight_decay=0.3, seed=3),
    "towards start": Setting(0.01, steps=20, batch_size=16, towards_start=3.0, seed=4),
    "smoothing": Setting(0.01, steps=20, batch_size=16, label_smoothing=0.3, seed=5),
    "head penalty": Setting(0.01, steps=20, batch_size=16, head_penalty=1.0, seed=6),
    "no decay of the rate": Setting(0.01, steps=20, batch_size=16, decay=False, seed=7),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_both_trainers_agree_to_rounding_over_20_steps(name):
    setting, found, losses = SETTINGS[name], [], []
    for source in (JAX, TORCH):
        trainer = trainer_of(source, "features")
        trained = trainer.kept(train(trainer, Job(trainer.parameters, ROWS, setting), 3))
        found.append(trained)
        losses.append((trained.losses, trainer.logits(trained, ROWS.inputs, 60)))
    compared(*found, rtol=2e-4, atol=2e-5)
    np.testing.assert_allclose(losses[0][0], losses[1][0], rtol=1e-4)
    np.testing.assert_allclose(losses[0][1], losses[1][1], rtol=1e-3, atol=1e-4)
    assert found[0].losses[-1] != pytest.approx(found[0].losses[0], rel=1e-3)


def test_what_does_not_move_stays_and_the_pull_is_to_the_anchor():
    moving = {"network.second.kernel", *HEAD}
    found = []
    for source in (JAX, TORCH):
        trainer = trainer_of(source, "features")
        names = moving if source is JAX else {in_torch(name) for name in moving}
        anchor = trainer_of(source.random_twin(9), "features").parameters
        setting = Setting(0.01, steps=20, batch_size=16, towards_start=1.0, seed=1)
        job = Job(trainer.parameters, ROWS, setting, moving=frozenset(names), anchor=anchor)
        found.append(trainer.kept(train(trainer, job, 3)))
    compared(*found, rtol=2e-4, atol=2e-5)
    start = trainer_of(TORCH, "features").parameters
    np.testing.assert_array_equal(found[1].parameters["first.weight"], start["first.weight"])
    assert np.abs(found[1].parameters["second.weight"] - start["second.weight"]).max() > 0.01


def test_training_changes_neither_the_module_nor_the_start():
    trainer = trainer_of(TORCH, "features")
    before = {name: value.clone() for name, value in trainer.parameters.items()}
    job = Job(trainer.parameters, ROWS, Setting(0.1, steps=5))
    train(trainer, job, 3)
    for name, value in trainer_of(TORCH, "features").parameters.items():
        np.testing.assert_array_equal(value, before[name])


def test_depths_are_those_of_jax():
    layers = ("hidden", "features", "logits")
    own, other = (
        trainer_of(source, "features").depths(ROWS.inputs[:4], layers) for source in (JAX, TORCH)
    )
    assert {in_torch(name): place for name, place in own.items()} == other
    assert set(other.values()) == {0, 1, 2}


def test_features_are_those_of_the_layer():
    found = trainer_of(TORCH, "hidden").features(ROWS)
    np.testing.assert_allclose(found, JAX.embed(ROWS.inputs, ["hidden"])["hidden"], atol=1e-6)


def test_images_are_shifted_as_in_jax():
    from featalign.training.jax_step import shifted as in_jax
    from featalign.training.torch_step import PIXELS, shifted

    random = np.random.default_rng(0)
    images = random.normal(size=(7, 20, 17, 3)).astype(np.float32)
    shifts = random.uniform(-1, 1, (7, 2)).astype(np.float32)
    inputs = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    found = shifted(inputs, torch.from_numpy(shifts))
    wanted = np.asarray(in_jax(jax.numpy.asarray(images), jax.numpy.asarray(shifts)))
    np.testing.assert_array_equal(found.numpy().transpose(0, 2, 3, 1), wanted)
    named = shifted({PIXELS: inputs, "other": 1}, torch.from_numpy(shifts))
    np.testing.assert_array_equal(named[PIXELS], found)


def target():
    points, labels = clouds(150, 0, spread=0.7)
    held_out = clouds(200, 1, spread=0.7)
    made = fa.Target.from_arrays("clouds", points, labels)
    return replace(made, held_out=fa.Target.from_arrays("others", *held_out))


@pytest.mark.parametrize("arm", ["scratch", "probe", "full", "probe_then_full", "gradual"])
def test_arms_reach_what_those_of_jax_reach(arm: Any):
    """The fresh weights are the same too, so that all but rounding is."""
    options: Any = {"arm": arm, "steps": 60, "learning_rates": [0.01], "seed": 1}
    own, other = (fa.fine_tune(source, target(), **options) for source in (JAX, TORCH))
    assert own.accuracy.value == pytest.approx(other.accuracy.value, abs=0.02)
    assert len(own.runs) == len(other.runs)
    assert [point.step for point in own.curve] == [point.step for point in other.curve]
    assert own.accuracy.value > 0.6
    record, like = other.to_record(), own.to_record()
    assert set(record) == set(like)
    assert fa.FineTuned.from_json(other.to_json()) == other


def test_a_checkpoint_holds_the_weights_by_the_names_of_torch(tmp_path):
    from safetensors import safe_open
    from safetensors.numpy import load_file

    result = fa.fine_tune(
        TORCH, target(), arm="full", steps=10, learning_rates=[0.01], checkpoint=tmp_path / "a"
    )
    file = tmp_path / "a" / "fine_tuned.safetensors"
    saved = load_file(file)
    assert set(saved) == {
        *(f"network.{name}" for name in result.trained.parameters),
        "head.kernel",
        "head.bias",
    }
    with safe_open(file, framework="numpy") as opened:
        assert json.loads(opened.metadata()["featalign"])["arm"] == "full"
    np.testing.assert_array_equal(
        saved["network.first.weight"], result.trained.parameters["first.weight"]
    )


def test_an_interruption_gives_what_is_finished(monkeypatch):
    from featalign.training import torch_step

    steps, original = [], torch_step.Stepper.step

    def step(self, *arguments):
        steps.append(1)
        if len(steps) == 15:
            raise KeyboardInterrupt
        return original(self, *arguments)

    monkeypatch.setattr(torch_step.Stepper, "step", step)
    with pytest.raises(KeyboardInterrupt) as caught:
        fa.fine_tune(TORCH, target(), arm="full", steps=10, learning_rates=[0.01, 0.1])
    finished = caught.value.finished  # type: ignore[attr-defined]
    assert finished.stopped == "interrupted after 1 of 2 learning rates"


def test_augmentation_wants_images():
    with pytest.raises(FeatalignError, match=r"augmentation: expected images"):
        fa.fine_tune(TORCH, target(), augmentation=True, steps=5)


def test_short_runs_anchors_and_screening_take_torch(tmp_path):
    for effort in ("short", "anchor"):
        ranking = fa.rank(TORCH, target(), cache=tmp_path, effort=effort, forecast=True)  # type: ignore[arg-type]
        assert not ranking.failures
        assert [forecast.tier for forecast in ranking.rows[0].forecasts] == ["cache", effort]
    screening = fa.screen(
        [TORCH, torch_twin(6, "other")], target(), keep=1, budget=3, cache=tmp_path
    )
    assert len(screening.kept) == 1
    assert screening.spent > 0
