import json

import numpy as np
import pytest
from PIL import Image

from featalign.errors import FeatalignError
from featalign.targets.loaders import load_target
from tests.targets.pictures import random_images


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def pictures(folder, count):
    """Image files in a folder of their own, and their pixels."""
    (folder / "pictures").mkdir()
    images = random_images(count)
    for number, image in enumerate(images):
        Image.fromarray(image).save(folder / "pictures" / f"{number}.png")
    return images


@pytest.mark.parametrize("header", ["image,label", "label,picture", "file_name,label,width"])
def test_paths_of_images_are_found_beside_the_table(tmp_path, monkeypatch, header):
    images = pictures(tmp_path, 4)
    values = {"label": "ab", "width": "67"}
    rows = [
        ",".join(
            values[column][row % 2] if column in values else f"pictures/{row}.png"
            for column in header.split(",")
        )
        for row in range(4)
    ]
    path = tmp_path / "set.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    monkeypatch.chdir("/")
    target = load_target(path)
    assert target.kind == "image"
    assert target.class_names == ("a", "b")
    for read, image in zip(target.inputs.read(np.arange(4)), images, strict=True):
        np.testing.assert_array_equal(read, image)


def test_images_beside_texts_are_asked_for(tmp_path):
    pictures(tmp_path, 2)
    rows = [
        {"image": f"pictures/{row}.png", "text": f"caption {row}", "label": row} for row in range(2)
    ]
    path = lines(tmp_path / "set.jsonl", *rows)
    with pytest.raises(
        FeatalignError,
        match=r"several columns could be it \(text, image\).*name it with text= or image=",
    ):
        load_target(path)
    assert load_target(path, image="image").kind == "image"
    assert load_target(path, text="text").inputs.read(np.array([1])) == ["caption 1"]
    with pytest.raises(
        FeatalignError, match=r"text, image: expected one of the two, got 'text' and 'image'"
    ):
        load_target(path, text="text", image="image")
    with pytest.raises(
        FeatalignError,
        match=r"image: .*no column 'picture'; its columns are 'image', 'text', 'label'",
    ):
        load_target(path, image="picture")


def test_an_image_that_is_not_there_is_named(tmp_path):
    pictures(tmp_path, 1)
    path = lines(
        tmp_path / "set.jsonl",
        {"image": "pictures/0.png", "label": 0},
        {"image": "pictures/9.png", "label": 1},
    )
    with pytest.raises(FeatalignError, match=r"pictures/9\.png: expected a readable image"):
        load_target(path)


@pytest.mark.parametrize(
    "names",
    [
        ("premise", "hypothesis"),
        ("sentence1", "sentence2"),
        ("question", "sentence"),
        ("Text_A", "Text_B"),
    ],
)
def test_pairs_of_texts(tmp_path, names):
    first, second = names
    path = lines(
        tmp_path / "set.jsonl",
        *(
            {first: f"a {row}", second: f"b {row}", "label": row % 2, "idx": row}
            for row in range(4)
        ),
    )
    assert load_target(path).inputs.read(np.array([3])) == ["a 3\nb 3"]
    assert load_target(path, text=f"{second}, {first}").inputs.read(np.array([3])) == ["b 3\na 3"]
    assert load_target(path, text=first).inputs.read(np.array([3])) == ["a 3"]


def test_several_columns_of_labels(tmp_path):
    path = tmp_path / "set.csv"
    path.write_text("text,toxic,insult\na,0,1\nb,1,1\nc,0,0\n")
    target = load_target(path, label="toxic,insult")
    assert target.task == "multilabel"
    np.testing.assert_array_equal(target.labels, [[0, 1], [1, 1], [0, 0]])
    path.write_text("text,price,area\na,0.5,100\nb,1.25,80\n")
    target = load_target(path, label="price,area")
    assert target.task == "regression"
    np.testing.assert_array_equal(target.labels, [[0.5, 100], [1.25, 80]])
    path.write_text("text,price,area\na,0.5,100\nb,,80\n")
    with pytest.raises(
        FeatalignError,
        match=r"set\.csv, line 3: expected a number as 'price', one of several label columns, got "
        r"''",
    ):
        load_target(path, label="price,area")


def test_a_comma_in_the_name_of_a_column_is_no_separator(tmp_path):
    path = lines(
        tmp_path / "set.jsonl", {"text": "a", "good, bad": "x"}, {"text": "b", "good, bad": "y"}
    )
    assert load_target(path, label="good, bad").class_names == ("x", "y")


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ([["b", "a"], [], ["c"]], [[1, 1, 0], [0, 0, 0], [0, 0, 1]]),
        ([[3, 1], [1], [10]], [[1, 1, 0], [1, 0, 0], [0, 0, 1]]),
        ([[0, 1, 1], [0, 0, 0], [1, 0, 0]], [[0, 1, 1], [0, 0, 0], [1, 0, 0]]),
        ([[0, 1], [1], [0]], [[1, 1], [0, 1], [1, 0]]),
    ],
)
def test_lists_of_labels(tmp_path, lists, expected):
    target = load_target(
        lines(
            tmp_path / "set.jsonl",
            *({"text": str(row), "labels": labels} for row, labels in enumerate(lists)),
        )
    )
    assert target.task == "multilabel"
    np.testing.assert_array_equal(target.labels, expected)


def test_lists_of_labels_in_held_out_rows_have_the_same_columns(tmp_path):
    rows = [
        {"text": "a", "labels": ["x"], "split": "train"},
        {"text": "b", "labels": ["y", "x"], "split": "train"},
    ]
    target = load_target(
        lines(tmp_path / "set.jsonl", *rows, {"text": "c", "labels": ["z", "x"], "split": "test"})
    )
    assert target.held_out is not None
    np.testing.assert_array_equal(target.labels, [[1, 0, 0], [1, 1, 0]])
    np.testing.assert_array_equal(target.held_out.labels, [[1, 0, 1]])


def test_regression(tmp_path):
    target = load_target(
        lines(tmp_path / "set.jsonl", {"text": "a", "label": 0.5}, {"text": "b", "label": 2})
    )
    assert target.task == "regression"
    np.testing.assert_array_equal(target.labels, [[0.5], [2.0]])


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (
            [{"text": "a", "labels": ["x"]}, {"text": "b", "labels": "x"}],
            r"line 2: expected a list of strings or whole numbers as 'labels'",
        ),
        ([{"text": "a", "labels": [["x"]]}], r"line 1: expected a list of strings"),
        (
            [{"text": "a", "labels": ["x"]}, {"text": "b", "labels": ["x"]}],
            "at least two labels in the lists of 'labels', got 1",
        ),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, rows, words):
    with pytest.raises(FeatalignError, match=words):
        load_target(lines(tmp_path / "set.jsonl", *rows))


def test_labels_of_words_are_none_of_their_text(tmp_path):
    path = lines(tmp_path / "set.jsonl", {"tokens": ["a", "b"], "body": "a b", "labels": [0, 1]})
    with pytest.raises(
        FeatalignError,
        match=r"line 1: .*got one for each of its 2 tokens; name their column with text='tokens'",
    ):
        load_target(path)
    assert load_target(path, text="tokens").kind == "token"


@pytest.mark.parametrize(
    "more",
    [
        {"tags": ["x", "y"]},
        {"tokens": ["a", "b"]},
        {"words": 2},
        {"ner_tags": [0, 1], "tokens": ["a", "b"]},
    ],
)
def test_columns_for_words_stand_back_behind_a_text_and_its_label(tmp_path, more):
    target = load_target(
        lines(
            tmp_path / "set.jsonl",
            *({"text": f"a {label}", "label": label, **more} for label in "xyx"),
        )
    )
    assert (target.kind, target.class_names) == ("text", ("x", "y"))
