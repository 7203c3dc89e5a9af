"""A design in the place of a full grid: what it says, and what is refused."""

import json

import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.jobs.gather_evidence import REFERENCE
from featalign.study.design import read_design
from featalign.study.gathering import EVIDENCE_KEY, run_evidence, run_short
from featalign.study.grid import jobs, read_grid
from featalign.study.records import read_records
from featalign.study.run import run_study

GRID = """
design = "design.jsonl"
arms = ["scratch", "probe"]
min_steps = 5
epochs = 1
[scratch]
"zoo/resnet_*" = "zoo/resnet_aerial"
"""
LINES = (
    {
        "target": "numbers",
        "dataset": "signs",
        "address": "numbers.npz",
        "pairs": [
            ["zoo/resnet_digits", 60, [0]],
            ["zoo/resnet_clothing", 60, [0, 1]],
            ["zoo/resnet_digits", 30, [0]],
        ],
    },
    {
        "target": "shapes",
        "dataset": "forms",
        "address": "shapes.npz",
        "pairs": [["zoo/resnet_aerial", 30, [1]]],
    },
)


@pytest.fixture
def grid(tmp_path):
    random = np.random.default_rng(0)
    for place, name in enumerate(("numbers", "shapes")):
        images = random.integers(0, 256, (120, 8, 8)).astype(np.uint8)
        labels = np.arange(120) % (3 + place)
        np.savez(
            tmp_path / f"{name}.npz",
            x_train=images[:80],
            y_train=labels[:80],
            x_test=images[80:],
            y_test=labels[80:],
        )
    write(tmp_path, LINES)
    (tmp_path / "grid.toml").write_text(GRID)
    return tmp_path / "grid.toml"


def write(folder, lines):
    (folder / "design.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_pairs_have_their_own_seeds_in_the_order_of_the_design_and_scratch_comes_first(grid):
    stated = read_grid(grid)
    assert stated.targets == {"numbers": "numbers.npz", "shapes": "shapes.npz"}
    assert stated.datasets == {"numbers": "signs", "shapes": "forms"}
    found = []
    for unit, pairs in jobs(stated):
        found.append((unit.source.removeprefix("zoo/resnet_"), unit.target, unit.size, pairs))
    assert found == [
        ("aerial", "numbers", 60, [(0, "scratch"), (1, "scratch")]),
        ("digits", "numbers", 60, [(0, "probe")]),
        ("clothing", "numbers", 60, [(0, "probe"), (1, "probe")]),
        ("aerial", "numbers", 30, [(0, "scratch")]),
        ("digits", "numbers", 30, [(0, "probe")]),
        ("aerial", "shapes", 30, [(1, "scratch"), (1, "probe")]),
    ]


@pytest.mark.slow
def test_records_name_the_data_set_and_are_made_once(grid, tmp_path):
    stated, path = read_grid(grid), tmp_path / "records.jsonl"
    assert run_study(stated, path) == 9
    assert run_study(stated, path) == 0
    assert {(record["target"], record["dataset"]) for record in read_records(path)} == {
        ("numbers", "signs"),
        ("shapes", "forms"),
    }


@pytest.mark.slow
def test_evidence_and_short_runs_are_of_the_pairs_and_seeds_of_the_design(grid, tmp_path):
    write(tmp_path, LINES[1:])
    stated = read_grid(grid)
    run_evidence(stated, tmp_path / "evidence.jsonl", cache=tmp_path / "cache")
    every = read_records(tmp_path / "evidence.jsonl", key=EVIDENCE_KEY)
    found = [each for each in every if each["source"] != REFERENCE]
    assert [(each["size"], each["seed"]) for each in every if each not in found] == [(30, 1)]
    assert [(each["source"], each["target"], each["size"], each["seed"]) for each in found] == [
        ("zoo/resnet_aerial", "shapes", 30, 1),
    ]
    run_short(stated, tmp_path / "short.jsonl", cache=tmp_path / "cache")
    assert [(each["seed"], each["arm"]) for each in read_records(tmp_path / "short.jsonl")] == [
        (1, "scratch"),
        (1, "full"),
    ]


@pytest.mark.parametrize("name", ["sources", "sizes", "seeds", "targets"])
def test_a_design_stands_for_the_grid(grid, name):
    entry = '[targets]\nnumbers = "numbers.npz"\n' if name == "targets" else f"{name} = [1]\n"
    text = grid.read_text()
    grid.write_text(text + entry if name == "targets" else entry + text)
    with pytest.raises(FeatalignError, match=rf"expected 'design' or '{name}', got both"):
        read_grid(grid)


def test_a_source_that_has_seen_the_data_set_is_refused(grid, tmp_path):
    write(tmp_path, [{**LINES[0], "dataset": "mnist"}])
    with pytest.raises(FeatalignError, match=r"digits was pretrained on numbers; take it"):
        read_grid(grid)
    write(tmp_path, LINES)
    grid.write_text(GRID + '[seen]\n"zoo/*_clothing" = ["signs"]\n')
    with pytest.raises(FeatalignError, match=r"zoo/resnet_clothing was pretrained on numbers"):
        read_grid(grid)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"line 1: expected an object in JSON, got '\{'"),
        ('{"target": "a"}', r"line 1: expected an object with target, dataset, address, pairs"),
        (json.dumps({**LINES[0], "dataset": 3}), r"expected a word in 'dataset', got 3"),
        (json.dumps({**LINES[0], "pairs": {}}), r"expected a list in 'pairs', got \{\}"),
        (
            json.dumps({**LINES[0], "pairs": [["zoo/resnet_digits", 60, []]]}),
            r"expected \[source, size, \[seed, ...\]\], got",
        ),
        (
            json.dumps({**LINES[0], "pairs": [["zoo/resnet_digits", True, [0]]]}),
            r"expected \[source, size",
        ),
        (
            json.dumps({**LINES[0], "pairs": [["zoo/resnet_digits", 60, [0, 0]]]}),
            r"expected \[source, size",
        ),
        (
            json.dumps({**LINES[0], "pairs": [["a", 60, [0]], ["a", 60, [1]]]}),
            r"each source and size once, got 'a', 60 again",
        ),
        (
            json.dumps(LINES[0]) + "\n" + json.dumps(LINES[0]),
            r"line 2: expected a target once, got 'numbers' again",
        ),
        (json.dumps({**LINES[0], "pairs": []}), r"expected at least one pair, got none"),
    ],
)
def test_a_design_that_cannot_be_used_is_refused_by_line(tmp_path, line, message):
    (tmp_path / "design.jsonl").write_text(line + "\n")
    with pytest.raises(FeatalignError, match=message):
        read_design(tmp_path / "design.jsonl")


def test_a_design_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(FeatalignError, match=r"expected a design in JSON lines, but it cannot"):
        read_design(tmp_path / "none.jsonl")
