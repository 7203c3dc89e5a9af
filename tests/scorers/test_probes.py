"""The probes beyond one class a row, and their zeros.

The search for neighbours is tested where rounding could mislead it.
"""

from dataclasses import replace

import numpy as np
import pytest

import featalign
from featalign.arrays import check_labels
from featalign.scorers import ridge_probe
from featalign.scorers.linear_probe import compute, permuted
from featalign.scorers.scorer import RowMean
from featalign.statistics import nearest as search
from featalign.statistics.collected import label_columns
from featalign.statistics.gather import gather
from featalign.statistics.precision import double_precision
from featalign.statistics.principal_rows import PrincipalRows
from featalign.statistics.rows import Rows
from featalign.statistics.spectrum import Spectrum
from tests import oracles
from tests.scorers.cases import activations, balanced_labels, tall

pytestmark = pytest.mark.slow


def several_labels(seed):
    features, _ = tall(seed)
    noise = np.random.default_rng(seed).normal(size=(60, 3))
    return features, (features[:, :3] - features[:, :3].mean(axis=0) + 0.3 * noise > 0).astype(
        np.uint8
    )


def relabelled(features, labels, number):
    statistics = gather(features, check_labels(labels, len(labels)), frozenset({Rows}))
    rows = statistics[Rows]
    orders = [np.random.default_rng(seed).permutation(len(labels)) for seed in range(number)]
    others = [replace(rows, labels=rows.labels[order]) for order in orders]
    return [replace(statistics, found={**statistics.found, Rows: each}) for each in others]


def brute_force(features, number):
    """The indices of the nearest others by (distance, index), in float64."""
    found = []
    for row in range(len(features)):
        distances = ((features - features[row]) ** 2).sum(axis=1)
        distances[row] = np.inf
        found.append(np.lexsort((np.arange(len(features)), distances))[:number])
    return np.array(found)


@pytest.mark.parametrize("seed", range(3))
def test_several_labels_equal_to_the_oracles(seed):
    features, labels = several_labels(seed)
    scores = featalign.score(features, labels, ["linear_probe", "knn", "knn_1"])
    assert scores["knn"].value == pytest.approx(
        oracles.knn(features, labels, neighbours=5), abs=1e-12
    )
    assert scores["knn_1"].value == pytest.approx(
        oracles.knn(features, labels, neighbours=1), abs=1e-12
    )
    assert scores["linear_probe"].value == pytest.approx(
        oracles.linear_probe(features, labels), abs=1.01 / labels.size
    )
    assert scores["linear_probe"].value > 0.6


def test_a_label_that_no_row_or_one_row_has():
    features, labels = several_labels(0)
    labels[:, 1], labels[:, 2] = 0, np.arange(60) == 7
    labels[0] = [1, 0, 1]  # else every row would have at most one label of few
    scores = featalign.score(features, labels, ["linear_probe", "knn"])
    assert scores["linear_probe"].ok
    # a label that no row has cannot be got wrong, and does not count
    assert scores["knn"].value == pytest.approx(
        oracles.knn(features, labels[:, [0, 2]], neighbours=5), abs=1e-12
    )


@pytest.mark.parametrize(
    "labels",
    [np.arange(120) % 3, (np.arange(120) % 10 == 0).astype(int)],
    ids=["balanced", "imbalanced"],
)
def test_the_zero_of_the_probe_agrees_with_plain_scorings(labels):
    features = activations(0, 120, 12, labels)
    orders = relabelled(features, labels, 20)
    with double_precision():
        values = np.array(permuted(orders))
        plain = np.array(
            [result.values.mean() for result in map(compute, orders) if isinstance(result, RowMean)]
        )
    assert len(values) == len(plain) == 20
    assert abs(values.mean() - plain.mean()) <= plain.std() + 1 / len(labels)
    assert (
        values.mean() < featalign.score(features, labels, ["linear_probe"])["linear_probe"].value
        or labels.max() == 1
    )


def test_the_zero_of_the_probe_for_several_labels():
    features, labels = several_labels(0)
    orders = relabelled(features, labels, 20)
    with double_precision():
        values = np.array(permuted(orders))
        plain = np.array(
            [result.values.mean() for result in map(compute, orders) if isinstance(result, RowMean)]
        )
    assert abs(values.mean() - plain.mean()) <= plain.std() + 1 / labels.size


def test_the_strongest_penalty_alone_is_what_the_zero_fits():
    features, labels = tall(0)
    with double_precision():
        (value,) = permuted(relabelled(features, labels, 1))
    order = relabelled(features, labels, 1)[0]
    assert value == pytest.approx(strongest(features, order[Rows].labels), abs=1.01 / 60)


def strongest(features, labels):
    rows = oracles.centred(features) / features.std(axis=0)
    folds = oracles.stratified_folds(labels, oracles.NUM_FOLDS, seed=0)
    hits = sum(
        oracles.held_out(rows, labels, folds != fold, max(oracles.PENALTIES))[1]
        for fold in range(oracles.NUM_FOLDS)
    )
    return hits / len(labels)


def test_neighbours_are_exact_over_many_blocks():
    features = activations(0, 1300, 40, balanced_labels(1300)).astype(np.float32)
    assert (search.nearest(features, 5) == brute_force(features.astype(np.float64), 5)).all()


@pytest.mark.parametrize(
    "kind",
    [
        "whole numbers",
        "copies",
        "one column",
        "far row",
        "far from zero",
        "close pairs",
        "constant",
        "few rows",
    ],
)
def test_neighbours_where_rounding_could_mislead(kind):
    generator = np.random.default_rng(0)
    features = generator.normal(size=(700, 16))
    if kind == "whole numbers":
        features = generator.integers(0, 3, size=(700, 6)).astype(np.float32)
    if (
        kind == "copies"
    ):  # exact in quarters, so that all equal distances are equal in any order of summation
        features = np.repeat(np.round(4 * features[:70]) / 4, 10, axis=0)
    if kind == "one column":
        features = np.round(features[:, :1] * 64) / 64
    if kind == "far row":
        features[13] *= 1e6
    if kind == "far from zero":
        features = features.astype(np.float32) + np.float32(1000)
    if kind == "close pairs":
        features[350:] = features[:350] + 1e-9 * features[350:]
    if kind == "constant":
        features = np.full((700, 3), 0.1)
    if kind == "few rows":
        features = features[:6]
    assert (search.nearest(features, 5) == brute_force(features.astype(np.float64), 5)).all()


def test_sure_rows_do_not_need_the_fallback(monkeypatch):
    features = activations(1, 1300, 40, balanced_labels(1300)).astype(np.float32)

    def refuse(*_):
        raise AssertionError("a row was done again in float64")

    monkeypatch.setattr(search, "_nearest_in_double", refuse)
    assert search.nearest(features, 5).shape == (1300, 5)


def test_neighbours_are_looked_up_once():
    features, labels = tall(0)
    first, second = relabelled(features, labels, 2)
    five = first[Rows].held.neighbours(5)
    assert np.shares_memory(second[Rows].held.neighbours(1), five)
    assert (second[Rows].held.neighbours(1) == five[:, :1]).all()


def test_regression_by_neighbours_of_a_constant_column_is_undefined():
    features, _ = tall(0)
    targets = np.stack([features[:, 0], np.full(60, 0.1)], axis=1)
    assert featalign.score(features, targets, ["knn"])["knn"].status is featalign.Status.UNDEFINED


class Counted(np.ndarray):
    """Rows that count the products they enter."""

    products = 0

    def __matmul__(self, other):
        Counted.products += 1
        return np.asarray(self) @ other


@pytest.mark.parametrize("targets", ["classes", "floats"])
@pytest.mark.parametrize(("count", "width"), [(60, 12), (90, 40), (50, 48), (30, 50)])
def test_penalties_that_are_not_fitted_are_not_the_best(count, width, targets, monkeypatch):
    """Of a sample the bounds are unknown, so that all penalties are fitted."""
    monkeypatch.setattr(ridge_probe, "COLUMNS", 1)  # one penalty after the other
    labels = balanced_labels(count)
    features = activations(0, count, width, labels, signal=0.5)
    if targets == "floats":
        labels = features[:, :2] + np.random.default_rng(0).normal(size=(count, 2))
    with double_precision():
        checked = check_labels(labels, count)
        statistics = gather(features, checked, ridge_probe.RIDGE_PROBE.needs)
        spectrum = statistics[Spectrum]
        rows = statistics[PrincipalRows].rotated().view(Counted)
        columns = label_columns(checked.values, checked.num_classes)
        found, products = [], []
        for sampled in (False, True):
            Counted.products = 0
            found.append(ridge_probe._leave_one_out(spectrum, rows, columns, sampled=sampled))
            products.append(Counted.products)
    np.testing.assert_array_equal(*found)
    assert products[0] < products[1] == 1 + len(ridge_probe.RELATIVE_PENALTIES)
