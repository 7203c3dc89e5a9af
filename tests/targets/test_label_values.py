"""Labels as people write them: what they are taken for, and what is asked for."""

import json
import unicodedata
from pathlib import Path

import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.targets.loaders import load_target
from featalign.targets.target import Target
from featalign.targets.written_numbers import looks_like_date, read_numbers

COUNT = 24
INPUTS = np.arange(2.0 * COUNT).reshape(COUNT, 2)


def table(folder: Path, labels, column: str = "label") -> Path:
    """A .jsonl, in which a label is what it is."""
    rows = [json.dumps({"text": f"t{row}", column: label}) for row, label in enumerate(labels)]
    (folder / "set.jsonl").write_text("\n".join(rows))
    return folder / "set.jsonl"


def csv(folder: Path, labels) -> Path:
    quoted = ['"' + label.replace('"', '""') + '"' for label in labels]
    rows = "".join(f"t{row},{label}\n" for row, label in enumerate(quoted))
    (folder / "set.csv").write_text(f"text,label\n{rows}")
    return folder / "set.csv"


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1.234.567,8", "3"], [1234567.8, 3]),
        (["1'234.5", "12"], [1234.5, 12]),
        (["12 345", "7 000"], [12345, 7000]),
        (["\u22125", "5"], [-5, 5]),
        (["($3.50)", "$4"], [-3.5, 4]),
        (["4,50 €", "3,25 €"], [4.5, 3.25]),
        (["EUR 5", "EUR 7.5"], [5, 7.5]),
        (["0,123", "0,456"], [0.123, 0.456]),
        (["1e-3", "2.5E2"], [0.001, 250]),
        (["-1,5", "+2,25"], [-1.5, 2.25]),
    ],
)
def test_numbers_as_people_write_them(texts, values):
    found = read_numbers(texts)
    assert found is not None
    np.testing.assert_allclose(found.values, values)


@pytest.mark.parametrize(
    "texts",
    [["a"], ["1,2,3"], ["1.5", "1,5"], ["€1", "$1"], ["10%", "10"], ["3-4"], [""], ["1,23,4"]],
)
def test_what_is_no_column_of_numbers(texts):
    assert read_numbers(texts) is None


@pytest.mark.parametrize(
    ("text", "is_date"),
    [
        *((text, True) for text in ("2021/3/4", "2021-03-04T10:00:00Z", "04-03-2021", "12:30")),
        *((text, True) for text in ("5 Jan 2024", "March 3, 2020", "2024-07")),
        *((text, False) for text in ("2021", "1/2", "may", "3.14", "B-2021", "1-2-3-4")),
    ],
)
def test_dates(text, is_date):
    assert looks_like_date(text) == is_date


@pytest.mark.parametrize(
    ("form", "first"),
    [
        (lambda x: f"{x:.3f}".replace(".", ","), 0.5),
        (lambda x: f"£{1000 * x:,.0f}", 500.0),
        (lambda x: f"{x:.1f} %", 0.5),
        (lambda x: f"{x:.2f} EUR".replace(".", ","), 0.5),
    ],
)
def test_columns_of_written_numbers_are_regression_and_it_is_said(tmp_path, form, first):
    target = load_target(csv(tmp_path, [form(row + 0.5) for row in range(COUNT)]))
    assert target.task == "regression"
    assert target.labels[0, 0] == first
    assert any("read as numbers to predict" in remark for remark in target.remarks)


@pytest.mark.parametrize("word", ["NaN", "#N/A", "null", "<NA>", "NA", "-", " ", "n.a.", "\\N"])
def test_one_missing_word_never_decides_the_task(tmp_path, word):
    for values in ([f"{row / 2}" for row in range(COUNT)], ["up", "down"] * (COUNT // 2)):
        with pytest.raises(FeatalignError, match="line 26: expected a label as 'label', got"):
            load_target(csv(tmp_path, [*values, word]))
    with pytest.raises(FeatalignError, match=f"expected a label in every row.* row {COUNT}"):
        Target.from_arrays("t", np.zeros((COUNT + 1, 2)), [*["up", "down"] * 12, word])


def test_a_word_that_may_be_a_class_is_one_where_that_is_said(tmp_path):
    labels = ["joy", "None"] * 12
    with pytest.raises(FeatalignError, match=r"got 'None'.*say task='classification'"):
        load_target(csv(tmp_path, labels))
    said = load_target(csv(tmp_path, labels), task="classification")
    assert said.class_names == ("None", "joy")
    with pytest.raises(FeatalignError, match="got 'nan'"):
        load_target(csv(tmp_path, [*labels, "nan"]), task="classification")


@pytest.mark.parametrize("text", ["31/12/{:04d}", "{:04d}-05-06 10:00", "Feb 3, {:04d}"])
def test_dates_are_refused(tmp_path, text):
    labels = [text.format(2000 + row) for row in range(COUNT)]
    with pytest.raises(FeatalignError, match=r"line 2: .* the date .* such as days"):
        load_target(csv(tmp_path, labels))
    with pytest.raises(FeatalignError, match=r"labels: .* the date .* in row 0"):
        Target.from_arrays("t", INPUTS, labels)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([1, 1.0, "2", 2.0], ("1", "2")),
        (["True", "true", "FALSE", "false"], ("false", "true")),
        (["3.0", "4", "3", "4.00"], ("3", "4")),
        ([True, "true", False, "FALSE"], ("False", "True")),
        (["cafe\u0301", "caf\u00e9", "tea", "tea\u200b"], ("caf\u00e9", "tea")),
        (["\ufeffno", "yes", "no\u00a0", "\u2060yes"], ("no", "yes")),
        ([["x"], ["y"], ["x"], ["x"]], ("x", "y")),
        (["['x']", "['y']", "['y']", '["x"]'], ("x", "y")),
    ],
)
def test_labels_that_are_one_class(tmp_path, labels, classes):
    target = load_target(table(tmp_path, labels))
    assert (target.task, target.class_names) == ("classification", classes)


@pytest.mark.parametrize(
    "labels",
    [
        ["Spam", "spam"] * 2,
        ["c\u0430t", "cat"] * 2,
        ["not_ok", "not ok"] * 2,
        ["a-b", "a\u2014b"] * 2,
    ],
)
def test_names_that_look_alike_are_said(tmp_path, labels):
    for target in (
        load_target(table(tmp_path, labels)),
        Target.from_arrays("t", INPUTS[:4], labels),
    ):
        assert target.num_classes == 2
        assert "look-alike letters alone" in target.remarks[0]


def test_class_folders_in_two_forms_are_one_class(tmp_path):
    from tests.targets.pictures import random_images, write_folder

    names = ["u\u0308ber", "unter"]
    composed = [unicodedata.normalize("NFC", name) for name in names]
    write_folder(tmp_path / "train", random_images(4), names * 2)
    write_folder(tmp_path / "test", random_images(2), composed)
    target = load_target(tmp_path)
    assert target.class_names == ("unter", "\u00fcber")
    assert target.held_out is not None
    assert len(target.held_out) == 2
    write_folder(tmp_path / "blanks" / "train", random_images(4), ["up", "down"] * 2)
    write_folder(tmp_path / "blanks" / "test", random_images(2), ["down "] * 2)
    held_out = load_target(tmp_path / "blanks").held_out
    assert held_out is not None
    np.testing.assert_array_equal(held_out.labels, [0, 0])


@pytest.mark.parametrize("sign", ["|", ";", ","])
def test_several_labels_in_a_string_are_asked_for_and_read(tmp_path, sign):
    sets = ["red", "blue", "red,blue", "red,green", "blue,green", "green"] * 4
    path = csv(tmp_path, [each.replace(",", sign) for each in sets])
    with pytest.raises(FeatalignError, match=r"several in .*say separator="):
        load_target(path)
    target = load_target(path, separator=sign)
    assert target.task == "multilabel"
    np.testing.assert_array_equal(target.labels[2], [1, 0, 1])
    assert load_target(path, task="classification").num_classes == 6
    labels = [each.replace(",", sign) for each in sets]
    arrays = Target.from_arrays("t", INPUTS, labels, task="multilabel", separator=sign)
    np.testing.assert_array_equal(arrays.labels, target.labels)


@pytest.mark.parametrize(
    "labels",
    [
        ["A", "A+", "B", "B+"] * 6,
        ["Sci/Tech", "World", "Sports", "Business"] * 6,
        ["Rome, Italy", "Paris, France", "Bonn, Germany", "Oslo, Norway"] * 6,
        ["I-PER", "B-PER", "O", "I-LOC"] * 6,
    ],
)
def test_signs_in_the_names_of_classes(tmp_path, labels):
    assert load_target(csv(tmp_path, labels)).num_classes == 4


@pytest.mark.parametrize("lists", [["['p', 'q']", "['q']", "[]"], ['["p"]', '["q", "p"]', "[]"]])
def test_lists_written_as_strings(tmp_path, lists):
    target = load_target(csv(tmp_path, lists * 8))
    assert (target.task, target.labels.shape) == ("multilabel", (COUNT, 2))


def test_labels_nearly_all_of_which_occur_once_are_asked_for(tmp_path):
    numbers = [str(100 + 3 * row) for row in range(COUNT)]
    for make in (
        lambda: load_target(csv(tmp_path, numbers)),
        lambda: Target.from_arrays("t", INPUTS, list(map(int, numbers))),
    ):
        with pytest.raises(
            FeatalignError, match=r"24 of 24 labels occur once: they look like numb"
        ):
            make()
    with pytest.raises(FeatalignError, match="24 of 24 labels occur once: they look like no class"):
        load_target(csv(tmp_path, [f"note {row}" for row in range(COUNT)]))
    with pytest.raises(FeatalignError, match="they look like numbers with a unit"):
        load_target(csv(tmp_path, [f"{row}.5 kg" for row in range(COUNT)]))
    assert load_target(csv(tmp_path, numbers), task="regression").labels[1, 0] == 103
    assert load_target(csv(tmp_path, numbers), task="classification").num_classes == COUNT


def test_a_word_among_numbers_is_named(tmp_path):
    labels = [f"{row % 5 + 0.5}" for row in range(COUNT)]
    with pytest.raises(FeatalignError, match="line 7: expected a number as 'label', got 'high'"):
        load_target(csv(tmp_path, [*labels[:5], "high", *labels[5:]]))


@pytest.mark.parametrize(
    ("labels", "task", "words"),
    [
        (["a", "b"], "regression", "line 1: expected a number as 'label', got 'a'"),
        ([1.5, "b"], "regression", "line 2: expected a number as 'label', got 'b'"),
        (["a", "b"], "multilabel", "expected several labels in a row, got 'a'"),
        ([0, 1], "ranking", "task: expected 'classification', 'multilabel' or 'regression'"),
    ],
)
def test_tasks_that_do_not_fit(tmp_path, labels, task, words):
    with pytest.raises(FeatalignError, match=words):
        load_target(table(tmp_path, labels), task=task)


@pytest.mark.parametrize(
    ("labels", "task", "words"),
    [
        ([0.5, 1, 2], "classification", r"got 0\.5 in row 0"),
        (["x", "y", "x"], "regression", "expected a number in every row, got 'x' in row 0"),
        ([0, 2, 1], "multilabel", r"zeros and ones of shape \(N, K\)"),
        ([[1, 1], [0, 1], [1, 0]], "classification", "without exactly one 1 in every row"),
        (np.eye(3), None, "argmax"),
        (np.eye(3, dtype=np.float16), None, "task='classification'"),
    ],
)
def test_arrays_that_do_not_fit(labels, task, words):
    with pytest.raises(FeatalignError, match=words):
        Target.from_arrays("t", INPUTS[:3], labels, task=task)


def test_a_task_that_is_said_of_arrays():
    whole = [0.0, 1.0, 2.0, 1.0]
    classes = Target.from_arrays("t", INPUTS[:4], whole, task="classification")
    plain = Target.from_arrays("t", INPUTS[:4], [0, 1, 2, 1])
    assert classes.fingerprint == plain.fingerprint
    hot = np.eye(3)[[0, 1, 2, 1]]
    named = Target.from_arrays("t", INPUTS[:4], hot, ["a", "b", "c"], task="classification")
    assert named.class_names == ("a", "b", "c")
    assert Target.from_arrays("t", INPUTS[:4], hot, task="multilabel").labels.dtype == np.uint8
    numbers = Target.from_arrays("t", INPUTS[:4], ["1,5", "2", "3", "4"], task="regression")
    np.testing.assert_array_equal(numbers.labels[:, 0], [1.5, 2, 3, 4])
    several = Target.from_arrays("t", INPUTS[:3], [["a"], ["a", "b"], []], task="multilabel")
    np.testing.assert_array_equal(several.labels, [[1, 0], [1, 1], [0, 0]])


def test_whole_floats_and_floats_of_several_labels_are_said():
    said = Target.from_arrays("t", INPUTS, np.arange(COUNT) % 4.0)
    assert said.task == "regression"
    assert "whole numbers as floats, 4 different ones in 24 rows" in said.remarks[0]
    several = Target.from_arrays("t", INPUTS[:3], np.array([[1.0, 1], [0, 1], [0, 0]]))
    assert "task='multilabel'" in several.remarks[0]
    assert Target.from_arrays("t", INPUTS, np.arange(COUNT) / 7).remarks == ()


@pytest.mark.parametrize("held", [[-1, -1], [None, None], [float("nan")] * 2, ["", "N/A"]])
def test_held_out_rows_without_labels_are_left_out_and_said(held):
    for labels in ([0, 1, 2, 1], ["a", "b", "a", "b"]):
        target = Target.from_arrays("t", INPUTS[:4], labels, held_out=(INPUTS[:2], held))
        assert target.held_out is None
        assert target.remarks == ("left out: 2 held-out rows, which have no labels",)


def test_separators_that_are_none(tmp_path):
    path = csv(tmp_path, ["a|b", "b|c", "c"] * 8)
    with pytest.raises(FeatalignError, match=r"got ';', which is in none of them; '\|' may be it"):
        load_target(path, separator=";")
    with pytest.raises(FeatalignError, match="separator: expected a sign"):
        load_target(path, separator="")
    with pytest.raises(FeatalignError, match="separator: expected the task 'multilabel'"):
        load_target(path, separator="|", task="regression")
    assert load_target(csv(tmp_path, ["a b", "b", "a"] * 8), separator=" ").task == "multilabel"


def test_rows_to_be_ignored_are_left_out_and_said(tmp_path):
    labels = [0, -100, 1, 2, -100, 1]
    target = Target.from_arrays("t", INPUTS[:6], labels, held_out=(INPUTS[:2], [-100, 1]))
    np.testing.assert_array_equal(target.labels, [0, 1, 2, 1])
    np.testing.assert_array_equal(target.inputs.read(np.array([1])), INPUTS[2:3])
    assert target.held_out is not None
    assert len(target.held_out) == 1
    assert target.remarks[0].startswith("left out: 3 rows with the label -100")
    assert load_target(table(tmp_path, labels)).num_rows == 4
    words = Target.from_tokens("t", [["a", "b", "c"]], [[-100, 1, 0]])
    assert len(words) == 2


def test_a_class_that_may_stand_for_no_label_is_said():
    assert "-1 is taken as a class" in Target.from_arrays("t", INPUTS, [-1, 0, 1, 2] * 6).remarks[0]
    assert Target.from_arrays("t", INPUTS, [-1, 0, 1] * 8).remarks == ()


def test_one_hot_columns(tmp_path):
    (tmp_path / "set.csv").write_text("text,cat,ant\n" + "t,1,0\nt,0,1\nt,true,FALSE\n")
    target = load_target(tmp_path / "set.csv", label="cat,ant")
    assert target.class_names == ("cat", "ant")
    np.testing.assert_array_equal(target.labels, [0, 1, 0])
    assert "the columns cat, ant: exactly one 1 in every row" in target.remarks[0]
    said = load_target(tmp_path / "set.csv", label="cat,ant", task="multilabel")
    assert said.task == "multilabel"
    hot = load_target(table(tmp_path, [[0, 0, 1], [1, 0, 0], [0, 1, 0]]))
    np.testing.assert_array_equal(hot.labels, [2, 0, 1])


@pytest.mark.parametrize("lists", [[[1, 0], [0, 1]], [[0.0, 1.0], [1.0, 0.0]]])
def test_one_hot_lists(tmp_path, lists):
    path = table(tmp_path, lists * 3)
    target = load_target(path)
    assert (target.task, target.num_classes) == ("classification", 2)
    assert target.labels[0] == lists[0].index(1)
    assert load_target(path, task="multilabel").task == "multilabel"
    assert load_target(path, task="regression").labels.shape == (6, 2)


def test_lists_of_numbers(tmp_path):
    target = load_target(table(tmp_path, [[0.5, 3], [1, 2.5], [2, 2]]))
    np.testing.assert_array_equal(target.labels, [[0.5, 3], [1, 2.5], [2, 2]])
    with pytest.raises(FeatalignError, match="as many numbers in every list of 'label', got 1 to"):
        load_target(table(tmp_path, [[0.5, 3], [1]]))


def test_bytes_are_texts():
    target = Target.from_arrays("t", INPUTS[:4], np.array([b"up", b"down"] * 2))
    assert target.class_names == ("down", "up")


def test_numbers_in_several_columns(tmp_path):
    (tmp_path / "set.csv").write_text('text,price,area\na,"1,200.50",3\nb,"900",4.5\n')
    target = load_target(tmp_path / "set.csv", label="price,area")
    np.testing.assert_array_equal(target.labels, [[1200.5, 3], [900, 4.5]])
    with pytest.raises(FeatalignError, match="since the task is classification"):
        load_target(tmp_path / "set.csv", label="price,area", task="classification")


def test_folders_of_numbers(tmp_path):
    from tests.targets.pictures import random_images, write_folder

    write_folder(tmp_path, random_images(4), ["7", "25", "7", "61"])
    assert load_target(tmp_path).class_names == ("25", "61", "7")
    ages = load_target(tmp_path, task="regression")
    assert sorted(ages.labels[:, 0]) == [7, 7, 25, 61]


@pytest.mark.parametrize("word", ["\u2014", "\u2026", "no label", "Not Applicable"])
def test_marks_for_no_label_are_asked_about(tmp_path, word):
    with pytest.raises(FeatalignError, match=r"line 6: .*stands for none.*task='classification'"):
        load_target(csv(tmp_path, ["up", "down"] * 2 + [word]))


def test_numbers_that_differ_in_leading_zeros_are_said(tmp_path):
    target = load_target(csv(tmp_path, ["7", "07", "8", "08"] * 2))
    assert target.num_classes == 4
    assert "'07' and '7'" in target.remarks[0]


def test_missing_values_of_pandas_and_masked_arrays_are_found():
    pandas = pytest.importorskip("pandas")
    labels = np.array(["up", pandas.NA, "down", "up"], object)
    masked = np.ma.MaskedArray([0, 1, 1, 0], mask=[False, True, False, False])
    for each in (labels, masked):
        with pytest.raises(FeatalignError, match="got none in row 1"):
            Target.from_arrays("t", INPUTS[:4], each)


@pytest.mark.parametrize(
    ("both", "one"),
    [
        ("['sun' 'sea']", "['sun']"),
        ("{'sun', 'sea'}", "{'sun'}"),
        ("('sun', 'sea')", "('sun',)"),
        ('["sun", "sea"]', '["sun"]'),
    ],
)
def test_lists_as_python_json_and_numpy_write_them(tmp_path, both, one):
    target = load_target(csv(tmp_path, [both, one, one, both] * 2))
    assert target.task == "multilabel"
    np.testing.assert_array_equal(target.labels[:2], [[1, 1], [0, 1]])


@pytest.mark.parametrize(
    ("labels", "sign"),
    [
        (["sun, sea", "sun", "sea", "sun, fog"] * 2, ","),
        (["4 7", "4", "7 9 12", "7"] * 2, " "),
        (["sun sea", "fog", "sun sea fog", "sea fog", "sun fog"] * 2, " "),
    ],
)
def test_signs_between_labels_are_asked_about(tmp_path, labels, sign):
    with pytest.raises(FeatalignError, match=f"say separator='{sign}'"):
        load_target(csv(tmp_path, labels))
    assert load_target(csv(tmp_path, labels), separator=sign).task == "multilabel"


def test_blanks_in_names_are_no_sign(tmp_path):
    labels = ["red cat", "red dog", "blue cat", "blue dog", "green cat", "green dog"] * 2
    assert load_target(csv(tmp_path, labels)).num_classes == 6


def test_numbers_with_more_values_than_half_of_the_rows_are_asked_about():
    years = 1950 + np.arange(40) % 25
    with pytest.raises(FeatalignError, match="25 different labels in 40 rows: they look like"):
        Target.from_arrays("t", np.zeros((40, 2)), years)
    assert Target.from_arrays("t", np.zeros((40, 2)), years % 12).num_classes == 12


@pytest.mark.parametrize(
    "scores", [np.eye(3)[np.arange(6) % 3] * 0.9 + 0.1 / 3, 2 * np.eye(3)[np.arange(6) % 3] - 1]
)
def test_scores_of_classes_as_numbers_are_said(scores):
    target = Target.from_arrays("t", INPUTS[:6], scores)
    assert target.task == "regression"
    assert "labels.argmax(axis=1)" in target.remarks[0]
