"""How the shell behaves: how much it says, in which words, at once, and with which completion."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import featalign as fa
from featalign.cli.wording import in_flags
from featalign.log import LOGGER
from featalign.nearest import did_you_mean
from featalign.progress import progress_bar, silent

DRAW = np.random.default_rng(0)
LABELS = np.arange(40) % 2


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A target of numbers and two files of features, in the working folder."""
    monkeypatch.chdir(tmp_path)
    np.savez("numbers.npz", inputs=DRAW.normal(size=(40, 4)), labels=LABELS)
    for name in ("one", "two"):
        np.savez(f"{name}.npz", features=DRAW.normal(size=(40, 3)) + LABELS[:, None])
    return ["-s", "npz:one.npz", "-s", "npz:two.npz", "-t", "numbers.npz", "--scorers", "knn"]


def test_a_line_for_each_source_where_there_is_no_terminal(run, files):
    status, out, err = run("rank", *files)
    assert status == 0
    assert "npz:one.npz" in out
    lines = err.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "featalign: npz:one.npz: done",
        "featalign: npz:two.npz: done",
    ]
    assert lines[1].endswith("(2 of 2)")
    status, _, err = run("rank", *files, "-s", "npz:none.npz")
    assert status == 1
    assert "featalign: npz:none.npz: failed, " in err


def test_quiet_and_verbose(run, files):
    _, out, err = run("rank", *files, "--quiet", "--subset", 99)
    assert err == ""
    assert "npz:two.npz" in out
    _, _, err = run("rank", *files, "--verbose")
    assert "featalign: npz:one.npz: computed as far as the cache " in err
    assert run("rank", *files, "-s", "npz:none.npz", "--json", "-q")[2].startswith(
        "featalign: npz:none.npz: "
    )  # errors are said all the same
    assert LOGGER.level == logging.NOTSET
    assert LOGGER.propagate
    assert all(isinstance(each, logging.NullHandler) for each in LOGGER.handlers)


def test_on_a_terminal_bars_take_the_place_of_lines(run, files, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    _, _, err = run("rank", *files)
    assert "npz:one.npz: done" not in err


def test_python_hears_through_the_logger_alone(files, capsys, caplog, tmp_path):
    target = fa.load_target("numbers.npz")
    with caplog.at_level(logging.INFO, logger="featalign"):
        fa.rank("npz:one.npz", target, cache=tmp_path / "c", scorers=["knn"])
    assert [record.name for record in caplog.records] == ["featalign"]
    assert "npz:one.npz: done" in caplog.text
    fa.rank("npz:two.npz", target, cache=tmp_path / "c", scorers=["knn"])
    assert capsys.readouterr() == ("", "")


def test_no_bar_where_the_logger_is_turned_down(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    LOGGER.setLevel(logging.ERROR)
    try:
        with progress_bar() as report:
            assert report is silent
    finally:
        LOGGER.setLevel(logging.NOTSET)
    with progress_bar() as report:
        assert report is not silent


@pytest.mark.parametrize("verb", ["rank", "embed", "screen"])
def test_a_cache_that_cannot_be_made_is_said_before_anything_is_read(
    run, tmp_path, monkeypatch, verb
):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(
        "featalign.targets.loaders.load_chosen", lambda *given, **more: pytest.fail("it was read")
    )
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        named = ("-s", "zoo/resnet_digits", "-t", "sklearn:digits", "--cache", place)
        status, _, err = run(verb, *named)
        assert status == 1
        assert err.startswith("featalign: --cache: ")
        assert "choose another place with --cache or FEATALIGN_CACHE" in err
    with pytest.raises(fa.FeatalignError, match=r"^cache: .*with cache= or FEATALIGN_CACHE"):
        fa.rank("zoo/resnet_digits", "sklearn:digits", cache=tmp_path / "file")


def test_a_subset_larger_than_the_data_is_said(run, files, tmp_path):
    told = "subset: 5000 rows were asked for, there are 40: all are used"
    _, out, _ = run("rank", *files, "--subset", 5000)
    assert f"--{told}" in out
    target = fa.load_target("numbers.npz", subset=5000)
    assert target.remarks == (told,)
    assert fa.load_target("numbers.npz", subset=40).remarks == ()
    assert target.fingerprint == fa.load_target("numbers.npz").fingerprint
    (tmp_path / "words.csv").write_text("text,label\n" + "a b,x\nc d,y\n" * 4)
    assert fa.load_target("words.csv", subset=9).remarks == (
        "subset: 9 rows were asked for, there are 8: all are used",
    )


def test_a_redirected_print_has_the_layout_of_the_shell(run, files, tmp_path):
    _, out, _ = run("rank", *files, "--cache", tmp_path / "c")
    sources = ["npz:one.npz", "npz:two.npz"]
    ranking = fa.rank(sources, "numbers.npz", cache=tmp_path / "c", scorers=["knn"])
    assert str(ranking) == "\n".join(line.rstrip() for line in out.splitlines())
    assert "┃ source" in str(ranking)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("layer: zoo/x has no layer 'a'", "--layers: zoo/x has no layer 'a'"),
        (
            "set.csv: label: no column 'y'; say label='z'",
            "set.csv: --label: no column 'y'; say --label z",
        ),
        ("text, image: expected one", "--text, --image: expected one"),
        ("a.npz: labels: expected two classes", "a.npz: labels: expected two classes"),
        ("say separator='|' to have several", "say --separator '|' to have several"),
        ('use effort="short"', "use --effort short"),
        ("learning_rates: expected some", "--learning-rate: expected some"),
        ("hf/FOLDER?allow_pickle=x.bin", "hf/FOLDER?allow_pickle=x.bin"),
    ],
)
def test_arguments_become_flags(message, expected):
    flags = {name: f"--{name}" for name in ("label", "text", "image", "separator", "effort")}
    flags |= {"layer": "--layers", "learning_rates": "--learning-rate"}
    assert in_flags(message, flags) == expected
    assert in_flags(message, {}) == message


def test_what_was_meant():
    known = ["linear_probe", "knn", "Label", "stage_1"]
    assert did_you_mean("LABELS", known) == "did you mean 'Label'? "
    assert did_you_mean("stage 1", known) == "did you mean 'stage_1'? "
    assert did_you_mean("quite another", known) == ""
    assert did_you_mean(3, known) == ""
    assert did_you_mean("knn", []) == ""


def test_names_in_python_are_suggested_with_the_names_of_python(files):
    with pytest.raises(fa.FeatalignError, match=r"^scorers: .*did you mean 'knn_5'"):
        fa.score(np.ones((4, 2)), [0, 1, 0, 1], ["knn5"])
    with pytest.raises(fa.FeatalignError, match=r"did you mean .numbers\.npz."):
        fa.load_target("number.npz")


def complete(*words):
    script = "import sys; sys.argv = ['featalign']; from featalign.cli import main; main()"
    environment = {
        **os.environ,
        "_FEATALIGN_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=False
    )
    return found.stdout.split()


def test_the_shell_completes_verbs_options_and_names():
    assert complete("featalign", "sco") == ["score", "scorers"]
    assert "--scorers" in complete("featalign", "rank", "--sc")
    assert complete("featalign", "rank", "-s", "zoo/resnet_di") == ["zoo/resnet_digits"]


def test_types_are_shipped_and_scipy_stats_is_not_loaded():
    assert (Path(fa.__file__).parent / "py.typed").is_file()
    code = (
        "import sys, featalign.api, featalign.cli.app, featalign.jobs.answers; "
        "import featalign.screening, featalign.views.other_cells, featalign.study.ground_truth; "
        "import featalign.distances.registry; "
        "print(*[name for name in sys.modules if name.startswith('scipy.stats')])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == ""
