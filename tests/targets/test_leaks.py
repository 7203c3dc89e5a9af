"""Exact copies, tests on training rows, and groups in two parts: said with their counts."""

import numpy as np
import pytest

import featalign as fa
from featalign.targets.leaks import leak_remarks


def rows(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 4)).astype(np.float32)


def target_of(inputs, labels=None, held=None, **options):
    labels = np.arange(len(inputs)) % 2 if labels is None else labels
    held_out = None if held is None else (held, np.arange(len(held)) % 2)
    return fa.Target.from_arrays("rows", inputs, labels, held_out=held_out, **options)


def test_rows_that_differ_are_no_leak():
    assert leak_remarks(target_of(rows(40), held=rows(20, seed=1))) == ()


@pytest.mark.parametrize("kind", ["arrays", "texts", "images"])
def test_copies_within_the_rows_are_counted(kind):
    inputs = {
        "arrays": rows(20),
        "texts": [f"text {row}" for row in range(20)],
        "images": np.random.default_rng(1).integers(0, 255, (20, 5, 5, 3)).astype(np.uint8),
    }[kind]
    inputs = list(inputs)
    inputs[7], inputs[11], inputs[12] = inputs[3], inputs[3], inputs[4]
    (said,) = leak_remarks(target_of(inputs, labels=[0, 1] * 2 + [0] * 10 + [1] * 6))[:1]
    assert said.startswith("5 rows of 20 are exact copies of another")


def test_copies_with_other_labels_are_counted():
    inputs = rows(12)
    inputs[6], inputs[8] = inputs[1], inputs[2]  # rows 1 and 6 differ in their class
    said = leak_remarks(target_of(inputs))
    assert said[1].startswith("2 of 12 rows have an exact copy with another label")


def test_copies_in_one_group_leak_nothing():
    inputs = rows(12)
    inputs[6:9] = inputs[5]
    groups = [0, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5]
    (said,) = leak_remarks(target_of(inputs, labels=[0, 1] * 2 + [0] * 5 + [1] * 3, groups=groups))
    assert said.startswith("4 rows of 12 are exact copies of another")
    groups[5] = 3
    (said,) = leak_remarks(target_of(inputs, labels=[0, 1] * 2 + [0] * 5 + [1] * 3, groups=groups))
    assert said == "4 rows of 12 are exact copies within a group"


def test_held_out_rows_among_the_training_rows_are_counted():
    inputs = rows(30)
    held = rows(10, seed=1)
    held[[2, 3, 9]] = inputs[[0, 5, 8]]
    (said,) = leak_remarks(target_of(inputs, held=held))
    assert said.startswith("3 of 10 held-out rows are exact copies of training rows")
    (said,) = leak_remarks(target_of(inputs, held=inputs[5:15]))
    assert said.startswith("all 10 held-out rows are exact copies of training rows")


def test_a_test_that_is_the_training_is_said():
    texts = [f"line {row}" for row in range(9)]
    (said,) = leak_remarks(target_of(texts, held=texts[::-1]))
    assert said.startswith("the held-out rows are the training rows, all 9 of them")


def test_groups_in_both_parts_are_counted_and_named():
    inputs, labels = rows(12), np.arange(12) % 2
    held = (rows(6, seed=1), np.arange(6) % 2, ["ann", "bob", "bob", "zoe", "zoe", "zoe"])
    groups = np.repeat(["ann", "bob", "cid", "dan"], 3)
    target = fa.Target.from_arrays("people", inputs, labels, held_out=held, groups=groups)
    (said,) = leak_remarks(target)
    assert said.startswith("2 of 3 groups of the held-out rows are among the training rows too")
    assert "(ann, bob; 3 of 6 held-out rows)" in said


def test_classes_in_one_group_alone_are_named():
    labels, groups = [0, 0, 1, 1, 2, 2], ["a", "b", "a", "b", "b", "b"]
    target = fa.Target.from_arrays("pens", rows(6), labels, ["red", "green", "blue"], groups=groups)
    (said,) = leak_remarks(target)
    assert said.startswith("1 of 3 classes occur in one group alone (blue)")
