"""Every statistic, merged from parts.

Merging is associative, the empty one is neutral, any partition gives what one batch gives, and
padding has no effect.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import softmax

from featalign.statistics.activity import Activity
from featalign.statistics.catalogue import SUMMED
from featalign.statistics.class_moments import ClassMoments, TargetMoments
from featalign.statistics.class_scatter import ClassScatter
from featalign.statistics.label_table import LabelTable
from featalign.statistics.moments import Moments
from featalign.statistics.precision import double_precision
from featalign.statistics.scatter_sum import CentreSums, ScatterSum
from featalign.statistics.statistic import Batch, Shape, Summed

NUM_ROWS, NUM_FEATURES, NUM_CLASSES, NUM_TARGETS = 48, 5, 3, 2
BATCH = 16
WITH_CLASSES = Shape(NUM_FEATURES, NUM_CLASSES)


@dataclass(frozen=True)
class StatisticRow:
    """`batch` is made of features (B, D), labels (B,), targets (B, K) and valid (B,)."""

    kind: type[Summed]
    batch: Callable[..., Batch]
    shape: Shape = WITH_CLASSES

    @property
    def name(self) -> str:
        return self.kind.__name__

    def empty(self) -> Any:
        return self.kind.empty(self.shape)

    def from_batch(self, features, labels, targets, valid) -> Any:
        return self.kind.from_batch(self.batch(features, labels, targets, valid))


def of_classes(features, labels, targets, valid) -> Batch:
    return Batch(features, features, labels, valid, NUM_CLASSES)


def of_targets(features, labels, targets, valid) -> Batch:
    return Batch(features, features, targets, valid)


def with_zeros(features, labels, targets, valid) -> Batch:
    return of_classes(jnp.where(valid[:, None], features, 0.0), labels, targets, valid)


def of_outputs(features, labels, targets, valid) -> Batch:
    return of_classes(jax.nn.softmax(features), labels, targets, valid)


STATISTIC_ROWS = (
    StatisticRow(Activity, of_classes),
    StatisticRow(Moments, of_classes),
    StatisticRow(CentreSums, with_zeros),
    StatisticRow(ClassMoments, of_classes),
    StatisticRow(TargetMoments, of_targets, Shape(NUM_FEATURES, num_targets=NUM_TARGETS)),
    StatisticRow(ClassScatter, of_classes),
    StatisticRow(LabelTable, of_outputs),
)
each_statistic = pytest.mark.parametrize("row", STATISTIC_ROWS, ids=lambda row: row.name)
COMPILED = {row.name: jax.jit(row.from_batch) for row in STATISTIC_ROWS}
merged = jax.jit(lambda first, second: first.merge(second))


@pytest.fixture(autouse=True)
def float64():
    with double_precision():
        yield


def data(offset=0.0):
    generator = np.random.default_rng(0)
    features = (
        np.maximum(generator.normal(size=(NUM_ROWS, NUM_FEATURES)), 0) * [1, 1, 0.01, 100, 0]
        + offset
    )
    return (
        features,
        generator.integers(0, NUM_CLASSES, NUM_ROWS),
        generator.normal(size=(NUM_ROWS, NUM_TARGETS)) + offset,
    )


def batch_of(row, arrays, members, size=BATCH):
    """The statistic of these rows, padded to `size` with rubbish that the mask hides."""
    features, labels, targets = (array[members] for array in arrays)
    missing = size - len(features)
    padding = (
        np.full((missing, NUM_FEATURES), 7.0),
        np.zeros(missing, int),
        np.full((missing, NUM_TARGETS), -3.0),
    )
    padded = [
        np.concatenate([part, filler])
        for part, filler in zip((features, labels, targets), padding, strict=True)
    ]
    return COMPILED[row.name](*padded, np.arange(size) < len(features))


def assert_close(actual, expected, *, relative=1e-12):
    """Each field is within `relative` of its largest entry.

    It is within `relative` of 1 for sums that cancel to nothing.
    """
    for name, value in vars(expected).items():
        value = np.asarray(value)
        np.testing.assert_allclose(
            np.asarray(getattr(actual, name)),
            value,
            rtol=relative,
            atol=relative * max(1.0, np.abs(value).max()),
            err_msg=name,
        )


def test_every_statistic_of_a_pass_has_a_row():
    assert {row.kind for row in STATISTIC_ROWS} == {*SUMMED, CentreSums, LabelTable}


@pytest.mark.parametrize("shape", [Shape(NUM_FEATURES, NUM_CLASSES), Shape(NUM_FEATURES, 0, 2)])
def test_what_is_implied_is_of_the_types_that_it_says(shape):
    for kind in SUMMED:
        if kind.suits(shape):
            assert {type(each) for each in kind.empty(shape).implied()} == kind.implies


@each_statistic
def test_the_empty_one_is_neutral(row):
    statistic = batch_of(row, data(), slice(0, 11))
    assert_close(merged(row.empty(), statistic), statistic, relative=0)
    assert_close(merged(statistic, row.empty()), statistic, relative=0)
    assert_close(batch_of(row, data(), slice(0, 0)), row.empty(), relative=0)


@each_statistic
def test_merging_is_associative_and_commutative(row):
    first, second, third = (
        batch_of(row, data(), slice(start, stop)) for start, stop in ((0, 5), (5, 6), (6, 22))
    )
    assert_close(merged(merged(first, second), third), merged(first, merged(second, third)))
    assert_close(merged(first, second), merged(second, first))


@each_statistic
@pytest.mark.parametrize("offset", [0.0, 1e3, 1e5, 1e8])
@pytest.mark.parametrize("seed", range(3))
def test_any_partition_gives_what_one_batch_gives(row, offset, seed):
    arrays = data(offset)
    generator = np.random.default_rng(seed)
    order = generator.permutation(NUM_ROWS)
    cuts = np.sort(generator.choice(np.arange(1, NUM_ROWS), 6, replace=False)).tolist()
    statistic = row.empty()
    for start, stop in zip([0, *cuts], [*cuts, NUM_ROWS], strict=True):
        for begin in range(start, stop, BATCH):
            statistic = merged(
                statistic, batch_of(row, arrays, order[begin : min(begin + BATCH, stop)])
            )
    whole = batch_of(row, arrays, slice(None), NUM_ROWS)
    # a mean near `offset` has only so many digits left for the differences
    assert_close(statistic, whole, relative=1e-12 + 2e-15 * offset)


@each_statistic
def test_masked_padding_has_no_effect(row):
    arrays = data()
    assert_close(
        batch_of(row, arrays, slice(0, 11), BATCH),
        batch_of(row, arrays, slice(0, 11), 11),
        relative=1e-15,
    )
    features, labels, targets = (array[:BATCH] for array in arrays)
    valid = np.random.default_rng(1).random(BATCH) < 0.5
    scattered = COMPILED[row.name](features, labels, targets, valid)
    assert_close(scattered, batch_of(row, arrays, np.flatnonzero(valid)), relative=1e-13)


def moments_of(offset):
    features, labels, targets = arrays = data(offset)
    return (
        {row.name: batch_of(row, arrays, slice(None), NUM_ROWS) for row in STATISTIC_ROWS},
        features,
        labels,
        targets,
    )


@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_the_moments_are_those_of_numpy(offset):
    statistics, features, labels, targets = moments_of(offset)
    close = partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-9)
    z = features - features.mean(axis=0)
    moments = statistics["Moments"]
    assert float(moments.count) == NUM_ROWS
    close(moments.mean, features.mean(axis=0))
    close(moments.scatter, np.cov(features, rowvar=False, bias=True) * NUM_ROWS)
    close(moments.cubic, sum((row @ row) * row for row in z))
    close(moments.quartic, sum((row @ row) ** 2 for row in z))
    classes = statistics["ClassMoments"]
    for label in range(NUM_CLASSES):
        members = features[labels == label]
        assert int(classes.counts[label]) == len(members)
        close(classes.means[label], members.mean(axis=0))
        close(classes.spreads[label], ((members - members.mean(axis=0)) ** 2).sum())
    scatter = statistics["ClassScatter"]
    close(scatter.counts, classes.counts)
    close(scatter.means, classes.means)
    close(scatter.squares.sum(axis=1), classes.spreads)
    for label in range(NUM_CLASSES):
        close(scatter.variances()[label], features[labels == label].var(axis=0))
    table, shares = statistics["LabelTable"], softmax(features, axis=1)
    for label in range(NUM_CLASSES):
        close(table.soft[label], shares[labels == label].sum(axis=0))
        close(
            table.hard[label],
            np.bincount(shares[labels == label].argmax(axis=1), minlength=NUM_FEATURES),
        )
    regression = statistics["TargetMoments"]
    close(regression.feature_mean, features.mean(axis=0))
    close(regression.mean, targets.mean(axis=0))
    close(regression.scatter, np.cov(targets, rowvar=False, bias=True) * NUM_ROWS)
    close(regression.cross, (targets - targets.mean(axis=0)).T @ z)


def test_activity_counts_what_is_there():
    features = np.array([[0.0, -2.0, 0.0], [0.0, 0.0, 0.0], [0.0, 3.0, np.nan], [0.0, np.inf, 1.0]])
    activity = Activity.from_batch(of_classes(jnp.asarray(features), None, None, np.ones(4, bool)))
    assert (
        float(activity.count),
        float(activity.not_finite),
        float(activity.largest),
        float(activity.active),
        float(activity.live_rows),
    ) == (
        4,
        2,
        3,
        3,
        3,
    )
    assert activity.column_active.tolist() == [0, 2, 1]
    assert activity.column_sums.tolist() == [0, 5, 1]
    assert activity.column_squares.tolist() == [0, 13, 1]
    assert float(activity.row_sparsity) == pytest.approx(3)  # each live row has one active entry


@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_scatter_summed_by_blas_is_that_of_the_batches(offset):
    features = (
        data()[0] + offset
    )  # the first batch is not the mean of all, so the sums must be moved
    valid = np.ones(NUM_ROWS, bool)
    expected = Moments.from_batch(of_classes(jnp.asarray(features), None, None, valid))
    centre = features[:BATCH].mean(axis=0) + 0.3
    sums, scatter = CentreSums.empty(Shape(NUM_FEATURES)), ScatterSum(NUM_FEATURES)
    for start in range(0, NUM_ROWS, BATCH):
        rows = jnp.asarray(features[start : start + BATCH] - centre)
        sums = sums.merge(CentreSums.from_batch(of_classes(rows, None, None, valid[:BATCH])))
        scatter.add(rows)
    moments = scatter.moments(sums)
    assert_close(replace(moments, mean=moments.mean + centre), expected, relative=1e-11)
