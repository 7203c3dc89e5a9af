"""`fa.fine_tune`, the checkpoint it writes, and the shell."""

import json
import os
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import featalign as fa
from featalign import api
from featalign.errors import FeatalignError
from featalign.sources.reading import Reading
from featalign.sources.source import Source
from featalign.training import checkpoint as checkpoint_module
from featalign.training.checkpoint import check_checkpoint, save_checkpoint
from featalign.training.rows import split_rows
from tests.training.examples import clouds, small_source

pytestmark = pytest.mark.slow

SMALL = small_source()
RATES = (0.03, 0.003)


def target_of(count=100, name="clouds"):
    points, labels = clouds(count, 0)
    return fa.Target.from_arrays(name, points, labels, held_out=clouds(80, 1))


TARGET = target_of()


def tuned(arm: Any = "full", target=TARGET, **options: Any):
    settings: dict[str, Any] = {
        "learning_rates": RATES,
        "steps": 30,
        "batch_size": 16,
        "together": False,
    }
    return fa.fine_tune(SMALL, target, arm=arm, **(settings | options))


def leaves_of(result):
    return [
        np.asarray(leaf)
        for leaf in jax.tree.leaves((result.trained.parameters, result.trained.head))
    ]


@contextmanager
def interrupted_bar(*, show=None):
    """A progress bar during which somebody presses Ctrl-C.

    It is pressed in the second learning rate of `full`, or the first of `probe_then_full`.
    """
    del show

    def report(name, done, total, found=0, /):
        assert found == 0
        assert 0 < done <= total
        if (
            "full, learning rate 0.003" in name and done > 3
        ) or "probe_then_full, learning rate 0.03" in name:
            raise KeyboardInterrupt

    yield report


def test_what_is_asked_for_is_what_is_trained():
    result = tuned(
        "full",
        seed=3,
        optimiser="sgd",
        weight_decay=0.01,
        towards_source=0.5,
        label_smoothing=0.1,
        max_test=40,
    )
    setting = result.setting
    assert (setting.steps, setting.batch_size, setting.optimiser, setting.seed) == (
        30,
        16,
        "sgd",
        3,
    )
    assert (
        setting.weight_decay,
        setting.towards_start,
        setting.label_smoothing,
        setting.augmentation,
    ) == (0.01, 0.5, 0.1, False)
    assert [run.learning_rate for run in result.runs] == list(RATES)
    assert (result.num_training, result.num_validation, result.num_test) == (80, 20, 40)
    assert (result.source, result.target, result.arm, result.stopped) == (
        "small",
        "clouds",
        "full",
        None,
    )
    assert 0.5 < result.accuracy.low < result.accuracy.value < result.accuracy.high <= 1
    assert result.seconds > 0


def test_the_budget_is_15_epochs_and_at_least_300_steps(monkeypatch):
    budgets: list[int] = []
    done = SimpleNamespace(arm="full", seconds=0.0)
    monkeypatch.setattr(
        "featalign.jobs.train.run_arms",
        lambda source, requests, tuning, **rest: budgets.append(tuning.setting.steps) or [done],
    )
    for count, batch_size in ((100, 16), (100, 8), (1000, 32), (1000, 30)):
        assert tuned(target=target_of(count), steps=None, batch_size=batch_size) is done
    assert budgets == [300, 300, 375, 400]


def test_each_option_reaches_the_training():
    plain = tuned()
    changes: tuple[dict[str, Any], ...] = (
        {"seed": 1},
        {"layer": "hidden"},
        {"steps": 20},
        {"optimiser": "sgd"},
        {"weight_decay": 1.0},
        {"towards_source": 1.0},
        {"label_smoothing": 0.3},
        {"batch_size": 8},
    )
    for options in changes:
        other = tuned(**options)
        assert any(
            one.shape != two.shape or np.abs(one - two).max() > 1e-3
            for one, two in zip(leaves_of(plain), leaves_of(other), strict=True)
        ), options
    again = tuned()
    assert all(
        np.array_equal(one, two)
        for one, two in zip(leaves_of(plain), leaves_of(again), strict=True)
    )


def test_what_cannot_be_trained(tmp_path):
    numbers = fa.Target.from_arrays(
        "prices", TARGET.inputs.read(np.arange(100)), np.linspace(0, 1, 100)
    )
    cases: list[tuple[dict[str, Any], str]] = [
        (
            {"target": numbers},
            r"^target: expected classes to fine-tune on, prices is a task of regression",
        ),
        ({"arm": "fast"}, r"^arm: expected one of scratch, probe"),
        ({"layer": "top"}, r"^layer: small has no layer 'top'"),
        ({"steps": 0}, r"^steps: expected a whole number of at least 1, got 0"),
        ({"learning_rates": (0.1, -0.1)}, r"^learning_rates: expected numbers above 0, got -0.1"),
        ({"towards_source": -1.0}, r"^towards_source: expected a number of at least 0, got -1.0"),
        ({"optimiser": "adam"}, r"^optimiser: expected one of adamw, sgd, got 'adam'"),
        ({"augmentation": True}, r"^augmentation: expected images"),
        (
            {"label_smoothing": 1.0},
            r"^label_smoothing: expected a number of at least 0 and below 1, got 1.0",
        ),
        ({"seed": -1}, r"^seed: expected a whole number of at least 0, got -1"),
        ({"max_test": 0}, r"^max_test: expected a whole number of at least 1"),
    ]
    for options, words in cases:
        with pytest.raises(FeatalignError, match=words):
            tuned(**options)
    box = Source.from_function("box", lambda batch: batch, revision="1")
    with pytest.raises(
        FeatalignError,
        match=r"^box: expected a differentiable source for the arm 'full', this one is a black box",
    ):
        fa.fine_tune(box, TARGET)
    nowhere = Source.from_function("nowhere", lambda batch: batch * np.nan, revision="1")
    with pytest.raises(
        FeatalignError,
        match=r"^nowhere: expected finite features of layer 'features' to train a head on, "
        rf"{len(TARGET)} of {len(TARGET)} rows",
    ):
        fa.fine_tune(nowhere, TARGET, arm="probe", cache=tmp_path)
    with pytest.raises(
        FeatalignError,
        match=r"^target: expected classes to fine-tune on, prices is a task of regression",
    ):
        fa.fine_tune(nowhere, numbers, arm="probe", cache=tmp_path)
    with pytest.raises(
        FeatalignError,
        match=r"^zoo/resnet_digits: it reads image inputs, but clouds holds array inputs",
    ):
        fa.fine_tune("zoo/resnet_digits", TARGET)


def test_an_interruption_carries_what_is_finished(monkeypatch, tmp_path):
    monkeypatch.setattr(api, "progress_bar", interrupted_bar)
    with pytest.raises(KeyboardInterrupt) as caught:
        tuned(checkpoint=tmp_path)
    finished = caught.value.finished  # type: ignore[attr-defined]
    assert finished.stopped == "interrupted after 1 of 2 learning rates"
    assert [run.learning_rate for run in finished.runs] == [0.03]
    written = load_file(tmp_path / "fine_tuned.safetensors")
    np.testing.assert_array_equal(written["head.kernel"], finished.trained.head["kernel"])
    monkeypatch.undo()
    assert tuned(learning_rates=RATES[:1]).runs == finished.runs


def test_an_interruption_before_anything_is_finished(monkeypatch, tmp_path):
    monkeypatch.setattr(api, "progress_bar", interrupted_bar)
    with pytest.raises(KeyboardInterrupt) as caught:
        tuned("probe_then_full", checkpoint=tmp_path)
    assert caught.value.finished is None  # type: ignore[attr-defined]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("place", ["new/folder", "mine.safetensors"])
def test_a_checkpoint_holds_the_weights_and_says_what_they_are(tmp_path, place):
    result = tuned("full", seed=np.int64(2), checkpoint=tmp_path / place)
    file = (
        tmp_path / place
        if place.endswith(".safetensors")
        else tmp_path / place / "fine_tuned.safetensors"
    )
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]
    written = load_file(file)
    parameters = {
        layer: {name: written.pop(f"network.{layer}.{name}") for name in ("kernel", "bias")}
        for layer in ("first", "second", "head")
    }
    kernel, bias = written.pop("head.kernel"), written.pop("head.bias")
    assert written == {}
    for one, other in zip(
        leaves_of(result),
        jax.tree.leaves((parameters, {"kernel": kernel, "bias": bias})),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    differentiable = SMALL.differentiable
    assert differentiable is not None
    held = split_rows(TARGET, SMALL.reading).test
    scores = np.asarray(differentiable.apply(parameters, held.inputs)["features"]) @ kernel + bias
    assert (scores.argmax(axis=1) == held.labels).mean() == result.accuracy.value
    with safe_open(file, framework="numpy") as opened:
        record = json.loads(opened.metadata()["featalign"])
    assert record == json.loads(json.dumps(result.to_record()))
    assert (record["source"], record["arm"], record["seed"]) == ("small", "full", 2)


def test_a_probe_is_the_source_with_a_new_head(tmp_path):
    result = tuned("probe", checkpoint=tmp_path)
    written = load_file(tmp_path / "fine_tuned.safetensors")
    np.testing.assert_array_equal(written["head.kernel"], result.trained.head["kernel"])
    own = SMALL.differentiable
    assert own is not None
    np.testing.assert_array_equal(
        written["network.first.kernel"], own.parameters["first"]["kernel"]
    )


def boxed(went: list[int]) -> Source:
    """The network of SMALL as a function alone; `went` gets how many rows went through it."""
    own = SMALL.differentiable
    assert own is not None

    def features(batch: np.ndarray) -> np.ndarray:
        went.append(len(batch))
        return np.asarray(own.apply(own.parameters, batch)["features"])

    source = Source.from_function("box", features, revision="1")
    return replace(source, reading=Reading(static_shapes=False))


def test_the_probe_of_a_black_box_is_that_of_the_network_in_it(tmp_path):
    went: list[int] = []
    box = boxed(went)
    result, known = (
        fa.fine_tune(
            source,
            TARGET,
            arm="probe",
            steps=30,
            batch_size=16,
            max_test=40,
            cache=tmp_path,
            checkpoint=tmp_path,
        )
        for source in (box, SMALL)
    )
    assert (result.accuracy, result.setting, result.num_training, result.num_test) == (
        known.accuracy,
        known.setting,
        80,
        40,
    )
    np.testing.assert_allclose(
        result.trained.head["kernel"], known.trained.head["kernel"], rtol=1e-3, atol=1e-5
    )
    assert set(load_file(save_checkpoint(result, tmp_path / "head.safetensors"))) == {
        "head.kernel",
        "head.bias",
    }
    assert sum(went) == 100 + 40  # no held-out row that does not measure
    alone = fa.Target.from_arrays("clouds", *clouds(100, 0))
    fa.rank([box], alone, cache=tmp_path, scorers=["knn"])
    fa.fine_tune(box, alone, arm="probe", steps=5, cache=tmp_path)
    assert sum(went) == 100 + 40  # what a ranking has embedded is not embedded again


def test_the_probe_of_a_file_of_features_measures_on_a_part_of_its_rows(tmp_path):
    own = SMALL.differentiable
    assert own is not None
    np.savez(
        tmp_path / "features.npz",
        features=np.asarray(
            own.apply(own.parameters, TARGET.inputs.read(np.arange(100)))["features"]
        ),
    )
    result = fa.fine_tune(
        f"npz:{tmp_path / 'features.npz'}", TARGET, arm="probe", steps=30, cache=tmp_path
    )
    assert (result.num_training, result.num_validation, result.num_test) == (64, 16, 20)
    assert result.accuracy.value > 0.5  # the largest class has half of the rows


def unwritable(folder: Path):
    """Places where no file can be."""
    (folder / "file").write_text("here")
    (folder / "taken.safetensors").mkdir()
    places = [
        folder / "file",
        folder / "file" / "below",
        folder / "file" / "x.safetensors",
        folder / "taken.safetensors",
    ]
    if Path("/proc/self").is_dir():
        places += [Path("/proc/self/none.safetensors"), Path("/proc/none")]
    if os.geteuid() != 0:
        (folder / "locked").mkdir(mode=0o500)
        places.append(folder / "locked")
    return places


def test_a_place_where_nothing_can_be_written_is_refused_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "featalign.jobs.train.run_arms", lambda *rest, **options: pytest.fail("trained")
    )
    for place in unwritable(tmp_path):
        with pytest.raises(FeatalignError, match=r"^checkpoint: .*; choose another"):
            tuned(checkpoint=place)


def test_asking_whether_a_checkpoint_can_be_written_leaves_nothing_behind(tmp_path):
    check_checkpoint(tmp_path / "new" / "one.safetensors")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    old = tmp_path / "old.safetensors"
    old.write_bytes(b"before")
    check_checkpoint(old)
    assert old.read_bytes() == b"before"


def test_a_checkpoint_that_cannot_be_finished_leaves_the_old_one(tmp_path, monkeypatch):
    result = tuned(checkpoint=tmp_path, learning_rates=(0.01,), steps=2)
    before = (tmp_path / checkpoint_module.NAME).read_bytes()
    whole = Path.write_bytes

    def full(path, content):
        whole(path, content[: len(content) // 2])
        raise OSError("the disk is full")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="the disk is full"):
        save_checkpoint(replace(result, seed=9), tmp_path)
    assert (tmp_path / checkpoint_module.NAME).read_bytes() == before


DIGITS = (
    "fine-tune",
    "-s",
    "zoo/resnet_digits",
    "-t",
    "sklearn:digits",
    "--subset",
    120,
    "--steps",
    8,
    "--batch-size",
    16,
)


def test_the_shell_shows_a_table_of_scratch_and_full(run, tmp_path):
    status, out, err = run(*DIGITS, "--learning-rate", 0.003, "--checkpoint", tmp_path)
    assert status == 0
    assert [line.rpartition(" in ")[0] for line in err.splitlines()] == [
        f"featalign: zoo/resnet_digits: {arm} trained" for arm in ("scratch", "full")
    ]
    assert "zoo/resnet_digits on sklearn:digits: " in out
    rows = {line.split("│")[1].strip(): line for line in out.splitlines() if line.count("│") > 3}
    assert set(rows) == {"scratch", "full"}
    for arm, line in rows.items():
        with safe_open(tmp_path / f"{arm}.safetensors", framework="numpy") as opened:
            record = json.loads(opened.metadata()["featalign"])
        accuracy = record["accuracy"]
        cells = [cell.strip() for cell in line.split("│")[1:-1]]
        ends = f"{100 * accuracy['low']:.1f} to {100 * accuracy['high']:.1f}"
        assert cells[:4] == [
            arm,
            f"{accuracy['value']:.1%} ({ends})",
            "0.003",
            "8",
        ]
        assert record["num_test"] == 24
    assert "77 rows to train, 19 to choose, 24 to test" in " ".join(out.split())


def test_the_shell_prints_json_and_passes_everything_on(run):
    options = [
        "--weight-decay",
        0.1,
        "--towards-source",
        0.2,
        "--label-smoothing",
        0.1,
        "--optimiser",
        "sgd",
        "--augmentation",
        "--seed",
        1,
    ]
    status, out, err = run(
        *DIGITS,
        "-a",
        "full",
        "-a",
        "probe",
        "--learning-rate",
        0.01,
        "--learning-rate",
        0.003,
        "--layer",
        "stage_2",
        *options,
        "--json",
        "--quiet",
    )
    assert (status, err) == (0, "")
    full, probe = json.loads(out)
    assert [run["learning_rate"] for run in full["runs"]] == [0.01, 0.003]
    assert [run["head_penalty"] for run in probe["runs"]] == [0.001, 0.01, 0.1, 1.0]
    wanted = {
        "steps": 8,
        "batch_size": 16,
        "optimiser": "sgd",
        "weight_decay": 0.1,
        "towards_start": 0.2,
        "label_smoothing": 0.1,
    }
    assert full["setting"].items() >= (wanted | {"augmentation": True, "seed": 1}).items()
    data = fa.load_target("sklearn:digits", subset=120, seed=1)
    again = fa.fine_tune(
        "zoo/resnet_digits",
        data,
        arm="probe",
        layer="stage_2",
        seed=1,
        steps=8,
        batch_size=16,
        optimiser="sgd",
        weight_decay=0.1,
        label_smoothing=0.1,
    )
    assert [run["validation_loss"] for run in probe["runs"]] == [
        run.validation_loss for run in again.runs
    ]


def test_the_shell_trains_a_probe_of_a_black_box(run, tmp_path):
    np.savez(
        tmp_path / "points.npz", inputs=TARGET.inputs.read(np.arange(100)), labels=TARGET.labels
    )
    box = f"npz:{tmp_path / 'features.npz'}"
    np.savez(tmp_path / "features.npz", features=TARGET.inputs.read(np.arange(100)))
    options = (
        "fine-tune",
        "-s",
        box,
        "-t",
        tmp_path / "points.npz",
        "--cache",
        tmp_path / "cache",
        "--steps",
        20,
    )
    status, out, err = run(*options, "--json")
    assert (status, [each["arm"] for each in json.loads(out)]) == (0, ["probe"])
    assert "probe trained in" in err
    status, out, err = run(*options, "-a", "full")
    assert (status, out) == (1, "")
    assert "on which only a probe can be trained" in err


def test_the_shell_prints_what_is_finished_when_interrupted(run, monkeypatch):
    monkeypatch.setattr(api, "progress_bar", interrupted_bar)
    arms = (
        "-a",
        "scratch",
        "-a",
        "full",
        "-a",
        "probe",
        "--learning-rate",
        0.03,
        "--learning-rate",
        0.003,
    )
    status, out, err = run(*DIGITS, *arms, "--json")
    assert status == 130
    assert "interrupted" in err
    records = json.loads(out)
    assert [(record["arm"], len(record["runs"])) for record in records] == [
        ("scratch", 2),
        ("full", 1),
    ]
    assert [record["stopped"] for record in records] == [
        None,
        "interrupted after 1 of 2 learning rates",
    ]
    status, out, err = run(*DIGITS, "-a", "full", "--learning-rate", 0.03, "--learning-rate", 0.003)
    assert status == 130
    assert "interrupted after 1 of 2" in out
    status, out, err = run(*DIGITS, "-a", "probe_then_full", "--learning-rate", 0.03)
    assert (status, out) == (130, "")
    assert "0 of 1 arms" in err


def test_bad_input_gives_the_shell_one_sentence(run, tmp_path):
    np.savez(
        tmp_path / "numbers.npz", inputs=np.ones((20, 4), np.float32), labels=np.arange(20) % 2
    )
    np.savez(
        tmp_path / "prices.npz", inputs=np.zeros((20, 8, 8), np.uint8), labels=np.linspace(0, 1, 20)
    )
    (tmp_path / "file").write_text("here")
    cases = [
        ((*DIGITS, "-a", "fast"), ["arm", "probe_then_full", "'fast'"]),
        ((*DIGITS, "--layer", "top"), ["layer", "top", "stage_1"]),
        ((*DIGITS, "--learning-rate", -1), ["--learning-rate: ", "-1"]),
        ((*DIGITS, "--optimiser", "adam"), ["optimiser", "adamw, sgd", "'adam'"]),
        ((*DIGITS, "--label-smoothing", 1.5), ["--label-smoothing: ", "below 1"]),
        ((*DIGITS, "--checkpoint", tmp_path / "file"), ["checkpoint", "choose another place"]),
        (("fine-tune", "-s", "zoo/nothing", "-t", "sklearn:digits"), ["zoo/nothing"]),
        (
            ("fine-tune", "-s", "zoo/resnet_digits", "-t", tmp_path / "numbers.npz"),
            ["image inputs", "array inputs"],
        ),
        (("fine-tune", "-s", "zoo/resnet_digits", "-t", tmp_path / "prices.npz"), ["regression"]),
        ((*DIGITS[:-4], "--steps", 0), ["steps", "got 0"]),
        ((*DIGITS[:-4], "--steps", 8, "--batch-size", 0), ["--batch-size: ", "got 0"]),
    ]
    for arguments, words in cases:
        status, out, err = run(*arguments)
        assert (status, out) == (1, ""), arguments
        assert err.startswith("featalign: "), arguments
        assert err.count("\n") == 1, err
        assert all(word in err for word in words), err
    assert run("fine-tune", "-s", "zoo/resnet_digits")[0] == 2
