"""Reading tables of measured accuracies, and their reliability against simulation."""

import math

import numpy as np
import pytest
from scipy import stats

from featalign.errors import FeatalignError
from featalign.study.accuracies import Setting, read_accuracies, reliability
from featalign.study.agreement import ranking_agreement


def write(folder, text, encoding="utf-8"):
    path = folder / "accuracies.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_columns_in_any_order_and_case(tmp_path):
    table = read_accuracies(
        write(
            tmp_path,
            "LogME,Dataset,Finetune_Acc,MODEL,leep\n0.9,pets,90.5,resnet,-1e-1\n,cars,80,vit,nan\n",
            "utf-8-sig",
        )
    )
    assert table.sources == ("resnet", "vit")
    assert table.targets == ("pets", "cars")
    assert table.accuracies.tolist() == [90.5, 80]
    assert list(table.scores) == ["LogME", "leep"]
    assert table.scores["LogME"].tolist() == pytest.approx([0.9, math.nan], nan_ok=True)
    assert table.scores["leep"].tolist() == pytest.approx([-0.1, math.nan], nan_ok=True)
    assert (table.sizes, table.arms, table.ignored) == (None, None, ())


@pytest.mark.parametrize(
    "name", ["accuracy", "finetune_acc", "finetune_auc", "eval_accuracy", "test_accuracy"]
)
@pytest.mark.parametrize(("source", "target"), [("source", "dataset"), ("model", "target")])
def test_each_name_of_a_column_is_known(tmp_path, name, source, target):
    table = read_accuracies(write(tmp_path, f"{source},{target},{name}\na,x,0.5\n"))
    assert (table.sources, table.targets, table.accuracies.tolist(), dict(table.scores)) == (
        ("a",),
        ("x",),
        [0.5],
        {},
    )


def test_size_and_arm_make_settings(tmp_path):
    text = (
        "source,target,n,arm,accuracy\n"
        "a,x,50,full,0.5\n"
        "b,x,50,full,0.6\n"
        "a,x,50,probe,0.4\n"
        "a,x,400,full,0.7\n"
    )
    table = read_accuracies(write(tmp_path, text))
    assert table.settings() == {
        Setting("x", 50.0, "full"): [0, 1],
        Setting("x", 50.0, "probe"): [2],
        Setting("x", 400.0, "full"): [3],
    }
    assert not table.scores
    assert (
        read_accuracies(write(tmp_path, text.replace("n,", "Size,", 1))).settings()
        == table.settings()
    )


def test_text_seeds_and_row_numbers_are_no_scores(tmp_path):
    text = ",source,target,accuracy,note,seed,empty,s\n0,a,x,0.5,fast,3,,1\n1,b,x,0.6,,3,,2\n"
    table = read_accuracies(write(tmp_path, text))
    assert list(table.scores) == ["s"]
    assert table.ignored == ("", "note", "seed", "empty")


def test_chosen_columns(tmp_path):
    path = write(
        tmp_path, "model,dataset,lr,eval_accuracy,test_accuracy,LogME,top1\na,x,0.1,0.5,0.4,1,2\n"
    )
    with pytest.raises(
        FeatalignError, match="got eval_accuracy and test_accuracy; pass accuracy= to choose one"
    ):
        read_accuracies(path)
    table = read_accuracies(path, accuracy="Test_Accuracy", scores=["logme"])
    assert table.accuracies.tolist() == [0.4]
    assert list(table.scores) == ["LogME"]
    assert table.ignored == ("lr", "eval_accuracy", "top1")
    assert list(read_accuracies(path, accuracy="eval_accuracy").scores) == ["lr", "LogME", "top1"]
    assert read_accuracies(path, accuracy="top1").accuracies.tolist() == [2]
    with pytest.raises(
        FeatalignError, match="expected a column NCE, got the columns model, dataset"
    ):
        read_accuracies(path, accuracy="top1", scores=["NCE"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "got an empty file"),
        ("\n , \n", "got an empty file"),
        ("source,target,accuracy\n", "got a header alone"),
        (
            "target,accuracy\nx,0.5\n",
            r"expected a column source \(or model\), got target, accuracy",
        ),
        ("source,accuracy\na,0.5\n", r"expected a column target \(or dataset\)"),
        ("source,target,acc\na,x,0.5\n", r"expected a column accuracy \(or finetune_acc, "),
        ("source,model,target,accuracy\na,b,x,0.5\n", "got source and model; remove or rename one"),
        (
            "source,target,accuracy,LEEP,leep\na,x,0.5,1,2\n",
            "columns of different names, got LEEP and leep",
        ),
        (
            "source,target,accuracy\na,x,0.5\n\nb,x,fine\n",
            "in column accuracy, got 'fine' in line 4; remove the row",
        ),
        ("source,target,accuracy\na,x,\n", "in column accuracy, got '' in line 2"),
        ("source,target,accuracy\na,x,nan\n", "in column accuracy, got 'nan' in line 2"),
        (
            "source,target,accuracy,LEEP\na,x,0.5,-1\nb,x,0.5,n/a\n",
            "in column LEEP, got 'n/a' in line 3; leave the cell blank",
        ),
        ("source,target,accuracy,LEEP\na,x,0.5,-inf\n", "in column LEEP, got '-inf' in line 2"),
        ("source,target,n,accuracy\na,x,all,0.5\n", "in column n, got 'all' in line 2"),
        (
            "source,target,accuracy\n,x,0.5\n",
            "expected a name in column source, got a blank cell in line 2",
        ),
        (
            "source,target,accuracy\na,x,0.5,7\n",
            "expected 3 cells in every line, as in the header, got 4 in line 2",
        ),
        (
            "source,target,accuracy\na,x,0.5\nb,x,0.5\na,x,0.6\n",
            "expected a once on x, got it in lines 2 and 4",
        ),
        (
            "source,target,arm,accuracy\na,x,full,0.5\na,x,full,0.6\n",
            "expected a once on x, got it in lines 2 and 3",
        ),
    ],
)
def test_bad_tables_are_refused(tmp_path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(FeatalignError, match=message) as caught:
        read_accuracies(path)
    assert str(caught.value).startswith(str(path))


def test_files_that_are_no_tables_are_refused(tmp_path):
    with pytest.raises(FeatalignError, match="cannot be read"):
        read_accuracies(tmp_path / "absent.csv")
    with pytest.raises(FeatalignError, match="cannot be read"):
        read_accuracies(tmp_path)
    (tmp_path / "picture.csv").write_bytes(b"\x89PNG\xff\xfe\x00")
    with pytest.raises(FeatalignError, match="expected a CSV file in UTF-8"):
        read_accuracies(tmp_path / "picture.csv")


def test_a_quoted_cell_over_two_lines_counts_as_the_line_it_ends_in(tmp_path):
    path = write(tmp_path, 'source,target,accuracy,note\na,x,0.5,"one\ntwo"\nb,x,bad,\n')
    with pytest.raises(FeatalignError, match="got 'bad' in line 4"):
        read_accuracies(path)


def simulate(rng, num_sources, num_seeds, between, within):
    truth = rng.normal(size=num_sources) * math.sqrt(between)
    return truth, truth[:, None] + rng.normal(size=(num_sources, num_seeds)) * math.sqrt(within)


def test_reliability_is_the_analysis_of_variance():
    _, runs = simulate(np.random.default_rng(0), 7, 4, 2.0, 3.0)
    result = reliability(runs)
    assert result.variance_over_seeds == pytest.approx(sum(np.var(row, ddof=1) for row in runs) / 7)
    variance_ratio = stats.f_oneway(*runs).statistic
    assert result.coefficient == pytest.approx(
        1 - 1 / variance_ratio
    )  # the textbook's form of the same
    assert result.pearson_ceiling == pytest.approx(math.sqrt(1 - 1 / variance_ratio))
    assert (result.num_sources, result.num_seeds) == (7, 4)
    assert reliability(10 + 5 * runs).coefficient == pytest.approx(result.coefficient)
    by_spearman_brown = 4 * result.coefficient / (1 + 3 * result.coefficient)
    assert reliability(runs, num_seeds=16).coefficient == pytest.approx(by_spearman_brown)


def test_variances_are_right_on_average_also_with_missing_runs():
    rng = np.random.default_rng(1)
    found = []
    for _ in range(800):
        _, runs = simulate(rng, 10, 5, 4.0, 1.0)
        runs[:3, 2:] = math.nan
        runs[3, 1:] = math.nan
        result = reliability(runs)
        found.append((result.variance_over_seeds, result.variance_between_sources))
    within, between = np.mean(found, axis=0)
    assert result.num_seeds == pytest.approx(10 / (3 / 2 + 1 + 6 / 5))
    assert within == pytest.approx(1.0, abs=0.04)  # four standard errors
    assert between == pytest.approx(4.0, abs=0.3)


def test_published_ceilings():
    """Four runs of reliability .857 allow a tau of .75, sixteen .960 and .87."""
    rng = np.random.default_rng(2)
    noise = rng.normal(size=(400, 4))
    noise -= noise.mean(axis=1, keepdims=True)
    noise *= math.sqrt(1 / noise.var(axis=1, ddof=1).mean())
    means = rng.normal(size=400)
    means = (
        (means - means.mean()) / means.std(ddof=1) * math.sqrt(1.5 + 0.25)
    )  # between 1.5, over seeds 1
    four, sixteen = (
        reliability(means[:, None] + noise),
        reliability(means[:, None] + noise, num_seeds=16),
    )
    assert (round(four.coefficient, 3), round(four.kendall_ceiling, 2)) == (0.857, 0.75)
    assert (round(sixteen.coefficient, 3), round(sixteen.kendall_ceiling, 2)) == (0.960, 0.87)


@pytest.mark.parametrize(("num_seeds", "within"), [(1, 1.0), (4, 1.0), (2, 0.2)])
def test_a_perfect_forecast_reaches_the_ceiling_and_no_more(num_seeds, within):
    rng = np.random.default_rng(3)
    _, many = simulate(rng, 4000, 3, 1.0, within)
    ceiling = reliability(many, num_seeds=num_seeds)
    taus, pearsons = [], []
    for _ in range(300):
        truth, runs = simulate(rng, 60, num_seeds, 1.0, within)
        taus.append(ranking_agreement(truth, runs.mean(axis=1)).kendall_tau)
        pearsons.append(ranking_agreement(truth, runs.mean(axis=1)).pearson)
    assert np.mean(taus) == pytest.approx(ceiling.kendall_ceiling, abs=0.02)
    assert np.mean(pearsons) == pytest.approx(ceiling.pearson_ceiling, abs=0.02)
    assert ceiling.kendall_ceiling < 0.95


def test_what_repeated_runs_cannot_tell_is_nan():
    for runs in (
        [[0.5], [0.6]],
        [[0.5, 0.6]],
        [[0.5, 0.5], [0.5, 0.5]],
        np.zeros((0, 3)),
        [[math.nan, math.nan]],
    ):
        assert math.isnan(reliability(runs).coefficient)
        assert math.isnan(reliability(runs).kendall_ceiling)
    assert reliability([[0.5, 0.6]]).variance_over_seeds == pytest.approx(0.005)
    assert reliability([[0.5, 0.5], [0.6, 0.6]]).kendall_ceiling == 1
    assert reliability([[0.4, 0.6], [0.6, 0.4]]).coefficient == 0
    assert reliability([[0.4, 0.6], [math.nan, math.nan], [0.7, 0.9]]).num_sources == 2


@pytest.mark.parametrize(
    ("runs", "num_seeds", "message"),
    [
        ([0.5, 0.6], None, r"expected an array \(sources, seeds\)"),
        ([[0.5, math.inf]], None, "finite"),
        ([[0.5, 0.6]], 0, "positive number of runs, got 0"),
    ],
)
def test_bad_runs_are_refused(runs, num_seeds, message):
    with pytest.raises(FeatalignError, match=message):
        reliability(runs, num_seeds=num_seeds)
