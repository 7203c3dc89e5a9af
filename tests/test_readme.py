import re
import shlex
import sys
from pathlib import Path

import pytest

from featalign.scorers.registry import SCORERS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
WORDS = {True: "larger", False: "smaller", None: "neither"}


def blocks(language):
    return [
        content
        for name, content in re.findall(r"^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
        if name == language
    ]


@pytest.mark.slow
def test_the_python_examples_run_one_after_the_other(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("FEATALIGN_CACHE", str(tmp_path))
    first, screening, tangents, training = blocks("python")
    assert len([line for line in first.splitlines() if line.strip()]) <= 10
    names = {}
    exec(compile(first, "README.md", "exec"), names)
    assert capsys.readouterr().out.splitlines()[-1].startswith("zoo/resnet_digits Interval(")
    assert names["ranking"].rows[-1].source == "zoo/resnet_noise"
    exec(compile(screening, "README.md", "exec"), names)
    assert names["kept"].kept == ("zoo/resnet_digits",)
    assert "drop zoo/resnet_noise" in capsys.readouterr().out
    exec(compile(tangents, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "zoo/resnet_digits random twin 0" in printed
    assert "black box" in printed
    exec(compile(training, "README.md", "exec"), names)
    assert names["full"].accuracy.value > names["scratch"].accuracy.value


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
