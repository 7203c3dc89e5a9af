import numpy as np
import pytest

from featalign.errors import FeatalignError
from featalign.targets import inputs as inputs_module
from featalign.targets.batches import batches
from featalign.targets.inputs import ImageFiles
from featalign.targets.target import Target
from tests.targets.pictures import random_images, write_folder

NUMBERS = Target.from_arrays("numbers", np.arange(14.0).reshape(7, 2), [0, 1, 0, 1, 0, 1, 0])


@pytest.mark.parametrize("batch_size", [1, 3, 7, 10])
def test_every_batch_is_full_and_the_valid_rows_are_the_target(batch_size):
    found = list(batches(NUMBERS, batch_size))
    assert all(
        len(part) == batch_size
        for batch in found
        for part in (batch.inputs, batch.labels, batch.valid, batch.rows)
    )
    np.testing.assert_array_equal(
        np.concatenate([batch.inputs[batch.valid] for batch in found]),
        np.arange(14.0).reshape(7, 2),
    )
    np.testing.assert_array_equal(
        np.concatenate([batch.labels[batch.valid] for batch in found]), NUMBERS.labels
    )
    np.testing.assert_array_equal(
        np.concatenate([batch.rows[batch.valid] for batch in found]), np.arange(7)
    )


def test_padding_repeats_the_last_row():
    *_, last = batches(NUMBERS, 4)
    np.testing.assert_array_equal(last.valid, [True, True, True, False])
    np.testing.assert_array_equal(last.rows, [4, 5, 6, 6])
    np.testing.assert_array_equal(last.inputs[3], last.inputs[2])
    assert last.labels[3] == last.labels[2]


def test_some_rows_in_the_order_given():
    (batch,) = batches(NUMBERS, 4, rows=np.array([6, 0, 2]))
    np.testing.assert_array_equal(batch.rows, [6, 0, 2, 2])
    np.testing.assert_array_equal(np.asarray(batch.inputs)[:, 0], [12, 0, 4, 4])


def test_texts_and_images_of_differing_sizes_are_padded_as_lists():
    texts = Target.from_arrays("texts", ["a", "b", "c"], [0, 1, 1])
    assert [batch.inputs for batch in batches(texts, 2)] == [["a", "b"], ["c", "c"]]
    images = Target.from_arrays(
        "images", [np.full((size, 2), size, np.uint8) for size in (1, 2, 3)], [0, 1, 1]
    )
    (batch,) = batches(images, 5)
    assert [len(image) for image in batch.inputs] == [1, 2, 3, 3, 3]


def test_regression_targets_are_padded():
    target = Target.from_arrays("numbers", np.zeros((3, 1)), np.arange(6.0).reshape(3, 2))
    *_, last = batches(target, 2)
    np.testing.assert_array_equal(last.labels, [[4, 5], [4, 5]])


def test_files_are_decoded_batch_by_batch(tmp_path, monkeypatch):
    folder = write_folder(tmp_path, random_images(6), ["a"] * 6)
    decoded = []
    decode = inputs_module.decode_image
    monkeypatch.setattr(
        inputs_module, "decode_image", lambda path: decoded.append(path) or decode(path)
    )
    target = Target(
        "files", ImageFiles(tuple(sorted(folder.rglob("*.png")))), np.array([0, 1] * 3), ("x", "y")
    )
    stream = batches(target, 4)
    assert len(decoded) == 0
    next(stream)
    assert len(decoded) == 4
    next(stream)
    assert len(decoded) == 6  # padding is not decoded again


@pytest.mark.parametrize("batch_size", [0, -2, 1.5, True, None])
def test_batch_sizes_that_cannot_be_used_are_refused_at_once(batch_size):
    with pytest.raises(FeatalignError, match="batch_size: expected a whole number"):
        batches(NUMBERS, batch_size)


def test_rows_out_of_range_are_refused_at_once():
    with pytest.raises(FeatalignError, match="rows: expected numbers from 0 to 6, got 0 to 7"):
        batches(NUMBERS, 2, rows=np.array([0, 7]))
