import gzip
import inspect
import json
import math
import os
import subprocess
import sys
from dataclasses import fields
from typing import Any

import h5py
import numpy as np
import pytest
import typer.main
from PIL import Image

import featalign as fa
from featalign.cli.app import app
from featalign.cli.options import CHOICE
from featalign.scorers.registry import SCORERS
from featalign.targets.choice import Choice
from tests.forecasting.examples import made_calibration, made_line
from tests.training.examples import clouds, small_source

random = np.random.default_rng(0)


@pytest.fixture
def pictures(tmp_path):
    """Three classes of images as an archive and as folders."""
    labels = np.arange(36) % 3
    images = (
        random.integers(0, 90, (36, 12, 12, 3))
        + 80 * (np.arange(3) == labels[:, None])[:, None, None, :]
    ).astype(np.uint8)
    np.savez(
        tmp_path / "set.npz",
        x_train=images[:30],
        y_train=labels[:30],
        x_test=images[30:],
        y_test=labels[30:],
        classes=["red", "green", "blue"],
    )
    for row, (image, label) in enumerate(zip(images[:30], labels[:30], strict=True)):
        path = tmp_path / "set" / "train" / ["red", "green", "blue"][label] / f"{row}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return tmp_path


def test_rank_as_json_from_an_archive_and_a_folder(run, pictures):
    results = []
    for name in ("set.npz", "set"):
        status, out, _ = run(
            "rank",
            "--source",
            "zoo/resnet_d*",
            "--target",
            pictures / name,
            "--scorers",
            "linear_probe,knn",
            "--json",
        )
        assert status == 0
        results.append(json.loads(out))
    assert results[0]["num_rows"] == 30
    assert results[0]["num_classes"] == 3
    scores = [
        {row["source"]: row["scores"]["knn"]["value"] for row in result["rows"]}
        for result in results
    ]
    assert scores[0] == scores[1]


@pytest.mark.slow
def test_rank_shows_a_table_and_draws_a_picture(run, pictures):
    status, out, err = run(
        "rank",
        "-s",
        "zoo/resnet_digits",
        "-t",
        pictures / "set.npz",
        "--layers",
        "stage_1,features",
        "--figure",
        pictures / "ranking.png",
        "--quiet",
    )
    assert status == 0
    assert "ordered by linear_probe" in out
    assert "stage_1" in out
    assert err == ""
    with Image.open(pictures / "ranking.png") as picture:
        assert picture.width > 500


def test_what_there_is_to_choose_of_a_target_has_an_option():
    arguments = inspect.signature(fa.load_target).parameters
    assert list(CHOICE) == [field.name for field in fields(Choice)]
    assert list(arguments)[-len(CHOICE) :] == list(CHOICE)


def test_what_is_left_out_of_a_target_is_shown(run, tmp_path):
    for name in ("day", "night"):
        (tmp_path / "set" / name).mkdir(parents=True)
        for number in range(4):
            pixels = np.random.default_rng(number).integers(0, 256, (8, 8), np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / name / f"{number}.png")
    (tmp_path / "set" / "day" / "a.heic").write_bytes(b"...")
    named = ("-s", "zoo/resnet_digits", "-t", tmp_path / "set", "--cache", tmp_path / "cache")
    status, out, _ = run("rank", *named, "--scorers", "knn")
    assert status == 0
    assert "passed over: 1 .heic" in " ".join(out.split())
    status, _, err = run("embed", *named)
    assert status == 0
    assert "featalign: set: passed over: 1 .heic" in err


def test_subset_and_seed_reach_the_target(run, pictures):
    status, out, _ = run(
        "rank",
        "-s",
        "zoo/resnet_digits",
        "-t",
        pictures / "set.npz",
        "--subset",
        15,
        "--seed",
        3,
        "--scorers",
        "logme",
        "--json",
    )
    assert status == 0
    assert json.loads(out)["num_rows"] == 15


def test_a_source_that_fails_gives_status_1_and_the_rest(run, tmp_path):
    np.savez(tmp_path / "numbers.npz", inputs=random.normal(size=(20, 4)), labels=np.arange(20) % 2)
    np.savez(tmp_path / "features.npz", features=random.normal(size=(20, 3)))
    status, out, err = run(
        "rank",
        "-s",
        "zoo/resnet_digits",
        "-s",
        f"npz:{tmp_path}/features.npz",
        "-t",
        tmp_path / "numbers.npz",
        "--scorers",
        "knn",
        "--json",
    )
    assert status == 1
    assert [row["source"] for row in json.loads(out)["rows"]] == [f"npz:{tmp_path}/features.npz"]
    assert "reads image inputs, but numbers holds array inputs" in err


def bad_inputs(folder):
    (folder / "empty").mkdir()
    broken = folder / "broken"
    for name in ("a", "b"):
        (broken / name).mkdir(parents=True)
        Image.fromarray(np.zeros((4, 4), np.uint8)).save(broken / name / "0.png")
    (broken / "b" / "bad.png").write_bytes(b"no picture")
    np.savez(folder / "one_class.npz", inputs=np.ones((4, 2)), labels=np.zeros(4, int))
    np.savez(folder / "nan.npz", inputs=np.array([[1.0, np.nan], [0, 0]]), labels=[0, 1])
    np.savez(folder / "lengths.npz", inputs=np.ones((4, 2)), labels=[0, 1, 0])
    (folder / "no_label.csv").write_text("alpha,beta\n1,2\n")
    return {
        "empty": ["empty"],
        "broken": ["bad.png"],
        "one_class.npz": ["two classes"],
        "nan.npz": ["NaN"],
        "lengths.npz": ["4", "3"],
        "no_label.csv": ["alpha", "beta", "label"],
        "missing.npz": ["missing.npz"],
    }


def test_bad_targets_give_a_sentence_and_status_1(run, tmp_path):
    for name, words in bad_inputs(tmp_path).items():
        status, out, err = run("rank", "-s", "zoo/resnet_digits", "-t", tmp_path / name, "--json")
        assert status == 1, name
        assert out == ""
        assert err.startswith("featalign: "), name
        assert err.count("\n") == 1, err
        assert all(word in err for word in words), err


def test_bad_command_lines_give_status_2(run):
    for arguments in (
        ["rank"],
        ["rank", "--nonsense"],
        ["nothing"],
        ["rank", "-s", "zoo/*", "-t", "sklearn:digits", "--subset", "many"],
    ):
        assert run(*arguments)[0] == 2


def test_groups_of_a_file_stay_together(run, tmp_path):
    random = np.random.default_rng(0)
    patients = np.repeat(np.arange(40), 5)
    features = random.normal(size=(40, 6))[patients] + 0.01 * random.normal(size=(200, 6))
    arrays: dict[str, Any] = {"features": features, "labels": (patients * 7) % 2}
    scores = []
    named: dict[str, Any] = {"groups": np.array([f"patient {each}" for each in patients])}
    for groups in ({}, named):
        np.savez(tmp_path / "features.npz", **arrays, **groups)
        status, out, _ = run("score", tmp_path / "features.npz", "--scorers", "knn", "--json")
        assert status == 0
        scores.append(json.loads(out)["knn"]["value"])
    assert scores[0] > 0.95 > 0.8 > scores[1]
    np.savez(tmp_path / "features.npz", **arrays, groups=patients[:7])
    status, _, err = run("score", tmp_path / "features.npz")
    assert status == 1
    assert "groups" in err


def test_score_of_a_file(run, tmp_path):
    features, labels = random.normal(size=(40, 5)), np.arange(40) % 4
    np.savez(tmp_path / "features.npz", features=features, labels=labels)
    with h5py.File(tmp_path / "features.h5", "w") as file:
        file["features"], file["labels"] = features, labels
    values = []
    for name in ("features.npz", "features.h5"):
        status, out, _ = run("score", tmp_path / name, "--scorers", "logme,knn", "--json")
        assert status == 0
        values.append(json.loads(out)["logme"]["value"])
    assert values[0] == values[1]
    status, out, _ = run("score", tmp_path / "features.npz", "--scorers", "logme")
    assert status == 0
    assert f"{values[0]:.3f}" in out
    np.savez(tmp_path / "bare.npz", features=features)
    status, _, err = run("score", tmp_path / "bare.npz")
    assert status == 1
    assert "labels" in err


@pytest.mark.slow
def test_zeros_and_intervals_on_the_shell(run, pictures, tmp_path):
    features = random.normal(size=(60, 5)) + 2 * np.eye(3, 5)[np.arange(60) % 3]
    np.savez(tmp_path / "features.npz", features=features, labels=np.arange(60) % 3)
    status, out, _ = run(
        "score", tmp_path / "features.npz", "--scorers", "knn,rankme", "--intervals"
    )
    assert status == 0
    assert "90% interval" in out
    assert "labels permuted" in out
    assert " to " in out
    assert " ± " in out
    status, out, _ = run(
        "rank",
        "--source",
        "zoo/resnet_d*",
        "--target",
        pictures / "set.npz",
        "--scorers",
        "knn",
        "--intervals",
        "--layers",
        "all",
    )
    assert status == 0
    assert " to " in out
    assert "the best layer of each source: zoo/resnet_digits" in out


def test_scorers_are_listed(run):
    status, out, _ = run("scorers")
    assert status == 0
    assert all(scorer.name in out for scorer in SCORERS)


def test_embed_and_the_life_of_the_cache(run, pictures):
    status, out, _ = run(
        "embed",
        "-s",
        "zoo/resnet_digits",
        "-t",
        pictures / "set.npz",
        "--layers",
        "stem,features",
        "--json",
    )
    assert status == 0
    keys = {record["layer"]: record["key"] for record in json.loads(out)}
    status, out, _ = run("cache", "ls", "--json")
    assert {entry["key"] for entry in json.loads(out)} == set(keys.values())
    status, out, _ = run("cache", "ls")
    assert "2 embeddings" in out
    assert run("cache", "verify")[0] == 0
    assert run("cache", "export", keys["stem"][:10], pictures / "stem.h5")[0] == 0
    with h5py.File(pictures / "stem.h5") as file:
        exported = file["features"]
        assert isinstance(exported, h5py.Dataset)
        assert exported.shape == (30, 16)
    assert run("cache", "rm", keys["stem"][:10])[0] == 0
    status, out, _ = run("cache", "import", pictures / "stem.h5", "--name", "mine")
    assert status == 0
    assert "30 x 16" in out
    status, out, _ = run("cache", "gc", "--max-size", "0MB")
    assert "2 embeddings evicted" in out
    assert run("cache", "rm", "abc")[0] == 1
    assert run("cache", "gc", "--max-size", "much")[0] == 1


def test_a_damaged_shard_is_found(run, pictures):
    run("embed", "-s", "zoo/resnet_digits", "-t", pictures / "set.npz")
    shard = next((pictures / "cache").glob("*/shard-*.h5"))
    content = bytearray(shard.read_bytes())
    content[-100] ^= 1
    shard.write_bytes(content)
    status, out, _ = run("cache", "verify")
    assert status == 1
    assert "1 damaged" in out
    assert run("embed", "-s", "zoo/resnet_digits", "-t", pictures / "set.npz")[0] == 0
    assert run("cache", "verify")[0] == 0


def test_text_from_python_with_a_function(tmp_path):
    rows = [("good", "up"), ("very good", "up"), ("bad", "down"), ("so bad", "down")] * 6
    (tmp_path / "moods.csv").write_text(
        "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows)
    )
    with gzip.open(tmp_path / "moods.jsonl.gz", "wt") as file:
        file.writelines(json.dumps({"text": text, "label": label}) + "\n" for text, label in rows)
    letters = fa.Source.from_function(
        "letters",
        lambda texts: np.array([[text.count(c) for c in "abdegos"] for text in texts], float),
        revision="1",
    )
    values = [
        fa.rank(
            letters,
            fa.load_target(tmp_path / name),
            cache=tmp_path / "cache",
            scorers=["linear_probe"],
        )
        .best.scores["linear_probe"]
        .value
        for name in ("moods.csv", "moods.jsonl.gz")
    ]
    assert values == [1.0, 1.0]


@pytest.fixture
def features(tmp_path, monkeypatch):
    """A target of numbers, and two files of features beside it.

    One tells its classes apart and one is noise.
    """
    monkeypatch.chdir(tmp_path)
    labels = np.arange(80) % 2
    inputs = random.normal(size=(80, 4))
    np.savez(tmp_path / "numbers.npz", inputs=inputs, labels=labels)
    np.savez(tmp_path / "good.npz", features=random.normal(size=(80, 5)) + 3 * np.eye(2, 5)[labels])
    np.savez(tmp_path / "noise.npz", features=random.normal(size=(80, 5)))
    return ["-s", "npz:noise.npz", "-s", "npz:good.npz", "-t", "numbers.npz"]


@pytest.mark.slow
def test_rank_prints_forecasts_verdicts_and_reasons(run, features, tmp_path):
    pictures = ("--gain-figure", tmp_path / "gain.png", "--forecast-figure", tmp_path / "both.png")
    status, out, err = run("rank", *features, *pictures, "--quiet")
    assert (status, err) == (0, "")
    lines = [line for line in out.splitlines() if line.startswith("│")]
    good = next(line for line in lines if "good.npz" in line and "%" in line)
    assert any(
        verdict in good
        for verdict in ("fine-tune", "probe only", "train from scratch", "cannot tell")
    )
    assert " to " in good
    assert "good.npz: " in out
    assert "because" in out
    assert "expected gain over scratch" in out
    assert "only 80 rows" in out
    for path in pictures[1::2]:
        with Image.open(path) as picture:
            assert picture.width > 500
    status, out, _ = run("rank", *features, "--json")
    best, last = json.loads(out)["rows"]
    assert "good" in best["source"]
    assert best["accuracy"]["low"] <= best["accuracy"]["value"] <= best["accuracy"]["high"]
    assert best["verdict"]
    assert best["reasons"]
    assert best["accuracy"]["value"] > last["accuracy"]["value"]


def test_a_report_is_written_while_ranking_and_of_a_saved_ranking(run, features, tmp_path):
    page, saved = tmp_path / "now.html", tmp_path / "ranking.json"
    options = ("--scorers", "knn,logme", "--html", page, "--json")
    status, out, _ = run("rank", *features, *options)
    assert status == 0
    assert page.read_text("utf-8").count("<svg") == 2, "maps of the best and the worst source"
    saved.write_text(out, encoding="utf-8")
    assert run("report", saved)[:2] == (0, f"written to {tmp_path / 'ranking.html'}\n")
    later = (tmp_path / "ranking.html").read_text("utf-8")
    assert "The maps are not in the saved ranking" in later
    assert "good.npz" in later
    saved.write_text("{}", encoding="utf-8")
    status, out, err = run("report", saved)
    assert (status, out) == (1, "")
    assert "expected JSON of schema" in err


def test_wide_shows_every_column(run, features):
    status, narrow, _ = run("rank", *features, "--quiet")
    assert status == 0
    assert "no room for" in narrow
    status, wide, _ = run("rank", *features, "--quiet", "--wide")
    assert status == 0
    assert "no room for" not in wide
    assert max(map(len, wide.splitlines())) > 200


def test_rank_goes_by_a_calibration_of_ones_own(run, features, tmp_path):
    path = tmp_path / "calibration.json"
    path.write_text(made_calibration(gain=made_line({}, intercept=0.123)).to_json())
    status, out, _ = run("rank", *features, "--calibration", path, "--json")
    assert status == 0
    assert [row["forecasts"][0]["parts"] for row in json.loads(out)["rows"]] == [{}, {}]
    for row in json.loads(out)["rows"]:  # the gain is one of log-odds
        arms = (row[name]["value"] for name in ("accuracy", "scratch_accuracy"))
        accuracy, scratch = (math.log(share / (1 - share)) for share in arms)
        assert accuracy - scratch == pytest.approx(0.123)


def test_screen_in_words_and_as_json(run, features):
    status, out, err = run("screen", *features, "--keep", 1, "--quiet")
    assert (status, err) == (0, "")
    keep, drop = (
        next(line for line in out.splitlines() if line.strip("│ ").startswith(word))
        for word in ("keep", "drop")
    )
    assert "good.npz" in keep
    assert "noise.npz" in drop
    assert "1 kept, 1 dropped, 0.00 trainings spent" in out
    status, out, _ = run("screen", *features, "--keep", 2, "--budget", 3, "--json")
    assert status == 0
    found = json.loads(out)
    assert len(found["kept"]) == 2
    assert (found["dropped"], found["spent"], found["budget"]) == ([], 0, 3)
    assert {row["source"] for row in found["rows"]} == set(found["kept"])


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("rank", ("--effort", "long"), 'effort: expected "cache", "anchor" or "short"'),
        (
            "rank",
            ("--effort", "short", "--share", "2"),
            "share: expected a part of one training, above 0 and at most 1, got 2.0",
        ),
        (
            "rank",
            ("--calibration", "none.json"),
            "none.json: expected a calibration, got No such file",
        ),
        ("rank", ("--gain-figure", "gain.xyz"), "expected a"),
        (
            "rank",
            ("--scorers", "knn", "--gain-figure", "gain.png"),
            "--gain-figure: expected a forecast, there is none",
        ),
        (
            "rank",
            ("--scorers", "knn", "--forecast-figure", "both.png"),
            "--forecast-figure: expected a forecast, there is none",
        ),
        ("screen", ("--keep", "0"), "keep: expected a whole number of at least 1, got 0"),
        (
            "screen",
            ("--budget", "-1"),
            "budget: expected a number of trainings above 0, or None, got -1.0",
        ),
        ("screen", ("-s", "zoo/nothing*"), "zoo/nothing"),
    ],
)
def test_what_cannot_be_forecast_is_one_sentence(
    run, features, tmp_path, command, arguments, words
):
    status, out, err = run(command, *features, *arguments, "--quiet")
    assert (status, out) == (1, "")
    assert words in err
    assert err.startswith("featalign: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "gain.png").exists()


def test_effort_short_wants_classes(run, tmp_path):
    np.savez(
        tmp_path / "slopes.npz", inputs=random.normal(size=(20, 4)), labels=random.normal(size=20)
    )
    np.savez(tmp_path / "some.npz", features=random.normal(size=(20, 3)))
    status, out, err = run(
        "rank", "-s", f"npz:{tmp_path}/some.npz", "-t", tmp_path / "slopes.npz", "--effort", "short"
    )
    assert (status, out) == (1, "")
    assert "expected a target with classes to tell apart, slopes has none" in err


@pytest.mark.slow
def test_demo_writes_table_json_and_pictures_and_checks_the_best_and_the_worst(
    run, tmp_path, monkeypatch, three_sources
):
    import featalign as fa
    from featalign.study import check

    trained, target = [], fa.Target.from_arrays("clouds", *clouds(60, 0))
    result = fa.fine_tune(
        small_source(), target, arm="probe", steps=5, learning_rates=[0.01], progress=False
    )

    def pretended(row, source, target):
        trained.append((row.source, source.name, len(target), target.held_out is not None))
        return check.Checked(row, result, result)

    monkeypatch.setattr(check, "check_row", pretended)
    status, out, _ = run("demo", "--check", "--output", tmp_path / "demo")
    assert status == 0
    stored = json.loads((tmp_path / "demo" / "ranking.json").read_text())
    assert (stored["num_rows"], stored["ordered_by"]) == (300, "forecast")
    order = [row["source"] for row in stored["rows"]]
    assert len(order) == 3
    assert order.index("zoo/resnet_digits") < order.index("zoo/resnet_noise")
    assert trained == [(name, name, 300, True) for name in (order[0], order[-1])]
    assert all(name in out for name in order)
    assert "forecast and result" in out
    pictures = [tmp_path / "demo" / name for name in ("forecast.png", "ranking.png", "gain.png")]
    assert "<svg" in (tmp_path / "demo" / "report.html").read_text("utf-8")
    assert all(path.stat().st_size > 10_000 for path in pictures)

    monkeypatch.setattr("featalign.jobs.answers.computed", lambda *given: pytest.fail("computed"))
    monkeypatch.setattr("featalign.cli.demo._draw", lambda *given: pytest.fail("drawn"))
    status, again, _ = run("demo", "--output", tmp_path / "demo")
    assert (status, again) == (0, out[: len(again)])
    pictures[0].unlink()
    monkeypatch.setattr("featalign.cli.demo._draw", lambda ranking, folder, page: trained.clear())
    assert run("demo", "--output", tmp_path / "demo")[0] == 0
    assert trained == []  # drawn again where a picture is missing


def test_help_and_version_are_quick_and_light():
    script = (
        "import sys; sys.argv = ['featalign', '--help']\n"
        "from featalign.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
    )
    script += (
        "print('heavy:', sorted({'jax', 'flax', 'h5py', 'matplotlib', 'sklearn', 'pandas'} "
        "& set(sys.modules)))"
    )
    environment = {**os.environ, "COLUMNS": "100"}
    shown = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    ).stdout
    assert "rank" in shown
    assert "heavy: []" in shown


def commands(group, path=()):
    """Every verb of the shell, with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield " ".join((*path, name)), command


def test_an_option_says_the_same_wherever_it_is():
    """Declared once; those that mean another thing to each verb are named here."""
    of_their_verb = {
        "--source",
        "--target",
        "--layer",
        "--arm",
        "--output",
        "--evidence",
        "--budget",
    }
    found: dict[str, dict[str | None, list[str]]] = {}
    verbs = dict(commands(typer.main.get_command(app)))
    assert {"rank", "fine-tune", "cache import", "validate fit"} <= set(verbs)
    for verb, command in verbs.items():
        for option in command.params:
            for name in option.opts:
                if name.startswith("--"):
                    found.setdefault(name, {}).setdefault(option.help, []).append(verb)
    assert len(found["--cache"]) == 1
    assert {name for name, helps in found.items() if len(helps) > 1} == of_their_verb | {"--short"}


def test_the_package_runs_as_a_module():
    run_by = [sys.executable, "-m", "featalign", "--version"]
    found = subprocess.run(run_by, capture_output=True, text=True, check=True)
    assert fa.__version__ in found.stdout
