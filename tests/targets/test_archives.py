import zipfile

import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.targets.loaders import load_target
from tests.targets.pictures import random_images

IMAGES = random_images(6)


def saved(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def test_inputs_and_labels(tmp_path):
    target = load_target(saved(tmp_path / "my set.npz", inputs=IMAGES, labels=[3, 7] * 3))
    assert repr(target) == "Target('my set', 6 images, 2 classes)"
    assert target.class_names == ("3", "7")
    np.testing.assert_array_equal(target.inputs.read(np.arange(6)), IMAGES)


def test_train_test_and_classes(tmp_path):
    path = saved(
        tmp_path / "set.npz",
        x_train=IMAGES,
        y_train=[0, 1] * 3,
        x_test=IMAGES[:2],
        y_test=[1, 1],
        classes=np.array(["cat", "dog"]),
        extra=np.zeros(3),
    )
    target = load_target(path)
    assert target.class_names == ("cat", "dog")
    assert target.held_out is not None
    np.testing.assert_array_equal(target.held_out.labels, [1, 1])


def test_texts_and_string_labels(tmp_path):
    target = load_target(
        saved(tmp_path / "set.npz", x_train=np.array(["one", "two"]), y_train=np.array(["b", "a"]))
    )
    assert target.kind == "text"
    assert target.inputs.read(np.array([1])) == ["two"]
    np.testing.assert_array_equal(target.labels, [1, 0])


def test_the_path_does_not_enter_the_fingerprint(tmp_path):
    first = load_target(saved(tmp_path / "first.npz", inputs=IMAGES, labels=[0, 1] * 3))
    second = load_target(saved(tmp_path / "second.npz", labels=[0, 1] * 3, inputs=IMAGES))
    assert first.fingerprint == second.fingerprint
    assert first.name != second.name


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": IMAGES, "y": [0, 1]}, r"expected `inputs` and `labels`.*got x, y"),
        ({}, "got nothing"),
        ({"inputs": IMAGES}, r"`x_train`, `y_train`.*got inputs"),
        ({"x_train": IMAGES, "x_test": IMAGES, "y_test": [0] * 6}, "got x_train, x_test, y_test"),
        ({"x_train": IMAGES, "y_train": [0, 1] * 3, "y_test": [0]}, "y_test without x_test"),
        ({"inputs": IMAGES, "labels": [0, 1]}, "one label for each of the 6 rows, got 2"),
        ({"inputs": IMAGES, "labels": [0] * 6}, "at least two classes"),
        (
            {"inputs": IMAGES, "labels": [0, 1, 2] * 2, "classes": np.array(["a", "b"])},
            "along the 2 names",
        ),
        (
            {"inputs": np.full((2, 3), np.nan), "labels": [0, 1]},
            r"inputs: .*3 NaN or infinite in row 0",
        ),
        (
            {
                "x_train": IMAGES,
                "y_train": [0, 1] * 3,
                "x_test": np.full((1, 2, 2), np.nan),
                "y_test": [0],
            },
            "x_test: .*4 NaN",
        ),
        ({"inputs": np.zeros((0, 3)), "labels": np.zeros(0, int)}, "at least one row"),
    ],
)
def test_contents_that_cannot_be_used_are_said_with_the_file(tmp_path, arrays, words):
    path = saved(tmp_path / "set.npz", **arrays)
    with pytest.raises(FeatalignError, match=words) as raised:
        load_target(path)
    assert str(raised.value).startswith(str(path))


def test_object_arrays_are_refused(tmp_path):
    path = saved(tmp_path / "set.npz", inputs=np.array(["a", "b"], dtype=object), labels=[0, 1])
    with pytest.raises(
        FeatalignError,
        match=r"set\.npz: expected plain arrays, got an object array as `inputs`.*astype",
    ):
        load_target(path)


@pytest.mark.parametrize("content", [b"", b"not an archive", b"\x93NUMPY"])
def test_a_file_that_is_no_archive(tmp_path, content):
    (tmp_path / "set.npz").write_bytes(content)
    with pytest.raises(FeatalignError, match=r"set\.npz: expected an \.npz file"):
        load_target(tmp_path / "set.npz")


def test_damaged_archives_never_give_another_error(tmp_path):
    path = saved(tmp_path / "set.npz", inputs=IMAGES, labels=[0, 1] * 3)
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    messages = []
    for _ in range(150):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 3):
            damaged[place] = random.integers(256)
        path.write_bytes(damaged)
        try:
            load_target(path)
        except FeatalignError as error:
            messages.append(str(error))
    assert len(messages) > 50
    assert all(message.startswith(str(path)) for message in messages)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FeatalignError, match=r"expected an \.npz file"):
        load_target(path)


def test_an_archive_of_other_files(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.npz", "w") as archive:
        archive.writestr("inputs", b"text")
        archive.writestr("labels", b"text")
    with pytest.raises(FeatalignError, match=r"set\.npz"):
        load_target(tmp_path / "set.npz")


@pytest.mark.parametrize(
    "names",
    [
        ("inputs", "labels", "groups"),
        ("x_train", "y_train", "groups_train"),
        ("x_train", "y_train", "groups"),
    ],
)
def test_groups_of_an_archive(tmp_path, names):
    rows = (np.arange(24.0).reshape(12, 2), np.arange(12) % 2, np.arange(12) // 3)
    held = {"x_test": rows[0], "y_test": rows[1], "groups_test": rows[2]}
    arrays = dict(zip(names, rows, strict=True)) | (held if names[0] == "x_train" else {})
    target = load_target(saved(tmp_path / "set.npz", **arrays))
    assert target.groups is not None
    assert target.groups.count == 4
    if target.held_out is not None:
        assert target.held_out.groups is not None
        np.testing.assert_array_equal(target.held_out.groups.values, target.groups.values)


def test_groups_of_an_archive_that_do_not_fit(tmp_path):
    np.savez(tmp_path / "set.npz", inputs=np.ones((6, 2)), labels=[0, 1] * 3, groups=[1, 2])
    with pytest.raises(FeatalignError, match="groups: expected the group of each of 6 rows, got 2"):
        load_target(tmp_path / "set.npz")
