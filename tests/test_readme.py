import re
import shlex
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import featalign as fa
from featalign.scorers.registry import SCORERS
from tests.conftest import of_three_sources

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORDS = {True: "larger", False: "smaller", None: "neither"}


def blocks(language):
    return [
        content
        for name, content in re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
        if name == language
    ]


@pytest.fixture
def flowers(tmp_path, monkeypatch):
    """A working folder with images in `flowers/`, one folder for each class."""
    draw = np.random.default_rng(0)
    for place, name in enumerate(("daisy", "rose", "tulip")):
        (tmp_path / "flowers" / name).mkdir(parents=True)
        for number in range(12):
            pixels = draw.integers(0, 80, (16, 16, 3), np.uint8)
            pixels[..., place] += 150
            Image.fromarray(pixels).save(tmp_path / "flowers" / name / f"{number}.png")
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_the_python_examples_run_one_after_the_other(tmp_path, monkeypatch, capsys, flowers):
    monkeypatch.setenv("FEATALIGN_CACHE", str(tmp_path / "cache"))
    images, shown, first, screening, tangents, training = blocks("python")
    assert sum(bool(line.strip()) for line in images.splitlines()) == 1 + 3
    names = {}
    with monkeypatch.context() as patched:
        of_three_sources(patched)
        exec(compile(images, "README.md", "exec"), names)
    assert len(names["ranking"].rows) == 3
    assert names["ranking"].best.verdict
    exec(compile(shown, "README.md", "exec"), names)
    assert Path("report.html").read_text("utf-8") == names["page"]
    assert names["gains"].figure is names["arms"].figure
    capsys.readouterr()
    exec(compile(first, "README.md", "exec"), names)
    assert capsys.readouterr().out.splitlines()[-1].startswith("zoo/resnet_digits Interval(")
    assert names["ranking"].rows[-1].source == "zoo/resnet_noise"
    assert names["scores"]["logme"].ok
    exec(compile(screening, "README.md", "exec"), names)
    assert names["kept"].kept == ("zoo/resnet_digits",)
    shown = capsys.readouterr().out.splitlines()
    assert any("drop" in line and "zoo/resnet_noise" in line for line in shown)
    exec(compile(tangents, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "zoo/resnet_digits random twin 0" in printed
    assert "black box" in printed
    exec(compile(training, "README.md", "exec"), names)
    assert names["full"].accuracy.value > names["scratch"].accuracy.value


def test_the_parts_of_an_answer_are_those_of_the_records():
    table = README[README.index("## Reading the answer") : README.index("## Limits")]
    told = re.findall(r"`(row|ranking)\.([\w.]+)`", table)
    assert len(told) > 8
    kinds = {"row": fa.RankingRow, "ranking": fa.Ranking, "forecast": fa.Forecast}
    for owner, path in told:
        *before, name = path.split(".")
        kind = kinds[before[-1] if before and before[-1] in kinds else owner]
        kind = fa.Interval if before and before[-1] not in kinds else kind
        members = {each.name for each in fields(kind)} | set(dir(kind))
        assert name.removesuffix("()") in members, path


@pytest.mark.slow
def test_the_shell_examples_run(tmp_path, monkeypatch, capsys):
    from featalign.cli import main

    monkeypatch.setenv("FEATALIGN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("featalign.jobs.compiled.keep_compiled", lambda: None)
    commands = [
        line for block in blocks("") for line in block.splitlines() if line.startswith("featalign ")
    ]
    assert len(commands) == 5
    for command in commands:
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as caught:
            main()
        assert not caught.value.code, command
    assert (tmp_path / "ranking.png").exists()
    assert (tmp_path / "gain.png").exists()
    assert (tmp_path / "forecast.png").exists()
    assert "embeddings" in capsys.readouterr().out


def test_the_table_of_scorers_agrees_with_the_registry():
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (\w+) \|$", README, re.MULTILINE)
    assert rows == [
        (scorer.name, scorer.summary, WORDS[scorer.larger_is_better]) for scorer in SCORERS
    ]


def test_constraints_are_names_and_versions_alone():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert lines
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in lines)
