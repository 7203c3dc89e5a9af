import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from featalign.errors import FeatalignError
from featalign.targets import inputs as inputs_module
from featalign.targets.conversion import as_inputs
from featalign.targets.inputs import ArrayInputs, ImageFiles, TextInputs
from tests.targets.pictures import random_images, write_folder

ROWS = np.array([3, 0, 3])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (np.zeros((4, 6, 5), np.uint8), "image"),
        (np.zeros((4, 6, 5, 1), np.uint8), "image"),
        (np.zeros((4, 6, 5, 3), np.uint8), "image"),
        (np.zeros((4, 6, 5, 4), np.float32), "image"),
        (np.ones((4, 6, 5)), "image"),
        (np.full((4, 6, 5), 1.5), "array"),
        (np.full((4, 6, 5, 3), -0.1), "array"),
        (np.zeros((4, 3, 6, 5), np.uint8), "array"),
        (np.zeros((4, 6, 5), np.int32), "array"),
        (np.zeros((4, 6), np.uint8), "array"),
        (np.zeros((4, 6)), "array"),
        (["a", "b", "c", ""], "text"),
        (np.array(["a", "b", "c", "d"]), "text"),
        (np.array(["a", "b", "c", "d"], dtype=object), "text"),
        ([[1.0, 2.0]] * 4, "array"),
        ([np.zeros((3, 3), np.uint8)] * 4, "image"),
    ],
)
def test_kinds(values, kind):
    inputs = as_inputs(values)
    assert inputs.kind == kind
    assert len(inputs) == 4
    assert len(inputs.read(ROWS)) == 3


def test_images_of_differing_sizes_are_read_as_a_list():
    images = [np.full((height, 4, 3), height, np.uint8) for height in (2, 3, 4, 3)]
    inputs = as_inputs(images)
    batch = inputs.read(ROWS)
    assert isinstance(batch, list)
    assert [image.shape[0] for image in batch] == [3, 2, 3]
    assert isinstance(inputs.read(np.array([1, 3])), np.ndarray)
    assert [len(image) for image in inputs.take(ROWS).read(np.arange(3))] == [3, 2, 3]


def test_pillow_images_are_accepted():
    inputs = as_inputs([Image.new("RGB", (5, 6)), Image.new("RGB", (4, 6))])
    assert inputs.kind == "image"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ("a text", "list of strings, got str"),
        ({"a": 1}, "list of strings, got dict"),
        (None, "got NoneType"),
        (3.0, "got float"),
        (np.float32(3), "single value"),
        ([], "at least one row"),
        (np.zeros((0, 3)), "at least one row"),
        (np.zeros((3, 0)), "at least one number"),
        (np.zeros(3), r"shape \(N, \.\.\.\).*\(3,\)"),
        (np.zeros((3, 2), bool), "got bool"),
        (np.zeros((3, 2), complex), "got complex128"),
        (np.array([[None, 1], [2, 3]], dtype=object), "got object"),
        (["a", None], "string in every row, got NoneType in row 1"),
        (["a", float("nan")], "string in every row, got float in row 1"),
        ([np.zeros((2, 2), np.uint8), np.zeros((3, 2))], "row 1 is float64"),
        ([np.zeros(2, np.uint8), np.zeros(3, np.uint8)], "row 0 is uint8 of shape"),
        ([np.zeros((2, 2)), np.full((3, 2), 2.0)], "row 1 is float64"),
        ([np.zeros((2, 2)), np.full((3, 2), np.nan)], "6 NaN or infinite in row 1"),
        ([[[1], [1, 2]], [[1], [1, 2]]], "row 0 is none"),
    ],
)
def test_what_cannot_be_used_is_said(values, words):
    with pytest.raises(FeatalignError, match=words):
        as_inputs(values)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row", [0, 4095, 4096, 4999])
def test_nan_is_found_in_any_row(bad, row):
    values = np.zeros((5000, 3), np.float32)
    values[row, 1] = bad
    with pytest.raises(
        FeatalignError, match=f"inputs: expected finite values, got 1 NaN or infinite in row {row};"
    ):
        as_inputs(values)


def test_files_are_decoded_only_when_read(tmp_path, monkeypatch):
    images = random_images(6)
    folder = write_folder(tmp_path, images, ["a"] * 6)
    decoded = []
    decode = inputs_module.decode_image
    monkeypatch.setattr(
        inputs_module, "decode_image", lambda path: decoded.append(path.name) or decode(path)
    )
    files = ImageFiles(tuple(sorted(folder.rglob("*.png"))))
    files.check_headers()
    part = files.take(np.array([4, 1, 5]))
    assert decoded == []
    np.testing.assert_array_equal(part.read(np.array([2, 0])), images[[5, 4]])
    assert sorted(decoded) == ["0004.png", "0005.png"]


def test_digests_are_computed_once_and_handed_on(tmp_path, monkeypatch):
    folder = write_folder(tmp_path, random_images(4), ["a"] * 4)
    files = ImageFiles(tuple(sorted(folder.rglob("*.png"))))
    digests = files.row_digests()
    monkeypatch.setattr(inputs_module, "decode_image", lambda path: pytest.fail("decoded again"))
    assert files.row_digests() is digests
    np.testing.assert_array_equal(files.take(ROWS).row_digests(), digests[ROWS])


def test_image_digests_depend_on_the_pixels_alone(tmp_path):
    images = random_images(4)
    first = ImageFiles(
        tuple(sorted(write_folder(tmp_path / "first", images, ["a"] * 4).rglob("*.png")))
    )
    second = ImageFiles(
        tuple(
            sorted(write_folder(tmp_path / "second", images, ["other"] * 4, ".bmp").rglob("*.bmp"))
        )
    )
    in_memory = as_inputs(images)
    np.testing.assert_array_equal(first.row_digests(), in_memory.row_digests())
    np.testing.assert_array_equal(second.row_digests(), in_memory.row_digests())
    np.testing.assert_array_equal(as_inputs(list(images)).row_digests(), in_memory.row_digests())


def test_digests_tell_content_shape_type_and_kind_apart():
    same = np.zeros((2, 6), np.uint8)
    variants = [
        same,
        same.astype(np.float32),
        np.eye(2, 6, dtype=np.uint8),
        same.reshape(2, 2, 3),
        same.reshape(2, 3, 2),
        same.reshape(2, 2, 1, 3),
        ["", "\x00" * 6],
        ["é", "\ud800"],
    ]
    digests = [as_inputs(values).row_digests() for values in variants]
    assert all(rows.shape == (2, 32) and rows.dtype == np.uint8 for rows in digests)
    assert len({rows.tobytes() for rows in digests}) == len(variants)


def test_digests_ignore_the_byte_order_and_a_channel_axis_of_one():
    values = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_array_equal(
        as_inputs(values).row_digests(), as_inputs(values.astype(">f8")).row_digests()
    )
    grey = random_images(3, (6, 5))
    np.testing.assert_array_equal(
        as_inputs(grey).row_digests(), as_inputs(grey[..., None]).row_digests()
    )


@pytest.mark.parametrize(
    "inputs", [ArrayInputs("array", np.arange(8.0).reshape(4, 2)), TextInputs(("a", "b", "c", "d"))]
)
def test_taken_rows_have_the_digests_of_their_rows(inputs):
    before = inputs.take(ROWS).row_digests()
    np.testing.assert_array_equal(before, inputs.row_digests()[ROWS])
    np.testing.assert_array_equal(inputs.take(ROWS).row_digests(), before)


def test_importing_targets_loads_nothing_heavy():
    code = "import sys, featalign.targets.loaders, featalign.targets.batches\n"
    code += "print([name for name in ('jax', 'PIL', 'sklearn', 'h5py') if name in sys.modules])"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout
        == "[]\n"
    )
