"""The study: what a grid means, and that it survives kills and takes two processes at once."""

import json
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.sources.source import Source
from featalign.study.gathering import EVIDENCE_KEY, run_evidence
from featalign.study.grid import jobs, read_grid
from featalign.study.records import KEY, evidence_in, read_records
from featalign.study.run import run_study

GRID = """
sources = ["zoo/resnet_digits", "zoo/resnet_aerial"]
sizes = [30, 60]
seeds = [0, 1, 2]
arms = ["probe"]
min_steps = 5
epochs = 1
[targets]
numbers = "numbers.npz"
shapes = "shapes.npz"
"""
COUNT = 2 * 2 * 2 * 3
SMALL = (  # one source, one size, one seed
    GRID.replace(", 1, 2]", "]").replace("[30, 60]", "[30]").replace(', "zoo/resnet_aerial"', "")
)


@pytest.fixture
def grid(tmp_path):
    random = np.random.default_rng(0)
    for place, name in enumerate(("numbers", "shapes")):
        images = random.integers(0, 256, (120, 8, 8)).astype(np.uint8)
        np.savez(
            tmp_path / f"{name}.npz",
            x_train=images[:80],
            y_train=np.arange(80) % (3 + place),
            x_test=images[80:],
            y_test=np.arange(40) % 3,
        )
    path = tmp_path / "grid.toml"
    path.write_text(GRID)
    return path


def start(grid: Path) -> subprocess.Popen:
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from featalign.cli import main; main()",
            "validate",
            "run",
            str(grid),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen) -> str:
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output


@pytest.mark.slow
def test_ten_kills_lose_no_record_and_double_none(grid):
    path, chance, seen = grid.with_name("records.jsonl"), random.Random(0), []
    for _ in range(10):
        process = start(grid)
        # until it writes its first record or ends, then a random moment more: most of its time is
        # start-up
        while process.poll() is None and len(read_records(path)) == len(seen):
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        now = read_records(path)
        assert now[: len(seen)] == seen
        seen = now
    assert len(seen) >= 5, "the kills came too early to say anything"
    finish(start(grid))
    keys = [
        tuple(json.loads(line)[name] for name in KEY)
        for line in path.read_text().splitlines()
        if line.endswith("}")
    ]
    assert len(keys) == len(set(keys)) == COUNT
    assert read_records(path)[: len(seen)] == seen
    assert "0 arms trained" in finish(start(grid))


@pytest.mark.slow
def test_two_processes_at_once_share_the_work(grid):
    processes = [start(grid), start(grid)]
    counts = [int(finish(process).split()[0]) for process in processes]
    path = grid.with_name("records.jsonl")
    lines = path.read_text().splitlines()
    assert len(lines) == len(read_records(path)) == sum(counts) == COUNT


def test_scratch_comes_first_and_own_data_and_sizes_without_rows_are_left_out(grid, tmp_path):
    text = GRID.replace('["probe"]', '["scratch", "full"]').replace("[30, 60]", "[30, 7, 500]")
    grid.write_text(
        text.replace('shapes = "shapes.npz"', 'mnist = "shapes.npz"')
        + '[scratch]\n"zoo/resnet_*" = "zoo/resnet_aerial"\n'
    )
    found = jobs(read_grid(grid))
    assert {unit.size for unit, _ in found} == {30, 7}
    assert [(unit.target, unit.source) for unit, _ in found if unit.size == 30] == [
        ("numbers", "zoo/resnet_aerial"),
        ("numbers", "zoo/resnet_digits"),
        ("mnist", "zoo/resnet_aerial"),
    ]
    assert all(
        ("scratch" in {arm for _, arm in pairs}) == (unit.source == "zoo/resnet_aerial")
        for unit, pairs in found
    )
    assert not any(
        unit.target == "mnist" and unit.size == 7 for unit, _ in found
    )  # fewer than two rows a class


@pytest.mark.slow
def test_records_say_what_was_done(grid, tmp_path):
    grid.write_text(
        GRID.replace("[0, 1, 2]", "[0]")
        .replace("[30, 60]", "[30]")
        .replace('["probe"]', '["scratch", "probe"]')
    )
    path = tmp_path / "elsewhere.jsonl"
    stated = read_grid(grid)
    assert run_study(stated, path) == 8
    records = read_records(path)
    for record in records:
        assert record["num_training"] + record["num_validation"] == 30
        assert record["num_test"] == 40
        assert record["setting"]["steps"] == 5
        assert len(record["runs"]) == (4 if record["arm"] == "probe" else 2)
        best = max(
            record["runs"], key=lambda run: (run["validation_accuracy"], -run["validation_loss"])
        )
        assert record["setting"]["learning_rate"] == best["learning_rate"]
        assert record["setting"]["head_penalty"] == best.get("head_penalty", 0)
        assert record["accuracy"]["value"] == pytest.approx(best["test_accuracy"], abs=1e-5)
    assert run_study(stated, path) == 0


def means() -> Source:
    """A black box: the means of rows and of columns."""
    return Source.from_function(
        "means",
        lambda images: np.stack([np.r_[each.mean(0), each.mean(1)] for each in images]),
        revision="1",
    )


def test_probes_of_a_black_box_are_records_too(grid, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATALIGN_CACHE", str(tmp_path / "cache"))
    text = GRID.replace(
        '"zoo/resnet_digits", "zoo/resnet_aerial"', '"py:tests.study.test_run:means"'
    ).replace("[30, 60]", "[30]")
    grid.write_text(text)
    assert run_study(read_grid(grid), tmp_path / "records.jsonl") == 2 * 3
    records = read_records(tmp_path / "records.jsonl")
    assert {(each["source"], each["arm"], each["num_test"]) for each in records} == {
        ("py:tests.study.test_run:means", "probe", 40)
    }
    assert run_study(read_grid(grid), tmp_path / "records.jsonl") == 0
    grid.write_text(text.replace('["probe"]', '["scratch", "probe", "full"]'))
    assert {arm for _, pairs in jobs(read_grid(grid)) for _, arm in pairs} == {"probe"}
    np.savez(tmp_path / "features.npz", features=np.ones((80, 3)))
    grid.write_text(
        text.replace("py:tests.study.test_run:means", f"npz:{tmp_path / 'features.npz'}")
    )
    with pytest.raises(
        FeatalignError,
        match=r"expected sources that embed any target, .* holds the features of one; take it out "
        r"of the grid",
    ):
        read_grid(grid)


@pytest.mark.slow
def test_evidence_is_gathered_once(grid, tmp_path):
    grid.write_text(
        GRID.replace("[0, 1, 2]", "[0]")
        .replace("[30, 60]", "[30]")
        .replace('"zoo/resnet_digits", ', "")
    )
    path, stated = tmp_path / "evidence.jsonl", read_grid(grid)
    assert run_evidence(stated, path, cache=tmp_path / "cache") == 4  # the reference's too
    assert run_evidence(stated, path, cache=tmp_path / "cache") == 0
    for record in read_records(path, key=EVIDENCE_KEY):
        known = evidence_in(record)
        assert known.capability == "gradients"
        assert known.own["tangent_gain"] == pytest.approx(
            known.difference("tangent_probe"), abs=1e-5
        )
        assert known.reference is not None
        for numbers in (known.own, known.twins):
            assert {"linear_probe", "logme", "tangent_activations"} <= set(numbers)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("sizes = [30, 60]", ""), r"expected an entry 'sizes', got none"),
        (("seeds = [0, 1, 2]", "seeds = [-1]"), r"expected whole numbers in 'seeds', got -1"),
        (("sizes = [30, 60]", "sizes = 30"), r"expected a list in 'sizes', got 30"),
        (('["probe"]', '["magic"]'), r"expected arms among scratch, .*, got 'magic'"),
        (("min_steps = 5", "minimum = 5"), r"expected entries .*, got 'minimum'"),
        (("epochs = 1", "epochs = 0"), r"expected a whole number of at least 1 in 'epochs', got 0"),
        (
            ("epochs = 1", "learning_rates = [0.1, 0.1]"),
            r"learning_rates: expected each number once",
        ),
        (("zoo/resnet_aerial", "zoo/nothing"), r"there is no zoo/nothing"),
        (("[targets]", "[targets"), r"expected a grid in TOML, got something else"),
        (('"numbers.npz"', "3"), r"expected a table of names and addresses in \[targets\]"),
    ],
)
def test_a_grid_that_cannot_be_used_is_refused_by_name(grid, change, message):
    grid.write_text(grid.read_text().replace(*change))
    with pytest.raises(FeatalignError, match=message):
        read_grid(grid)


def test_a_grid_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FeatalignError, match=r"expected a grid in TOML, got No such file"):
        read_grid(tmp_path / "none.toml")


def test_another_metric_is_recorded_beside_the_accuracy_and_trained_anew(grid):
    path = grid.with_name("records.jsonl")
    grid.write_text(SMALL)
    assert run_study(read_grid(grid), path) == 2
    assert all("metric" not in record for record in read_records(path))
    grid.write_text('metric = "balanced_accuracy"\n' + SMALL)
    judged = read_grid(grid)
    assert run_study(judged, path) == 2
    assert run_study(judged, path) == 0
    for record in read_records(path):
        assert record["metric"] == "balanced_accuracy"
        assert (
            record["measured"]["low"] <= record["measured"]["value"] <= record["measured"]["high"]
        )
        assert all("validation_metric" in run for run in record["runs"])
        assert record["accuracy"]["value"] != record["measured"]["value"]
    grid.write_text('metric = "r2"\n' + SMALL)
    with pytest.raises(FeatalignError, match="metric: expected one of accuracy"):
        read_grid(grid)


def test_a_longer_budget_is_trained_anew(grid):
    path = grid.with_name("records.jsonl")
    small = SMALL.replace('"probe"', '"full"')
    for rounds in (1, 2):
        grid.write_text(f"rounds = {rounds}\n" + small)
        assert run_study(read_grid(grid), path) == 2
        assert run_study(read_grid(grid), path) == 0
        assert {each["setting"]["rounds"] for each in read_records(path)} == {rounds}
