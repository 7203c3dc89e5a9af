"""How a target is split into rows that train, choose and measure, and how they are prepared."""

import numpy as np
import pytest

import featalign as fa
from featalign.errors import FeatalignError
from featalign.sources.reading import Reading
from featalign.training import rows
from featalign.training.rows import LazyInputs, hold_out, split_rows

COUNTS = (60, 30, 10)


def prepare(inputs):
    return np.asarray(inputs, np.float32) * 10


PLAIN = Reading(prepare=prepare)


def target_of(counts=COUNTS, *, held=None, name="numbered", start=0):
    """A target whose inputs are the numbers of its rows; the held-out ones count from 1000."""
    labels = np.repeat(np.arange(len(counts)), counts)
    labels = labels[np.random.default_rng(len(labels)).permutation(len(labels))]
    numbers = np.arange(start, start + len(labels), dtype=np.float32)[:, None]
    held_out = None
    if held is not None:
        part = target_of(held, start=1000)
        held_out = (part.inputs.read(np.arange(len(part))), part.labels)
    return fa.Target.from_arrays(name, numbers, labels, held_out=held_out)


def numbers_of(part):
    """The row numbers back from what they were prepared to."""
    return np.asarray(part.inputs[np.arange(len(part.labels))])[:, 0] / 10


def assert_labels_are_those_of(target, part, start=0):
    np.testing.assert_array_equal(part.labels, target.labels[numbers_of(part).astype(int) - start])


def test_the_parts_are_disjoint_stratified_and_all_there_is():
    target = target_of()
    split = split_rows(target, PLAIN, seed=3)
    parts = (split.training, split.validation, split.test)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([numbers_of(part) for part in parts])), np.arange(100)
    )
    assert [len(part.labels) for part in parts] == [64, 16, 20]
    for part in parts:
        assert_labels_are_those_of(target, part)
        shares = np.bincount(part.labels, minlength=3) / len(part.labels)
        np.testing.assert_allclose(shares, [0.6, 0.3, 0.1], atol=0.05)
        assert part.labels.dtype == np.int32
    assert (split.target, split.num_classes) == ("numbered", 3)


def test_held_out_rows_measure_and_none_else_do():
    target = target_of(held=(20, 15, 5))
    held = target.held_out
    assert held is not None
    split = split_rows(target, PLAIN)
    np.testing.assert_array_equal(np.sort(numbers_of(split.test)), 1000 + np.arange(40))
    assert_labels_are_those_of(held, split.test, 1000)
    rest = np.concatenate([numbers_of(split.training), numbers_of(split.validation)])
    np.testing.assert_array_equal(np.sort(rest), np.arange(100))
    assert len(split.validation.labels) == 20


def test_a_limit_of_test_rows_keeps_them_stratified():
    for target, start in ((target_of(held=(60, 30, 10)), 1000), (target_of((600, 300, 100)), 0)):
        whole, some = split_rows(target, PLAIN), split_rows(target, PLAIN, max_test=20)
        np.testing.assert_array_equal(np.bincount(some.test.labels), [12, 6, 2])
        assert set(numbers_of(some.test)) < set(numbers_of(whole.test))
        assert_labels_are_those_of(target.held_out or target, some.test, start)
        np.testing.assert_array_equal(numbers_of(some.training), numbers_of(whole.training))
        assert len(split_rows(target, PLAIN, max_test=5000).test.labels) == len(whole.test.labels)


@pytest.mark.parametrize("limit", [0, -5, True, 2.5, "all"])
def test_a_limit_that_is_none(limit):
    with pytest.raises(
        FeatalignError, match=rf"^max_test: expected a whole number of at least 1.*{limit!r}"
    ):
        split_rows(target_of(), PLAIN, max_test=limit)


@pytest.mark.parametrize("held", [None, (20, 15, 5)])
def test_the_seed_draws_validation_and_never_the_test_rows(held):
    splits = [split_rows(target_of(held=held), PLAIN, seed=seed) for seed in (0, 1, 2, 0)]
    for split in splits[1:]:
        np.testing.assert_array_equal(numbers_of(split.test), numbers_of(splits[0].test))
    chosen = [tuple(numbers_of(split.validation)) for split in splits]
    assert chosen[0] == chosen[3]
    assert len(set(chosen)) == 3


def test_what_is_held_out_stays_held_out_in_a_part_of_the_target():
    """So that subsets of several sizes are measured on the same rows."""
    whole = hold_out(target_of((600, 300, 100)))
    held = whole.held_out
    assert held is not None
    assert held.held_out is None
    assert hold_out(whole) is whole
    for part in (whole.subset(50), whole.subset(300, seed=1)):
        split = split_rows(part, PLAIN, seed=4)
        np.testing.assert_array_equal(
            np.sort(numbers_of(split.test)),
            np.sort(np.asarray(held.inputs.read(np.arange(len(held))))[:, 0]),
        )
        assert not set(numbers_of(split.test)) & set(
            np.concatenate([numbers_of(split.training), numbers_of(split.validation)])
        )


def test_a_class_of_one_row_is_trained_on():
    for seed in range(5):
        split = split_rows(target_of((30, 20, 1), held=(5, 5, 5)), PLAIN, seed=seed)
        assert (split.training.labels == 2).sum() == 1


def test_too_few_rows():
    for counts, held in (((1, 1), None), ((2, 1), None), ((1, 1), (3, 3))):
        with pytest.raises(
            FeatalignError,
            match=r"^target: expected enough rows to train, validate and test on, few has \d; add "
            r"rows",
        ):
            split_rows(target_of(counts, held=held, name="few"), PLAIN)
    assert len(split_rows(target_of((2, 2, 1), name="few"), PLAIN).validation.labels) == 1


def test_only_classes_can_be_trained():
    inputs = np.ones((30, 1), np.float32)
    numbers = fa.Target.from_arrays("prices", inputs, np.linspace(0, 1, 30))
    several = fa.Target.from_arrays(
        "tags", inputs, np.random.default_rng(0).integers(0, 2, (30, 4))
    )
    for target, task in ((numbers, "regression"), (several, "multilabel")):
        with pytest.raises(
            FeatalignError,
            match=rf"^target: expected classes to fine-tune on, {target.name} is a task of {task}",
        ):
            split_rows(target, PLAIN)


def test_rows_that_do_not_fit_are_prepared_when_they_are_asked_for(monkeypatch):
    target = target_of(held=(20, 15, 5))
    kept = split_rows(target, PLAIN)
    monkeypatch.setattr(rows, "MEMORY", 4 * 64)
    read: list[int] = []
    noting = Reading(prepare=lambda inputs: read.append(len(inputs)) or prepare(inputs))
    lazy = split_rows(target, noting)
    assert read == [
        1,
        1,
        20,
        1,
        40,
    ]  # 80 training rows do not fit; 20 rows to choose and 40 to measure do
    assert isinstance(lazy.training.inputs, LazyInputs)
    assert isinstance(kept.training.inputs, np.ndarray)
    for some in (np.arange(80), np.array([5]), np.array([70, 3, 3])):
        np.testing.assert_array_equal(lazy.training.inputs[some], kept.training.inputs[some])
    np.testing.assert_array_equal(lazy.training.labels, kept.training.labels)
