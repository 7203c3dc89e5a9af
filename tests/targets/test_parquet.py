import builtins
import io

import numpy as np
import pytest
from PIL import Image

from featalign.errors import FeatalignError
from featalign.targets.loaders import load_target
from tests.targets.pictures import random_images


@pytest.fixture
def parquet():
    return pytest.importorskip(
        "pyarrow.parquet", reason='needs pyarrow: pip install "featalign[data]"'
    )


def write(parquet, path, **columns):
    import pyarrow

    parquet.write_table(pyarrow.table(columns), path)
    return path


def encoded(image):
    content = io.BytesIO()
    Image.fromarray(image).save(content, "PNG")
    return {"bytes": content.getvalue(), "path": None}


def test_texts_and_splits(parquet, tmp_path):
    path = write(
        parquet,
        tmp_path / "set.parquet",
        text=["a", "b", "c"],
        label=[3, 1, 3],
        split=["train", "train", "test"],
    )
    target = load_target(path)
    assert repr(target) == "Target('set', 2 texts, 2 classes, 1 held out)"
    assert target.class_names == ("1", "3")
    csv = tmp_path / "set.csv"
    csv.write_text("text,label,split\na,3,train\nb,1,train\nc,3,test\n")
    assert load_target(csv).fingerprint == target.fingerprint


def test_images_within_the_table(parquet, tmp_path):
    images = random_images(3)
    path = write(
        parquet,
        tmp_path / "set.parquet",
        picture=[encoded(image) for image in images],
        label=["x", "y", "x"],
    )
    target = load_target(path)
    assert target.kind == "image"
    for read, image in zip(target.inputs.read(np.arange(3)), images, strict=True):
        np.testing.assert_array_equal(read, image)
    (tmp_path / "folder").mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "folder" / f"{number}.png")
    table = tmp_path / "other.csv"
    table.write_text(
        "file,label\n" + "".join(f"folder/{number}.png,{'xyx'[number]}\n" for number in range(3))
    )
    assert load_target(table).fingerprint == target.fingerprint
    assert (
        target.take(np.array([2, 0])).inputs.row_digests().tolist()
        == target.inputs.row_digests()[[2, 0]].tolist()
    )


def test_labels_of_several_columns_and_lists(parquet, tmp_path):
    several = write(
        parquet,
        tmp_path / "several.parquet",
        text=["a", "b"],
        first=[True, False],
        second=[True, True],
    )
    np.testing.assert_array_equal(
        load_target(several, label="first,second").labels, [[1, 1], [0, 1]]
    )
    lists = write(parquet, tmp_path / "lists.parquet", text=["a", "b"], labels=[["x", "y"], ["y"]])
    np.testing.assert_array_equal(load_target(lists).labels, [[1, 1], [0, 1]])


def test_what_cannot_be_used(parquet, tmp_path):
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and no more")
    with pytest.raises(
        FeatalignError, match=r"broken\.parquet: expected a Parquet file, but it cannot be read"
    ):
        load_target(broken)
    with pytest.raises(
        FeatalignError, match=r"set\.parquet, row 1: expected a label as 'label', got none"
    ):
        load_target(write(parquet, tmp_path / "set.parquet", text=["a", "b"], label=["x", None]))
    images = [encoded(random_images(1)[0]), {"bytes": None, "path": None}]
    target = load_target(write(parquet, tmp_path / "set.parquet", image=images, label=["x", "y"]))
    with pytest.raises(FeatalignError, match=r"set\.parquet, row 1: expected an image, got none"):
        target.inputs.read(np.arange(2))
    damaged = load_target(
        write(
            parquet,
            tmp_path / "set.parquet",
            image=[images[0], {"bytes": b"no", "path": None}],
            label=["x", "y"],
        )
    )
    with pytest.raises(
        FeatalignError,
        match=r"set\.parquet, row 1: expected a readable image, but its format is not known",
    ):
        _ = damaged.fingerprint


def test_without_the_library(tmp_path, monkeypatch):
    (tmp_path / "set.parquet").write_bytes(b"PAR1")
    real = builtins.__import__

    def refuse(name, *rest):
        if name.split(".")[0] == "pyarrow":
            raise ImportError("No module named 'pyarrow'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(
        FeatalignError,
        match=r"set\.parquet: reading Parquet needs pyarrow, which is not installed; run pip "
        r'install "featalign\[data\]"',
    ):
        load_target(tmp_path / "set.parquet")


@pytest.mark.parametrize("texts", [[b"a b", b"caf\xc3\xa9", None, b"d"], [b"x", b"y", b"z", b"w"]])
def test_texts_that_are_stored_as_bytes(parquet, tmp_path, texts):
    path = write(parquet, tmp_path / "set.parquet", text=texts, label=["u", "v", "u", "v"])
    if None in texts:
        with pytest.raises(FeatalignError, match="row 2: expected a text"):
            load_target(path)
    else:
        assert load_target(path).kind == "text"


def test_images_in_base64_are_no_texts(parquet, tmp_path):
    import base64

    content = [base64.b64encode(encoded(image)["bytes"]).decode() for image in random_images(4)]
    path = write(parquet, tmp_path / "set.parquet", image=content, label=["u", "v", "u", "v"])
    with pytest.raises(FeatalignError, match="got images in base64"):
        load_target(path)
