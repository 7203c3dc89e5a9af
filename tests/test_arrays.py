"""The checks at the package's boundary."""

import ml_dtypes
import numpy as np
import pandas
import pytest

from featalign.arrays import check_features, check_labels
from featalign.errors import FeatalignError


@pytest.mark.parametrize("dtype", [bool, np.int64, np.uint8])
def test_zeros_and_ones_in_columns_are_several_labels_a_row(dtype):
    labels = check_labels(np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]], dtype), 3)
    assert (labels.task, labels.num_classes, labels.values.dtype) == ("multilabel", 0, np.uint8)
    assert labels.values.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert check_labels(labels.values, 3).task == "multilabel"


def test_whole_numbers_in_columns_are_not_labels():
    with pytest.raises(FeatalignError, match=r"zeros and ones.*from 0 to 2.*as floats"):
        check_labels([[1, 0], [2, 1]], 2)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_floats_stay_what_they_are(dtype):
    features = np.ones((3, 2), dtype)
    assert check_features(features) is features


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_whole_numbers_become_floats(dtype):
    checked = check_features(np.ones((3, 2), dtype))
    assert checked.dtype.kind == "f"
    assert checked.tolist() == [[1, 1]] * 3


def test_large_whole_numbers_keep_their_digits():
    assert check_features(np.array([[2**40], [2**40 + 1]])).tolist() == [[2**40], [2**40 + 1]]


def test_lists_and_tables_are_features():
    assert check_features([[1.5, 2], [3, 4]]).tolist() == [[1.5, 2], [3, 4]]
    assert check_features(pandas.DataFrame({"a": [1.0, 2.0], "b": [3.0, 4.0]})).shape == (2, 2)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (np.ones(3), r"shape \(N, D\).*got shape \(3,\)"),
        (np.ones((3, 2, 2)), r"got shape \(3, 2, 2\)"),
        (np.ones((0, 2)), "at least one row"),
        (np.ones((2, 0)), "one column"),
        (3.0, r"got shape \(\)"),
        ([["a"]], "expected numbers"),
        (np.ones((2, 2), complex), "complex128"),
        (np.array([[None]]), "object"),
        ([[1.0, 2.0], [3.0]], "rows of one length"),
    ],
)
def test_features_that_cannot_be_used(features, message):
    with pytest.raises(FeatalignError, match=message):
        check_features(features)


def test_errors_name_the_argument():
    with pytest.raises(FeatalignError, match=r"^other: "):
        check_features(np.ones(3), name="other")
    with pytest.raises(FeatalignError, match=r"^answers: "):
        check_labels([1], 2, name="answers")


@pytest.mark.parametrize(
    ("labels", "values", "classes"),
    [
        ([0, 5, 9, 5], [0, 1, 2, 1], ("0", "5", "9")),
        ([-1, 1, -1], [0, 1, 0], ("-1", "1")),
        (["b", "a", "b"], [1, 0, 1], ("a", "b")),
        ([True, False], [1, 0], ("False", "True")),
        ([[3], [1]], [1, 0], ("1", "3")),
        ([["x"], ["w"]], [1, 0], ("w", "x")),
        (np.array(["b", "a"], dtype=object), [1, 0], ("a", "b")),
        (pandas.Series(["b", "a"], dtype="category"), [1, 0], ("a", "b")),
        (["nan", "None"], [1, 0], ("None", "nan")),
    ],
)
def test_classes_are_numbered_in_order(labels, values, classes):
    checked = check_labels(labels, len(labels))
    assert checked.values.tolist() == values
    assert checked.values.dtype == np.int64
    assert checked.classes == classes
    assert checked.num_classes == len(classes)


@pytest.mark.parametrize(
    ("targets", "shape"),
    [([0.5, 1.5], (2, 1)), ([[0.5], [1]], (2, 1)), ([[0.5, 1], [2, 3]], (2, 2))],
)
def test_floats_are_regression_targets(targets, shape):
    checked = check_labels(targets, 2)
    assert checked.values.shape == shape
    assert checked.values.dtype == np.float64
    assert checked.num_classes == 0


@pytest.mark.parametrize(
    "labels",
    [
        ["a", float("nan")],
        ("a", None),
        [["a"], [float("nan")]],
        np.array(["a", None], dtype=object),
        np.array(["a", np.nan], dtype=object),
        pandas.Series(["a", None]),
        pandas.Series(["a", pandas.NA], dtype="string"),
        pandas.Series([1, pandas.NA], dtype="Int64"),
        [1.0, float("nan")],
        [1, None],
        np.array([1.0, np.inf]),
    ],
)
def test_missing_labels_are_refused_with_their_row(labels):
    with pytest.raises(FeatalignError, match="row 1; drop the rows without a label"):
        check_labels(labels, 2)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(3, dtype=int), "pass their argmax"),
        ([1, 2], "one label for each of the 3 rows, got 2"),
        (1, "shape"),
        (np.ones((3, 1, 1)), "shape"),
        (np.ones(3, complex), "complex128"),
        (np.zeros(3, "datetime64[D]"), "datetime64"),
        ([[1, 2], [3], [4]], "one length"),
        (None, "shape"),
    ],
)
def test_labels_that_cannot_be_used(labels, message):
    with pytest.raises(FeatalignError, match=message):
        check_labels(labels, 3)
