from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.targets.loaders import load_target
from tests.targets.pictures import random_images, write_folder


@pytest.mark.parametrize(
    ("name", "kind", "shape", "num_classes"),
    [
        ("digits", "image", (1797, 8, 8), 10),
        ("iris", "array", (150, 4), 3),
        ("wine", "array", (178, 13), 3),
        ("breast_cancer", "array", (569, 30), 2),
        ("diabetes", "array", (442, 10), 0),
        ("linnerud", "array", (20, 3), 0),
    ],
)
def test_bundled_sets(name, kind, shape, num_classes):
    target = load_target(f"sklearn:{name}")
    inputs = target.inputs.read(np.arange(len(target)))
    assert isinstance(inputs, np.ndarray)
    assert (target.kind, inputs.shape, target.num_classes, target.name) == (
        kind,
        shape,
        num_classes,
        f"sklearn:{name}",
    )
    if name == "digits":
        assert (inputs.dtype, inputs.min(), inputs.max()) == (np.uint8, 0, 255)
    if name == "iris":
        assert target.class_names == ("setosa", "versicolor", "virginica")
    if name == "linnerud":
        assert target.labels.shape == (20, 3)


def test_subset_and_seed():
    target = load_target("sklearn:digits", subset=100, seed=4)
    np.testing.assert_array_equal(np.bincount(target.labels), [10] * 10)
    assert target.fingerprint == load_target("sklearn:digits").subset(100, seed=4).fingerprint
    assert target.fingerprint != load_target("sklearn:digits", subset=100, seed=5).fingerprint
    with pytest.raises(
        FeatalignError, match="one row for each of the 10 classes of sklearn:digits, got 9"
    ):
        load_target("sklearn:digits", subset=9)


def test_unknown_bundled_set():
    with pytest.raises(
        FeatalignError,
        match=r"sklearn:mnist: .*no bundled set 'mnist'; there are sklearn:digits, sklearn:iris",
    ):
        load_target("sklearn:mnist")


@pytest.mark.parametrize("address", [None, 3, "", np.zeros((3, 2))])
def test_what_is_no_address(address):
    with pytest.raises(
        FeatalignError, match=r"target: expected a folder of class folders.*Target\.from_arrays"
    ):
        load_target(address)


def test_a_path_that_does_not_exist(tmp_path):
    with pytest.raises(
        FeatalignError, match=r"nothing: expected a folder of class folders.*does not exist"
    ):
        load_target(tmp_path / "nothing")


def test_files_of_other_kinds(tmp_path):
    np.save(tmp_path / "inputs.npy", np.zeros((3, 2)))
    with pytest.raises(
        FeatalignError,
        match=r"inputs\.npy: an \.npy file holds one array and no labels.*`inputs` and `labels`",
    ):
        load_target(tmp_path / "inputs.npy")
    (tmp_path / "data.xlsx").write_bytes(b"")
    with pytest.raises(FeatalignError, match=r"data\.xlsx: expected a folder.*another kind"):
        load_target(tmp_path / "data.xlsx")


def test_names(tmp_path, monkeypatch):
    folder = write_folder(tmp_path / "my.flowers", random_images(2), ["a", "b"])
    monkeypatch.chdir(folder)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert {
        load_target(address).name for address in (folder, f"{folder}/", ".", "~/my.flowers")
    } == {"my.flowers"}
    (tmp_path / "a.b.jsonl").write_text('{"text": "a", "label": 1}\n{"text": "b", "label": 2}\n')
    assert load_target(tmp_path / "a.b.jsonl").name == "a.b"


def test_a_folder_that_may_not_be_read(tmp_path, monkeypatch):
    def refuse(folder: Path):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(
        Path, "iterdir", refuse
    )  # permissions themselves do not bind the superuser, who may run this
    with pytest.raises(FeatalignError, match=r"expected a readable path, but .*Permission denied"):
        load_target(tmp_path)


def test_digits_are_those_that_scikit_learn_loads():
    from sklearn.datasets import load_digits

    bundle: Any = load_digits()
    target = load_target("sklearn:digits")
    rows = np.arange(len(target))
    np.testing.assert_array_equal(
        target.inputs.read(rows), np.round(bundle.images * (255 / 16)).astype(np.uint8)
    )
    np.testing.assert_array_equal(target.labels, bundle.target)
    assert target.class_names == tuple(str(digit) for digit in range(10))
