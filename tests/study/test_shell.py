"""featalign validate, as people call it."""

import csv
import json

import numpy as np
import pytest

from featalign.forecasting.calibration import read_calibration
from featalign.forecasting.forecast import make_forecast
from featalign.forecasting.predictors import CAPABILITIES
from featalign.forecasting.situation import Situation
from featalign.records.evidence import Evidence
from featalign.study.calibrate import left_out, of_dataset
from tests.forecasting.examples import world
from tests.shared import SHARED, needs_shared
from tests.study.examples import evidence_of, records_of, short_records_of
from tests.study.test_ground_truth import evidence, study

TABLES = SHARED / "reference" / "tables"


@pytest.fixture
def shell(run):
    """The whole shell."""
    return run


@pytest.fixture
def run(shell):
    """The shell's `validate` command."""
    return lambda *arguments: shell("validate", *arguments)


@needs_shared
def test_published_tables_give_the_published_correlations(run):
    status, output, _ = run("report", TABLES / "tllib_model_selection_scores.csv", "--json")
    assert status == 0
    found = {
        (each["score"], place["target"]): place
        for each in json.loads(output)
        for place in each["settings"]
    }
    with (TABLES / "golden_correlations.csv").open() as file:
        golden = list(csv.DictReader(file))
    assert len(golden) == 32
    names = {
        "tau_w_scipy_default(score,acc)": "weighted_tau",
        "kendall_tau_b": "kendall_tau",
        "pearson": "pearson",
        "spearman": "spearman",
    }
    for row in golden:
        for column, name in names.items():
            assert found[row["metric"], row["dataset"]][name] == pytest.approx(
                float(row[column]), abs=6e-7
            )


@needs_shared
def test_accuracies_alone_give_the_static_list(run):
    status, output, _ = run("report", TABLES / "sfda_group1_supervised_finetune_acc.csv")
    assert status == 0
    assert "static list" in output
    assert "0.84" in output  # published: .837


def test_what_belongs_to_records_is_refused_with_accuracies(run, tmp_path):
    (tmp_path / "a.csv").write_text("source,target,accuracy\na,t,0.5\nb,t,0.6\n")
    status, output, errors = run("report", tmp_path / "a.csv", "--arm", "full")
    assert (status, output) == (1, "")
    assert "arm: expected with records alone" in errors


def test_records_give_gains_agreement_and_figures(run, tmp_path):
    records = study()
    for name, lines in (("records", records), ("evidence", evidence(records))):
        (tmp_path / f"{name}.jsonl").write_text(
            "".join(json.dumps({"schema": 1, **line}) + "\n" for line in lines)
        )
    arguments = ("report", tmp_path / "records.jsonl", "--evidence", tmp_path / "evidence.jsonl")
    status, output, _ = run(*arguments, "--output", tmp_path / "figures")
    assert status == 0
    assert "42 records: 36 full, 6 scratch" in output
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"gain.png", "agreement.png"}
    status, output, _ = run(*arguments, "--json", "--arm", "full")
    assert status == 0
    assert len(json.loads(output)["pairs"]) == 18


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def files(tmp_path):
    """Records, evidence and short runs of a small world."""
    examples = world(targets=6, sources=3, sizes=(100, 400), together=2, share=0.3)
    made = {
        "records": records_of(examples),
        "evidence": evidence_of(examples),
        "short": short_records_of(examples),
    }
    return {name: write(tmp_path / f"{name}.jsonl", lines) for name, lines in made.items()}


@pytest.mark.slow
def test_fit_makes_a_calibration_that_rank_goes_by(run, shell, files, tmp_path):
    path = tmp_path / "mine.json"
    status, output, _ = run(
        "fit",
        files["records"],
        "--evidence",
        files["evidence"],
        "--short",
        files["short"],
        "--output",
        path,
    )
    assert status == 0
    expected = "36 pairs of 3 sources on 6 targets of 3 data sets"
    assert output == f"{expected}, calibration in {path}\n"
    calibration = read_calibration(path)
    made_for = {(each.capability, each.tier, each.share) for each in calibration.fitted}
    without_runs = {(each, tier, None) for each in CAPABILITIES for tier in ("cache", "anchor")}
    assert without_runs | {("gradients", "short", 0.3)} <= made_for
    random = np.random.default_rng(0)
    labels = np.arange(60) % 3
    np.savez(tmp_path / "numbers.npz", inputs=random.normal(size=(60, 4)), labels=labels)
    np.savez(
        tmp_path / "features.npz", features=random.normal(size=(60, 5)) + 2 * np.eye(3, 5)[labels]
    )
    status, output, _ = shell(
        "rank",
        "-s",
        f"npz:{tmp_path}/features.npz",
        "-t",
        tmp_path / "numbers.npz",
        "--calibration",
        path,
        "--json",
    )
    assert status == 0
    (row,) = json.loads(output)["rows"]
    values = {name: score["value"] for name, score in row["scores"].items()}
    own = {name: value for name, value in values.items() if value is not None}
    known = Evidence(capability="features", own=own)
    expected = make_forecast(known, Situation(60, 3), calibration)
    assert row["gain"]["value"] == pytest.approx(expected.gain.value, abs=1e-4)
    assert row["gain"]["low"] == pytest.approx(expected.gain.low, abs=1e-4)


def test_two_files_are_as_one_that_joins_them(run, files, tmp_path):
    """Records, evidence and short runs may each lie in several files, cut wherever it is."""
    cut = {
        name: [
            write(tmp_path / f"{name} {place}.jsonl", some)
            for place, some in enumerate(parted(path, share))
        ]
        for (name, path), share in zip(files.items(), (0.3, 0.6, 0.5), strict=True)
    }
    found = {}
    for name, (records, known, short) in (
        ("joined", ([each] for each in files.values())),
        ("apart", cut.values()),
    ):
        more = [part for path in known for part in ("--evidence", path)]
        more += [part for path in short for part in ("--short", path)]
        path = tmp_path / f"{name}.json"
        status, output, errors = run("fit", *records, *more, "--output", path)
        assert (status, errors) == (0, "")
        found[name] = output.replace(str(path), ""), path.read_text()
    assert found["joined"] == found["apart"]


def parted(path, share):
    """The lines of a file in two parts."""
    lines = list(map(json.loads, path.read_text().splitlines()))
    at = round(share * len(lines))
    return lines[:at], lines[at:]


def test_with_a_data_set_to_spare_fit_says_how_good_it_is(run, tmp_path):
    examples = world(targets=8, sources=3, sizes=(100, 400), together=2)
    made = write(tmp_path / "records.jsonl", records_of(examples))
    known = write(tmp_path / "evidence.jsonl", evidence_of(examples))
    path = tmp_path / "mine.json"
    status, output, _ = run("fit", made, "--evidence", known, "--output", path)
    assert status == 0
    first, second = output.splitlines()
    assert first.startswith("48 pairs of 3 sources on 8 targets of 4 data sets, calibration in ")
    pairs = list(left_out(examples, of_dataset, "gradients"))
    errors = [abs(forecast.gain.value - example.gain) for example, forecast in pairs]
    off = 100 * sum(errors) / len(errors)
    assert second.startswith(f"leaving one data set out: gains off by {off:.1f} points, ")
    for words in ("within their 90% interval", "AUROC of clear signs", "weighted tau"):
        assert words in second


def test_files_that_do_not_belong_together_are_one_sentence(run, files, tmp_path):
    few = write(
        tmp_path / "few.jsonl",
        [
            json.loads(line)
            for line in files["evidence"].read_text().splitlines()
            if '"target 4"' not in line and '"target 5"' not in line
        ],
    )
    empty = write(tmp_path / "empty.jsonl", [])
    for records, beside, message in (
        (files["records"], few, "on at least 3 data sets, got set of target 0, set of target 1;"),
        (files["records"], empty, "on at least 3 data sets, got none"),
        (empty, files["evidence"], "records"),
        (files["records"], files["records"], "evidence"),
        (
            files["records"],
            tmp_path / "none.jsonl",
            "none.jsonl: expected records in .jsonl, got a path that does not exist",
        ),
    ):
        status, output, errors = run(
            "fit", records, "--evidence", beside, "--output", tmp_path / "mine.json"
        )
        assert (status, output) == (1, ""), message
        assert message in errors
        assert errors.count("\n") == 1
        assert not (tmp_path / "mine.json").exists()


def test_a_calibration_that_cannot_be_written_is_said(run, files, tmp_path):
    status, _, errors = run(
        "fit",
        files["records"],
        "--evidence",
        files["evidence"],
        "--output",
        tmp_path / "nowhere" / "mine.json",
    )
    assert status == 1
    assert "output: " in errors
    assert "could not be written" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("report", "none.jsonl"),
            "none.jsonl: expected records in .jsonl or accuracies in .csv, got a path that does "
            "not exist",
        ),
        (("report", "none.csv"), "none.csv"),
        (("run", "none.toml"), "none.toml: expected a grid in TOML"),
        (("short", "none.toml"), "none.toml: expected a grid in TOML"),
        (
            ("fit", "none.jsonl", "--evidence", "none.jsonl"),
            "none.jsonl: expected records in .jsonl, got a path that does not exist",
        ),
    ],
)
def test_bad_input_is_one_sentence(run, arguments, message):
    status, output, errors = run(*arguments)
    assert status == 1
    assert output == ""
    assert message in errors
    assert "Traceback" not in errors
