"""The parts of a data set, in folders, tables and archives, and what is left out of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from featalign.errors import FeatalignError
from featalign.targets.loaders import load_target
from featalign.targets.splits import find_splits, named
from tests.targets.pictures import random_images, write_folder

IMAGES = random_images(6)
NAMES = ["rose", "daisy"] * 3


def flat(folder: Path, count: int = 4) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(random_images(count)):
        Image.fromarray(image).save(folder / f"{number}.png")


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("TRAIN", "train"),
        ("training_set", "train"),
        ("seg_train", "train"),
        ("Train2017", "train"),
        ("test1", "test"),
        ("TestImages", "test"),
        ("hold-out", "holdout"),
        ("held_out", "holdout"),
        ("Evaluation", "evaluation"),
        ("Dev", "validation"),
        ("valset", "validation"),
        ("unlabeled", "unlabelled"),
        ("rose", None),
        ("protest", None),
        ("strain", None),
        ("train_vs_test", None),
        ("élève", None),
    ],
)
def test_what_names_say(name, role):
    found = named(name)
    assert (found and found.role) == role


@pytest.mark.parametrize(
    ("train", "held"),
    [("Trn", "Tst"), ("train_data", "holdout"), ("x_train", "x_val"), ("TRAINING", "Development")],
)
def test_folders_in_other_words(tmp_path, train, held):
    write_folder(tmp_path / train, IMAGES, NAMES)
    write_folder(tmp_path / held, IMAGES[:2], ["rose", "daisy"])
    target = load_target(tmp_path)
    assert target.class_names == ("daisy", "rose")
    assert target.held_out is not None
    assert (len(target), len(target.held_out), target.remarks) == (6, 2, ())


@pytest.mark.parametrize("held", ["Test", "predictions", "unlabeled"])
def test_an_unlabelled_part_is_said_and_left_out(tmp_path, held):
    write_folder(tmp_path / "Train", IMAGES, NAMES)
    flat(tmp_path / held)
    target = load_target(tmp_path)
    assert (target.class_names, target.held_out) == (("daisy", "rose"), None)
    assert len(target.remarks) == 1
    assert target.remarks[0].startswith(f"left out: {held} (4 images), which ")
    write_folder(tmp_path / "Valid", IMAGES[:2], ["rose", "daisy"])
    held_out = load_target(tmp_path).held_out
    assert held_out is not None
    assert len(held_out) == 2


def test_a_test_folder_with_one_folder_that_is_no_class_is_unlabelled(tmp_path):
    write_folder(tmp_path / "train", IMAGES, NAMES)
    flat(tmp_path / "test" / "images")
    target = load_target(tmp_path)
    assert target.held_out is None
    assert "left out: test (4 images)" in target.remarks[0]


def test_folders_within_folders(tmp_path):
    twice = tmp_path / "twice"
    write_folder(twice / "seg_train" / "seg_train", IMAGES, NAMES)
    write_folder(twice / "seg_test" / "seg_test", IMAGES[:2], ["rose", "daisy"])
    flat(twice / "seg_pred" / "seg_pred")
    target = load_target(twice)
    assert target.held_out is not None
    assert (len(target), len(target.held_out)) == (6, 2)
    write_folder(tmp_path / "around" / "archive" / "Training", IMAGES, NAMES)
    write_folder(tmp_path / "around" / "archive" / "Eval", IMAGES[:2], ["rose", "daisy"])
    around = load_target(tmp_path / "around")
    assert around.class_names == ("daisy", "rose")
    for name in ("rose", "daisy"):
        write_folder(tmp_path / "inside" / name, IMAGES, ["Train", "Test"] * 3)
    inside = load_target(tmp_path / "inside")
    assert inside.held_out is not None
    assert (inside.class_names, len(inside), len(inside.held_out)) == (("daisy", "rose"), 6, 6)


@pytest.mark.parametrize(
    ("folders", "words"),
    [
        (("Train/a", "training/b", "test/a"), "one part for training, got 'Train', 'training'"),
        (("train/a", "train/b", "Test/a", "testing/b"), "held-out rows"),
        (("Training", "Test"), r"its folders are splits \(Test, Training\)"),
        (("dev/a", "dev/b", "eval/a"), "its folders are splits"),
        (("cat", "dog", "test"), "whether 'test' is a class or a split"),
        (("train/a", "train/b", "more"), "whether 'train' is a class or a split"),
        (("labeled", "Unlabeled"), "whether 'Unlabeled' is a class or a split"),
        (("a/train/x", "a/train/y", "b/train", "b/test"), "whether a, b are classes"),
        (("train/images/a", "train/images/b"), "got one folder, images, with folders in it"),
        (("pictures/a", "pictures/b"), "got one folder, pictures, with folders in it"),
    ],
)
def test_what_cannot_be_decided_is_refused(tmp_path, folders, words):
    for folder in folders:
        flat(tmp_path / folder)
    with pytest.raises(FeatalignError, match=words):
        load_target(tmp_path)


@pytest.mark.parametrize(
    "folders",
    [("bullet_train", "steam_train"), ("blood_test", "skin_test"), ("invalid", "valid")],
)
def test_a_split_word_in_the_names_of_classes(tmp_path, folders):
    for folder in folders:
        flat(tmp_path / folder)
    assert load_target(tmp_path).class_names == folders


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("SPLIT", ("Training", "Testing")),
        ("split ", ("train", "holdout")),
        ("Partition", ("Train", "EVAL")),
        ("Usage", ("Training", "PrivateTest")),
    ],
)
def test_columns_of_splits(tmp_path, column, words):
    rows = "".join(f"t{row},{'ab'[row % 2]},{words[row > 5]}\n" for row in range(8))
    (tmp_path / "set.csv").write_text(f"text,label,{column}\n{rows}")
    target = load_target(tmp_path / "set.csv")
    assert target.held_out is not None
    assert (len(target), len(target.held_out)) == (6, 2)


def test_an_unlabelled_part_of_a_table(tmp_path):
    rows = [{"text": f"t{row}", "label": "ab"[row % 2], "Split": "train"} for row in range(6)]
    rows += [{"text": f"v{row}", "label": "ab"[row % 2], "Split": "dev"} for row in range(2)]
    for number, label in enumerate((None, "", "N/A")):
        kept_back = [{"text": "x", "label": label, "Split": "Test"} for _ in range(3)]
        path = tmp_path / f"{number}.jsonl"
        path.write_text("\n".join(map(json.dumps, rows + kept_back)))
        target = load_target(path)
        assert target.held_out is not None
        assert (len(target), len(target.held_out)) == (6, 2)
        assert target.remarks == ("left out: test (3 rows), which has no labels",)


def test_a_row_without_its_split_is_named(tmp_path):
    rows = [{"text": "a", "label": "x", "split": "train"}, {"text": "b", "label": "y"}]
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(FeatalignError, match=r"line 2: expected train, val or test .* got None"):
        load_target(tmp_path / "set.jsonl")


@pytest.mark.parametrize(
    "keys",
    [
        ("X_train", "Y_train", "X_val", "Y_val"),
        ("train_images", "train_labels", "test_images", "test_labels"),
        ("TrainData", "TrainTargets", "DevData", "DevTargets"),
        ("Inputs", "LABELS", "features_test", "targets_test"),
    ],
)
def test_archives_in_other_words(tmp_path, keys):
    given = (IMAGES, np.array([0, 1] * 3), IMAGES[:2], np.array([0, 1]))
    arrays: dict[str, Any] = dict(zip(keys, given, strict=True))
    np.savez(tmp_path / "set.npz", **arrays)
    target = load_target(tmp_path / "set.npz")
    assert target.held_out is not None
    assert (len(target), len(target.held_out)) == (6, 2)


def test_an_unlabelled_part_of_an_archive(tmp_path):
    arrays: dict[str, Any] = {"x_train": IMAGES, "y_train": [0, 1] * 3, "x_test": IMAGES}
    np.savez(tmp_path / "set.npz", **arrays, x_val=IMAGES[:2], y_val=[0, 1])
    target = load_target(tmp_path / "set.npz")
    assert target.held_out is not None
    assert len(target.held_out) == 2
    assert target.remarks == ("left out: x_test, which has no labels beside it",)


def test_the_splits_of_a_hub_that_say_more_than_their_word():
    found = find_splits(["train", "validation_matched", "test_matched", "unsupervised"])
    assert found is not None
    assert (found.train, found.held_out) == ("train", ())
    assert found.others == ("validation_matched", "test_matched", "unsupervised")


def test_splits_of_datasets(tmp_path):
    datasets = pytest.importorskip("datasets", reason="needs featalign[data]")
    rows = {"text": [f"t{row}" for row in range(6)], "label": [0, 1] * 3}
    parts = {
        "Training": datasets.Dataset.from_dict(rows),
        "test": datasets.Dataset.from_dict({**rows, "label": [None] * 6}),
        "holdout": datasets.Dataset.from_dict({"text": rows["text"]}),
        "Evaluation": datasets.Dataset.from_dict({"text": ["a"], "label": [1]}),
        "unsupervised": datasets.Dataset.from_dict({"text": ["a"]}),
    }
    datasets.DatasetDict(parts).save_to_disk(tmp_path / "saved")
    target = load_target(tmp_path / "saved")
    assert target.held_out is not None
    assert (len(target), len(target.held_out)) == (6, 1)
    assert [remark.split(" (")[0] for remark in target.remarks] == [
        *("left out: unsupervised", "left out: test", "left out: holdout"),
    ]


def test_folders_that_hold_the_same_folders_may_be_parts(tmp_path):
    """Domains are said; folds, which differ in their figures alone, are refused."""
    for name in ("sketch", "photo"):
        write_folder(tmp_path / "domains" / name, IMAGES, NAMES)
    target = load_target(tmp_path / "domains")
    assert target.class_names == ("photo", "sketch")
    assert "each holds the folders daisy, rose" in target.remarks[0]
    for name in ("fold_1", "fold_2"):
        write_folder(tmp_path / "folds" / name, IMAGES, NAMES)
    with pytest.raises(FeatalignError, match=r"cannot tell whether .*fold_1, fold_2.* are classes"):
        load_target(tmp_path / "folds")


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ("Dataset", ("train", "test")),
        ("mode", ("Training", "Validation")),
        ("is_valid", ("False", "True")),
        ("is_train", ("1", "0")),
        ("IsTest", ("0.0", "1.0")),
    ],
)
def test_columns_of_splits_by_other_names_and_flags(tmp_path, column, words):
    path = tmp_path / "set.csv"
    rows = "".join(f"t{row},{'ab'[row // 2 % 2]},{words[row % 2]}\n" for row in range(16))
    path.write_text(f"text,label,{column}\n{rows}")
    target = load_target(path)
    assert target.held_out is not None
    assert (len(target), len(target.held_out)) == (8, 8)


def texts(folder: Path, name: str, count: int, label: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{name} {row}{',' + 'ab'[row % 2] if label else ''}\n" for row in range(count))
    (folder / name).write_text(f"text{',label' if label else ''}\n{rows}")


@pytest.mark.parametrize(
    ("names", "held_out"),
    [
        (("Train.csv", "Test.csv"), 4),
        (("reviews_training.csv", "reviews_dev.csv"), 4),
        (("train-00000-of-00001.csv", "validation-00000-of-00001.csv"), 4),
    ],
)
def test_folders_of_tables(tmp_path, names, held_out):
    texts(tmp_path, names[0], 8)
    texts(tmp_path, names[1], 4)
    target = load_target(tmp_path)
    assert target.held_out is not None
    assert (len(target), len(target.held_out)) == (8, held_out)


def test_shards_are_joined_and_what_has_no_labels_is_left_out(tmp_path):
    for name, count in (("train-00000-of-00002.csv", 6), ("train-00001-of-00002.csv", 4)):
        texts(tmp_path / "data", name, count)
    texts(tmp_path / "data", "test.csv", 3, label=False)
    texts(tmp_path / "data", "sample_submission.csv", 3)
    target = load_target(tmp_path)
    assert (len(target), target.held_out) == (10, None)
    assert "left out: test (3 rows), which has no labels" in target.remarks
    assert any("sample_submission (3 rows)" in said for said in target.remarks)
    (tmp_path / "data" / "train-00001-of-00002.csv").write_text("words,label\nx,a\n")
    with pytest.raises(FeatalignError, match=r"expected the columns .* as in the other shards"):
        load_target(tmp_path)


def test_tables_none_of_which_is_for_training(tmp_path):
    texts(tmp_path, "one.csv", 4)
    assert len(load_target(tmp_path)) == 4
    texts(tmp_path, "two.csv", 4)
    with pytest.raises(FeatalignError, match=r"a table for training, .*got one.csv, two.csv"):
        load_target(tmp_path)
