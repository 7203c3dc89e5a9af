"""Evidence and short runs of a grid: what is gathered, what is kept, and when it is done again."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from featalign.jobs.gather_evidence import REFERENCE
from featalign.records.evidence import Evidence
from featalign.study import gathering
from featalign.study.gathering import EVIDENCE_KEY, run_evidence, run_short
from featalign.study.grid import read_grid
from featalign.study.records import evidence_in, read_records
from featalign.training import jax_trainer
from featalign.training.short import ShortRun, run_steps, short_steps

GRID = """
sources = ["zoo/resnet_digits", "zoo/resnet_aerial"]
sizes = [30]
seeds = [0, 1]
min_steps = 300
epochs = 1
[targets]
numbers = "numbers.npz"
shapes = "shapes.npz"
[scratch]
"zoo/resnet_*" = "zoo/resnet_aerial"
"""


@pytest.fixture
def grid(tmp_path):
    random = np.random.default_rng(0)
    for place, name in enumerate(("numbers", "shapes")):
        images = random.integers(0, 256, (60, 8, 8)).astype(np.uint8)
        np.savez(
            tmp_path / f"{name}.npz",
            x_train=images[:40],
            y_train=np.arange(40) % (3 + place),
            x_test=images[40:],
            y_test=np.arange(20) % 3,
        )
    path = tmp_path / "grid.toml"
    path.write_text(GRID)
    return path


@pytest.fixture
def asked(monkeypatch):
    """What is asked for, in the place of training it: (source, rows, arm, steps, batch size)."""
    found = []

    def pretended(source, target, arm, steps, session, *, batch_size):
        found.append((source.name, target.name, len(target), arm, steps, batch_size))
        points = np.arange(10)
        return ShortRun(
            short_steps(steps),
            tuple(1 / (1 + points)),
            tuple(points / 123.456),
            np.zeros((10, len(target)), bool),
        )

    monkeypatch.setattr(gathering, "short_evidence", pretended)
    return found


@pytest.fixture
def looked(monkeypatch):
    """What is looked at, in the place of looking at it: (source, target, rows)."""
    found = []

    def pretended(source, target, wanted, session):
        assert wanted.evidence
        assert wanted.study
        found.append((source.name, target.name, len(target)))
        known = Evidence(capability="features", own={"knn": 0.5})
        return (SimpleNamespace(answer=SimpleNamespace(evidence=known)),)

    monkeypatch.setattr(gathering, "examine", pretended)
    return found


def keys_of(path):
    return [
        tuple(record[name] for name in EVIDENCE_KEY)
        for record in read_records(path, key=EVIDENCE_KEY)
    ]


def test_the_reference_network_is_looked_at_on_every_part_too(grid, looked, tmp_path):
    path = tmp_path / "evidence.jsonl"
    sources = ("zoo/resnet_digits", "zoo/resnet_aerial", REFERENCE)
    assert run_evidence(read_grid(grid), path, cache=tmp_path / "cache") == 3 * 2 * 2
    assert sorted(keys_of(path)) == sorted(
        (source, target, 30, seed)
        for source in sources
        for target in ("numbers", "shapes")
        for seed in (0, 1)
    )
    assert len(looked) == 12
    assert evidence_in(read_records(path, key=EVIDENCE_KEY)[0]).own == {"knn": 0.5}
    assert run_evidence(read_grid(grid), path, cache=tmp_path / "cache") == 0
    assert len(looked) == 12


def test_a_grid_that_has_the_reference_looks_at_it_once(grid, looked, tmp_path):
    grid.write_text(GRID.replace('"zoo/resnet_digits"', f'"{REFERENCE}"', 1))
    path = tmp_path / "evidence.jsonl"
    assert run_evidence(read_grid(grid), path, cache=tmp_path / "cache") == 2 * 2 * 2
    assert len(looked) == len(keys_of(path)) == 8
    assert {source for source, *_ in keys_of(path)} == {REFERENCE, "zoo/resnet_aerial"}


def test_the_reference_is_looked_at_with_every_seed_of_a_design(grid, looked, tmp_path):
    """Sources of one part may have other seeds, and the reference has all of them."""
    pairs = [["zoo/resnet_digits", 30, [0]], ["zoo/resnet_aerial", 30, [2, 0]]]
    line = {"target": "numbers", "dataset": "signs", "address": "numbers.npz", "pairs": pairs}
    (tmp_path / "design.jsonl").write_text(json.dumps(line) + "\n")
    grid.write_text('design = "design.jsonl"\nmin_steps = 5\nepochs = 1\n')
    path = tmp_path / "evidence.jsonl"
    assert run_evidence(read_grid(grid), path, cache=tmp_path / "cache") == 5
    of_reference = [key for key in keys_of(path) if key[0] == REFERENCE]
    assert of_reference == [(REFERENCE, "numbers", 30, 0), (REFERENCE, "numbers", 30, 2)]


def test_where_there_are_no_images_the_reference_is_not_looked_at(
    monkeypatch, grid, looked, tmp_path
):
    monkeypatch.setattr(
        gathering,
        "grid_part",
        lambda grid, unit, seed: SimpleNamespace(
            kind="text", name=unit.target, fingerprint=f"{seed}", held_out=None
        ),
    )
    monkeypatch.setattr(
        gathering,
        "examine",
        lambda source, target, wanted, session: (
            SimpleNamespace(answer=SimpleNamespace(evidence=Evidence(capability="features"))),
        ),
    )
    path = tmp_path / "evidence.jsonl"
    assert run_evidence(read_grid(grid), path, cache=tmp_path / "cache") == 8
    assert REFERENCE not in {source for source, *_ in keys_of(path)}


def test_every_source_runs_and_scratch_once_for_all_that_share_it(grid, asked, tmp_path):
    path = tmp_path / "short.jsonl"
    assert run_short(read_grid(grid), path, cache=tmp_path / "cache") == 2 * 2 * 3
    assert len(asked) == len(set(asked)) + 6  # both seeds look alike from here
    arms = {(name, arm) for name, _, _, arm, _, _ in asked}
    assert arms == {
        ("zoo/resnet_digits", "full"),
        ("zoo/resnet_aerial", "full"),
        ("zoo/resnet_aerial", "scratch"),
    }
    assert {steps for *_, steps, _ in asked} == {150}
    for record in read_records(path):
        assert record["whole"] == 300
        assert record["steps"] == list(range(15, 151, 15))
        assert record["losses"] == [float(f"{1 / (1 + place):.5g}") for place in range(10)]
        assert len(record["accuracies"]) == 10
        assert record["size"] == 30
    keys = [
        (record["source"], record["target"], record["seed"], record["arm"])
        for record in read_records(path)
    ]
    assert len(keys) == len(set(keys)) == 12


def test_what_is_there_is_not_run_again_but_for_what_has_changed(grid, asked, tmp_path):
    path, cache = tmp_path / "short.jsonl", tmp_path / "cache"
    stated = read_grid(grid)
    run_short(stated, path, cache=cache)
    asked.clear()
    assert run_short(stated, path, cache=cache) == 0
    assert asked == []
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0] |= {"fingerprint": "other rows"}
    lines[1] |= {"revision": "other weights"}
    lines[2] |= {"version": 0}
    path.write_text("".join(json.dumps(line) + "\n" for line in lines[:-1]))
    assert run_short(stated, path, cache=cache) == 4
    assert len(asked) == 4


def test_another_budget_is_another_run(grid, asked, tmp_path):
    path, cache = tmp_path / "short.jsonl", tmp_path / "cache"
    run_short(read_grid(grid), path, cache=cache)
    grid.write_text(GRID.replace("min_steps = 300", "min_steps = 400"))
    assert run_short(read_grid(grid), path, cache=cache) == 12
    assert {record["whole"] for record in read_records(path)} == {400}


def test_a_grid_of_few_steps_has_short_runs_too(grid, asked, tmp_path):
    grid.write_text(GRID.replace("min_steps = 300", "min_steps = 5"))
    run_short(read_grid(grid), tmp_path / "short.jsonl", cache=tmp_path / "cache")
    assert {steps for *_, steps, _ in asked} == {10}


def test_short_runs_of_rankings_are_as_long_as_those_of_the_study(grid, asked, tmp_path):
    """The share of a training that `rank` runs is counted in the same steps."""
    grid.write_text(GRID.replace("epochs = 1", "epochs = 15"))
    stated = read_grid(grid)
    for rows in (30, 100, 400, 1600):
        assert run_steps(rows, 1.0) == pytest.approx(stated.steps(round(0.8 * rows)), abs=5)


@pytest.mark.slow
def test_a_real_one_trains_and_keeps_what_it_says(grid, tmp_path, monkeypatch):
    monkeypatch.setattr(
        jax_trainer, "EVALUATION_ROWS", 15
    )  # a half, and not 250 for the most part of nothing
    text = GRID.replace("min_steps = 300", "min_steps = 20").replace(
        "seeds = [0, 1]", "seeds = [0]"
    )
    grid.write_text(
        text.replace(
            'sources = ["zoo/resnet_digits", "zoo/resnet_aerial"]',
            'sources = ["zoo/resnet_aerial"]',
        ).replace('shapes = "shapes.npz"\n', "")
    )
    path, cache = tmp_path / "short.jsonl", tmp_path / "cache"
    assert run_short(read_grid(grid), path, cache=cache) == 2
    records = {record["arm"]: record for record in read_records(path)}
    assert set(records) == {"full", "scratch"}
    for record in records.values():
        assert record["steps"] == list(range(1, 11))
        assert 0 < min(record["losses"]) < 3
        assert all(
            round(30 * accuracy, 2) % 1 in (0, 0.99, 0.01) for accuracy in record["accuracies"]
        )
    assert records["full"]["losses"] != records["scratch"]["losses"]
    assert run_short(read_grid(grid), path, cache=cache) == 0
