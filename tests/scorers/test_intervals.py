"""Zeros and intervals, and both in results.

Zeros are tested against scoring anew with permuted labels, intervals against the scatter over
samples.
"""

import json
import math

import numpy as np
import pytest

import featalign
from featalign.arrays import check_labels
from featalign.records.ranking import shown_in_json
from featalign.records.score import Status
from featalign.scorers.intervals import evaluate_with_intervals
from featalign.scorers.registry import SCORERS, select
from featalign.scorers.scorer import evaluate
from featalign.statistics.gather import gather
from featalign.statistics.label_orders import NUM_ORDERS, ForIntervals, relabelled
from featalign.statistics.label_table import LabelTable
from featalign.statistics.precision import double_precision
from featalign.statistics.rows import Rows
from featalign.statistics.source_outputs import SourceOutputs
from featalign.statistics.tangent import Tangent
from tests.scorers.cases import imbalanced, tall, wide

pytestmark = pytest.mark.slow

OF_FEATURES = tuple(
    scorer for scorer in SCORERS if not scorer.needs & {SourceOutputs, LabelTable, Tangent}
)
OF_MOMENTS = tuple(
    scorer
    for scorer in OF_FEATURES
    if Rows not in scorer.needs and scorer.name not in ("dead_fraction", "gbc_diagonal")
)


def needs_of(scorers):
    return frozenset().union(*(scorer.needs for scorer in scorers))


def outputs_for(labels, seed=0):
    random = np.random.default_rng(seed)
    logits = random.normal(size=(len(labels), 5)) + 2 * np.eye(5)[labels % 5]
    return SourceOutputs.from_logits(logits, len(labels))


@pytest.mark.parametrize("case", [tall, wide, imbalanced])
def test_statistics_under_permuted_labels_are_those_of_another_pass(case):
    features, labels = case(0)
    checked, outputs = check_labels(labels, len(labels)), outputs_for(labels)
    loose = {"linear_probe", "pactran"}  # these fit less closely, see below
    with double_precision():
        statistics = gather(
            features,
            checked,
            needs_of(SCORERS),
            batch_rows=16,
            given=[outputs],
            for_intervals=True,
        )
        orders = list(relabelled(statistics))
        assert len(orders) == NUM_ORDERS >= 20
        specials = {
            scorer.name: scorer.permuted(orders)
            for scorer in SCORERS
            if scorer.permuted is not None and scorer.name not in loose
        }
        for number in (0, 7):
            order = statistics[ForIntervals].orders.orders[number]
            permuted = check_labels(labels[order], len(labels))
            anew = gather(features, permuted, needs_of(SCORERS), given=[outputs])
            for scorer in SCORERS:
                if scorer.name in loose:
                    continue
                expected = evaluate(scorer, anew)
                value = (
                    specials[scorer.name][number]
                    if scorer.name in specials
                    else evaluate(scorer, orders[number]).value
                )
                if expected.ok:
                    assert value == pytest.approx(expected.value, rel=1e-7, abs=1e-10), scorer.name


@pytest.mark.parametrize(
    "labels",
    [
        np.random.default_rng(0).normal(size=(60, 2)),
        np.random.default_rng(0).integers(0, 2, (60, 3)),
    ],
)
@pytest.mark.parametrize("case", [tall, wide])
def test_the_same_for_label_columns(labels, case):
    features, _ = case(0)
    labels = labels[: len(features)]
    checked = check_labels(labels, len(labels))
    scorers = tuple(
        scorer
        for scorer in OF_FEATURES
        if checked.task in scorer.tasks and scorer.uses_labels and scorer.name != "linear_probe"
    )
    assert len(scorers) >= 6
    with double_precision():
        statistics = gather(features, checked, needs_of(scorers), batch_rows=16, for_intervals=True)
        order = list(relabelled(statistics))[3]
        anew = gather(
            features,
            check_labels(labels[statistics[ForIntervals].orders.orders[3]], len(labels)),
            needs_of(scorers),
        )
        for scorer in scorers:
            assert evaluate(scorer, order).value == pytest.approx(
                evaluate(scorer, anew).value, rel=1e-7, abs=1e-10
            ), scorer.name


def test_zero_of_pactran_is_within_its_spread():
    features, labels = tall(0)
    (scorer,) = select(["pactran"])
    with double_precision():
        statistics = gather(
            features, check_labels(labels, len(labels)), scorer.needs, for_intervals=True
        )
        orders = list(relabelled(statistics))
        assert scorer.permuted is not None
        quick, exact = (
            np.array(scorer.permuted(orders)),
            np.array([evaluate(scorer, order).value for order in orders]),
        )
        assert np.abs(quick - exact).max() < 0.05 * exact.std()


def sample(seed, count, width, classes=4):
    random = np.random.default_rng([seed, 9])
    fixed = np.random.default_rng(1)
    means, mixing = (
        0.6 * fixed.normal(size=(classes, width)),
        fixed.normal(size=(width, width)) / math.sqrt(width),
    )
    labels = random.integers(0, classes, count)
    return np.maximum(random.normal(size=(count, width)) @ mixing + means[labels], 0).astype(
        np.float32
    ), labels


def errors_and_scatter(count, width, scorers):
    """Half widths of intervals over their quantile, and the deviation of the values.

    The half widths are the mean of five samples, the deviation is over 40 samples.
    """
    values, halves = [], []
    with double_precision():
        for seed in range(40):
            features, labels = sample(seed, count, width)
            statistics = gather(
                features, check_labels(labels, count), needs_of(scorers), for_intervals=seed < 5
            )
            values.append([evaluate(scorer, statistics).value for scorer in scorers])
            if seed < 5:
                results = evaluate_with_intervals(scorers, statistics)
                halves.append(
                    [
                        (result.interval[1] - result.interval[0]) / 2
                        if result.interval
                        else math.nan
                        for result in results.values()
                    ]
                )
    return np.mean(halves, axis=0), np.std(values, axis=0, ddof=1)


def test_intervals_from_moments_are_as_wide_as_values_scatter():
    half_widths, scatter = errors_and_scatter(600, 20, OF_MOMENTS)
    for scorer, ratio in zip(OF_MOMENTS, half_widths / (1.729 * scatter), strict=True):
        assert 0.65 < ratio < 1.5, scorer.name


def test_intervals_where_rows_are_fewer_than_features():
    scorers = tuple(
        scorer
        for scorer in OF_MOMENTS
        if scorer.name not in ("h_score", "label_overlap") and not scorer.name.startswith("gbc")
    )
    half_widths, scatter = errors_and_scatter(80, 200, scorers)
    for scorer, ratio in zip(scorers, half_widths / scatter, strict=True):
        # an interval of 90% is 1.6 to 2.0 deviations to each side; few pairs and halves make it
        # rough
        assert 0.6 < ratio < 5, scorer.name


def test_intervals_from_rows_are_as_wide_as_values_scatter():
    scorers = tuple(
        scorer
        for scorer in OF_FEATURES
        if Rows in scorer.needs and scorer.name not in ("knn_5", "linear_probe", "ncti")
    )
    half_widths, scatter = errors_and_scatter(300, 10, scorers)
    for scorer, ratio in zip(scorers, half_widths / (1.645 * scatter), strict=True):
        assert 0.5 < ratio < 2.2, scorer.name


def test_everything_at_once():
    features, labels = tall(0)
    plain = featalign.score(features, labels)
    judged = featalign.score(features, labels, intervals=True)
    for name, result in judged.items():
        assert result.status == plain[name].status
        assert result.note.startswith(plain[name].note)
        assert result.value == pytest.approx(plain[name].value, nan_ok=True)
        (scorer,) = select([name])
        assert (result.zero is not None) == (result.ok and scorer.uses_labels), name
        if name == "dead_fraction":  # no column is near death
            assert (result.interval, result.note) == (None, "no interval can be told")
        else:
            assert not result.ok or (
                result.interval is not None
                and result.interval[0] <= result.value <= result.interval[1]
            ), name
    record = shown_in_json(judged["logme"])
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    assert set(record["zero"]) == {"mean", "spread", "orders"}


def test_values_of_noise_are_at_their_zeros():
    features, labels = (
        np.random.default_rng(0).normal(size=(200, 30)),
        np.random.default_rng(1).integers(0, 3, 200),
    )
    names = [
        scorer.name
        for scorer in OF_FEATURES
        if scorer.uses_labels and scorer.name != "linear_probe"
    ]
    for name, result in featalign.score(features, labels, names, intervals=True).items():
        assert result.zero is not None
        assert abs(result.value - result.zero.mean) < 4 * result.zero.spread + 1e-9, name


def test_perfect_accuracy_has_an_interval():
    labels = np.arange(40) % 2
    result = featalign.score(
        labels[:, None] + 0.01 * np.random.default_rng(0).normal(size=(40, 3)),
        labels,
        ["knn"],
        intervals=True,
    )["knn"]
    assert result.value == 1
    assert result.interval is not None
    assert 0.9 < result.interval[0] < 0.95 < result.interval[1] == 1


def test_few_rows_and_bad_values_give_a_status_or_no_interval_but_no_error():
    features, labels = tall(0)
    for result in featalign.score(features[:6, :4], np.arange(6) % 2, intervals=True).values():
        assert result.interval is None or all(math.isfinite(end) for end in result.interval)
    features = features.copy()
    features[3, 2] = np.nan
    assert (
        featalign.score(features, labels, ["logme"], intervals=True)["logme"].status
        is Status.NOT_FINITE
    )
    for result in featalign.score(np.ones((6, 4)), [0, 1] * 3, intervals=True).values():
        assert result.ok or (result.interval is None and result.zero is None)


def test_zeros_are_seeded():
    features, labels = tall(0)
    first, again, other = (
        featalign.score(features, labels, ["knn", "logme"], seed=seed, intervals=True)
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first["knn"].zero != other["knn"].zero


def test_features_of_low_rank_and_huge_scale_have_intervals():
    features, labels = tall(0)
    result = featalign.score(
        np.hstack([features, features]) * 1e8, labels, ["transrate"], intervals=True
    )["transrate"]
    assert result.ok
    assert result.interval is not None
    assert result.interval[0] < result.value < result.interval[1]


def test_rows_that_are_alone_in_their_class_leave_no_interval_where_rows_are_few():
    features = np.random.default_rng(0).normal(size=(20, 64))
    for result in featalign.score(
        features, np.arange(20), ["logme", "h_score_shrunk"], intervals=True
    ).values():
        assert result.interval is None
        assert "no interval" in result.note


def test_perfect_likelihoods_stay_on_their_side_of_zero():
    features, labels = tall(0)
    for result in featalign.score(
        features, labels, ["leep", "nce"], source_probabilities=np.eye(3)[labels], intervals=True
    ).values():
        assert result.value == 0
        assert result.interval is None


def test_a_label_that_no_row_has_changes_nothing():
    features, _ = tall(0)
    labels = np.random.default_rng(0).integers(0, 2, (60, 3))
    names = ["logme", "ridge_probe", "knn", "label_overlap"]
    absent = featalign.score(features, np.hstack([labels, np.zeros((60, 1), int)]), names)
    assert absent == featalign.score(features, labels, names)
    with pytest.raises(featalign.FeatalignError, match="a label that some rows have"):
        featalign.score(features, np.zeros((60, 2), int), names)
