import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featalign.errors import FeatalignError
from featalign.strata import stratified_order
from featalign.targets.inputs import ArrayInputs
from featalign.targets.target import Target
from tests.targets.pictures import random_images

INPUTS = np.arange(12.0).reshape(6, 2)
LABELS = [2, 9, 2, -1, 9, 2]


def test_labels_with_gaps_become_indices():
    target = Target.from_arrays("numbers", INPUTS, LABELS)
    np.testing.assert_array_equal(target.labels, [1, 2, 1, 0, 2, 1])
    assert target.labels.dtype == np.int64
    assert target.class_names == ("-1", "2", "9")
    assert (target.num_rows, len(target), target.num_classes, target.kind) == (6, 6, 3, "array")
    assert repr(target) == "Target('numbers', 6 arrays, 3 classes)"


def test_string_labels_become_sorted_classes():
    target = Target.from_arrays("words", ["x"] * 3, ["b", "a", "b"])
    np.testing.assert_array_equal(target.labels, [1, 0, 1])
    assert target.class_names == ("a", "b")


def test_class_names_name_integers_and_order_strings():
    by_index = Target.from_arrays(
        "numbers", INPUTS, [0, 3, 0, 3, 1, 1], ["zero", "one", "two", "three"]
    )
    assert by_index.class_names == ("zero", "one", "three")
    np.testing.assert_array_equal(by_index.labels, [0, 2, 0, 2, 1, 1])
    by_name = Target.from_arrays("words", INPUTS, ["low", "high"] * 3, ["low", "middle", "high"])
    assert by_name.class_names == ("low", "high")
    np.testing.assert_array_equal(by_name.labels, [0, 1] * 3)
    by_truth = Target.from_arrays("booleans", INPUTS, [True, False] * 3, ["no", "yes"])
    np.testing.assert_array_equal(by_truth.labels, [1, 0] * 3)
    assert by_truth.class_names == ("no", "yes")


def test_floats_are_regression():
    target = Target.from_arrays("numbers", INPUTS, np.arange(6) / 2)
    assert target.labels.shape == (6, 1)
    assert target.labels.dtype == np.float64
    assert (target.num_classes, target.class_names) == (0, ())
    assert "regression" in repr(target)


@pytest.mark.parametrize(
    ("labels", "names", "words"),
    [
        ([0] * 6, None, "at least two classes, got only '0' in all 6 rows"),
        ([0, 1], None, "one label for each of the 6 rows, got 2"),
        (None, None, "one label for each of the 6 rows, got None"),
        (["a", None, "b", "a", "a", "b"], None, "none in row 1"),
        (["a", "b", float("nan"), "a", "a", "b"], None, "none in row 2"),
        ([0.5, np.nan, 0, 1, 2, 3], None, "finite values"),
        (np.eye(6, dtype=int), None, "argmax"),
        ([0, 1, 2, 0, 1, 2], ["a", "b"], "go from 0 to 2 and count from 0 along the 2 names"),
        ([0, -1, 0, 0, 0, 0], ["a", "b"], "go from -1 to 0"),
        (["a", "c"] * 3, ["a", "b"], "'c', which is not among the 2 names"),
        ([0, 1] * 3, ["a", "a"], "'a' more than once"),
        ([0.5] * 6, ["a", "b"], "regression"),
    ],
)
def test_labels_that_cannot_be_used(labels, names, words):
    with pytest.raises(FeatalignError, match=words):
        Target.from_arrays("numbers", INPUTS, labels, names)


def test_nan_in_inputs():
    with pytest.raises(FeatalignError, match=r"inputs: .*2 NaN or infinite in row 1"):
        Target.from_arrays("numbers", [[1.0, 2.0], [np.nan, np.inf]], [0, 1])


def test_the_record_itself_refuses_lengths_that_differ():
    with pytest.raises(FeatalignError, match="6 inputs and 2 labels"):
        Target("numbers", ArrayInputs("array", INPUTS), np.array([0, 1]), ("a", "b"))


def test_held_out_rows_share_the_classes():
    target = Target.from_arrays("numbers", INPUTS, LABELS, held_out=(INPUTS[:2], [9, 9]))
    assert target.held_out is not None
    np.testing.assert_array_equal(target.held_out.labels, [2, 2])
    assert target.held_out.class_names == target.class_names
    assert "2 held out" in repr(target)
    assert target.subset(3).held_out is target.held_out
    assert target.fingerprint == Target.from_arrays("numbers", INPUTS, LABELS).fingerprint


def test_held_out_rows_follow_names_whose_class_was_dropped():
    target = Target.from_arrays(
        "numbers", INPUTS, [0, 2] * 3, ["a", "b", "c"], held_out=(INPUTS[:2], [2, 0])
    )
    assert target.held_out is not None
    np.testing.assert_array_equal(target.held_out.labels, [1, 0])


@pytest.mark.parametrize(
    ("held_out", "words"),
    [
        ((INPUTS[:3], [9, 7, 7]), "got '7' in 2 of 3 held-out rows"),
        ((INPUTS[:3], [9, 2]), "held-out labels: expected one label for each of the 3 rows, got 2"),
        ((["text"] * 2, [9, 2]), "expected arrays like the training rows, got texts"),
        ((INPUTS[:2], [0.5, 0.25]), "form of the training labels"),
        (([[np.nan, 1.0]], [9]), "held-out inputs: expected finite"),
    ],
)
def test_held_out_rows_that_cannot_be_used(held_out, words):
    with pytest.raises(FeatalignError, match=words):
        Target.from_arrays("numbers", INPUTS, LABELS, held_out=held_out)


def test_fingerprint_follows_the_content_and_nothing_else():
    images = random_images(6)
    names = ["a", "b", "c"]
    labels = [0, 1, 2, 0, 1, 2]
    target = Target.from_arrays("one name", images, labels, names)
    assert len(target.fingerprint) == 64
    assert (
        Target.from_arrays(
            "another", [image.copy() for image in images], np.array(labels, np.uint8), names
        ).fingerprint
        == target.fingerprint
    )
    pixel = images.copy()
    pixel[3, 2, 1, 0] ^= 1
    others = [
        Target.from_arrays("one name", pixel, labels, names),
        Target.from_arrays("one name", images, [0, 1, 2, 0, 2, 1], names),
        Target.from_arrays("one name", images, labels, ["a", "b", "d"]),
        Target.from_arrays("one name", images, labels, ["ab", "", "c"]),
        Target.from_arrays("one name", images, np.array(labels, float)),
        Target.from_arrays("one name", images[::-1], labels, names),
        target.take(np.arange(5)),
        target.subset(4, seed=0),
    ]
    fingerprints = [other.fingerprint for other in others]
    assert target.fingerprint not in fingerprints
    assert len(set(fingerprints)) == len(fingerprints)


def test_the_fingerprint_is_frozen():
    """Caches made by earlier versions are found again.

    The schema's name is to be changed when this must change.
    """
    target = Target.from_arrays("numbers", np.arange(4, dtype=np.float32).reshape(2, 2), ["a", "b"])
    assert target.fingerprint == "1603af65a0c13b1140bb9a4cb9b0524554b72a8398f6f6b70e570bd2f566d4d3"


def test_fingerprint_and_subset_are_the_same_in_another_process():
    code = (
        "import numpy as np; from featalign.targets.target import Target\n"
        "target = Target.from_arrays('t', np.arange(400.0).reshape(200, 2), np.arange(200) % "
        "7).subset(50, seed=3)\n"
        "print(target.fingerprint)"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("1", "2")
    }
    here = Target.from_arrays("t", np.arange(400.0).reshape(200, 2), np.arange(200) % 7).subset(
        50, seed=3
    )
    assert printed == {here.fingerprint}


def test_take_keeps_order_and_class_names():
    target = Target.from_arrays("numbers", INPUTS, LABELS)
    part = target.take(np.array([5, 0]))
    np.testing.assert_array_equal(part.inputs.read(np.arange(2)), INPUTS[[5, 0]])
    np.testing.assert_array_equal(part.labels, [1, 1])
    assert part.class_names == target.class_names


@pytest.mark.parametrize("rows", [[], [6], [-1], [0.5], [[0]], [True] * 6])
def test_rows_that_cannot_be_taken(rows):
    with pytest.raises(FeatalignError, match="rows: expected"):
        Target.from_arrays("numbers", INPUTS, LABELS).take(np.array(rows))


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=12),
    fraction=st.floats(0, 1),
    seed=st.integers(0, 2**32),
)
def test_subsets_are_stratified(counts, fraction, seed):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    target = Target.from_arrays("numbers", np.arange(len(labels), dtype=float)[:, None], labels)
    n = len(counts) + round(fraction * (len(labels) - len(counts)))
    part = target.subset(n, seed=seed)
    rows = np.asarray(part.inputs.read(np.arange(n)))[:, 0].astype(int)
    assert len(part) == n
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(part.labels, labels[rows])
    got = np.bincount(part.labels, minlength=len(counts))
    assert got.min() >= 1
    # counting the guaranteed row apart, no class is ahead of another by more than a row of its own
    sizes = np.array(counts)
    last_taken = np.where(got > 1, (got - 0.5) / sizes, 0)
    next_place = np.where(got < sizes, (got + 0.5) / sizes, np.inf)
    assert last_taken.max() <= next_place.min() + 1e-12
    if n < len(labels):
        smaller = stratified_order(labels, seed)[:n]
        assert set(smaller) <= set(stratified_order(labels, seed)[: n + 1])


def test_subsets_of_balanced_classes_are_balanced():
    target = Target.from_arrays("numbers", np.zeros((1000, 1)), np.arange(1000) % 10)
    np.testing.assert_array_equal(np.bincount(target.subset(200, seed=5).labels), [20] * 10)


def test_subsets_differ_with_the_seed_alone():
    target = Target.from_arrays("numbers", np.arange(100.0)[:, None], np.arange(100) % 3)
    assert target.subset(30, seed=1).fingerprint == target.subset(30, seed=1).fingerprint
    assert target.subset(30, seed=1).fingerprint != target.subset(30, seed=2).fingerprint


def test_every_row_of_a_class_is_drawn_by_some_seed():
    labels = np.array([0] * 10 + [1] * 5)
    drawn = {int(row) for seed in range(40) for row in stratified_order(labels, seed)[:4]}
    assert drawn == set(range(15))


def test_which_classes_get_the_rows_left_over_depends_on_the_seed():
    target = Target.from_arrays("numbers", np.zeros((100, 1)), np.arange(100) % 10)
    favoured = {tuple(np.bincount(target.subset(15, seed=seed).labels)) for seed in range(10)}
    assert len(favoured) > 5
    assert all(sorted(counts) == [1] * 5 + [2] * 5 for counts in favoured)


def test_subset_bounds():
    target = Target.from_arrays("numbers", INPUTS, LABELS)
    assert target.subset(6) is target
    assert target.subset(7) is target
    with pytest.raises(
        FeatalignError, match=r"one row for each of the 3 classes of numbers, got 2; ask for 3"
    ):
        target.subset(2)


@pytest.mark.parametrize("n", [0, -1, 2.5, True, "all"])
def test_subset_sizes_that_cannot_be_used(n):
    with pytest.raises(FeatalignError, match="subset: expected a whole number"):
        Target.from_arrays("numbers", INPUTS, LABELS).subset(n)


@pytest.mark.parametrize("seed", [-1, 0.5, None])
def test_seeds_that_cannot_be_used(seed):
    with pytest.raises(FeatalignError, match="seed: expected an integer"):
        Target.from_arrays("numbers", INPUTS, LABELS).subset(4, seed)


def test_subset_of_a_regression():
    target = Target.from_arrays("numbers", np.arange(20.0)[:, None], np.arange(20.0))
    part = target.subset(5, seed=1)
    assert len(part) == 5
    np.testing.assert_array_equal(part.labels, part.inputs.read(np.arange(5)))
