"""featalign validate, as people call it."""

import csv
import json

import pytest

from tests.shared import SHARED, needs_shared
from tests.validation.test_ground_truth import evidence, study

TABLES = SHARED / "reference" / "tables"


@pytest.fixture
def run(run):
    """The shell's `validate` command."""
    return lambda *arguments: run("validate", *arguments)


@needs_shared
def test_published_tables_give_the_published_correlations(run):
    status, output, _ = run("report", TABLES / "tllib_model_selection_scores.csv", "--json")
    assert status == 0
    found = {(each["score"], place["target"]): place for each in json.loads(output) for place in each["settings"]}
    with (TABLES / "golden_correlations.csv").open() as file:
        golden = list(csv.DictReader(file))
    assert len(golden) == 32
    names = {"tau_w_scipy_default(score,acc)": "weighted_tau", "kendall_tau_b": "kendall_tau", "pearson": "pearson", "spearman": "spearman"}
    for row in golden:
        for column, name in names.items():
            assert found[row["metric"], row["dataset"]][name] == pytest.approx(float(row[column]), abs=6e-7)


@needs_shared
def test_accuracies_alone_give_the_static_list(run):
    status, output, _ = run("report", TABLES / "sfda_group1_supervised_finetune_acc.csv")
    assert status == 0
    assert "static list" in output
    assert "0.84" in output  # published: .837


def test_records_give_gains_agreement_and_figures(run, tmp_path):
    records = study()
    for name, lines in (("records", records), ("evidence", evidence(records))):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps({"schema": 1, **line}) + "\n" for line in lines))
    arguments = ("report", tmp_path / "records.jsonl", "--evidence", tmp_path / "evidence.jsonl")
    status, output, _ = run(*arguments, "--output", tmp_path / "figures")
    assert status == 0
    assert "42 records: 36 full, 6 scratch" in output
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"gain.png", "agreement.png"}
    status, output, _ = run(*arguments, "--json", "--arm", "full")
    assert status == 0
    assert len(json.loads(output)["pairs"]) == 18


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("report", "none.jsonl"), "none.jsonl: expected records in .jsonl or accuracies in .csv, got a path that does not exist"),
        (("report", "none.csv"), "none.csv"),
        (("run", "none.toml"), "none.toml: expected a grid in TOML"),
        (("evidence", "none.toml", "--share", "2", "2"), "share: expected I from 0 to N - 1, got 2 2"),
    ],
)
def test_bad_input_is_one_sentence(run, arguments, message):
    status, output, errors = run(*arguments)
    assert status == 1
    assert output == ""
    assert message in errors
    assert "Traceback" not in errors
