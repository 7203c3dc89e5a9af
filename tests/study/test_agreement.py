"""Measures of agreement.

They are tested against slow readable versions, against SciPy, and against published tables.
"""

import csv
import itertools
import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from scipy import stats

from featalign.errors import FeatalignError
from featalign.study.accuracies import AccuracyTable, read_accuracies
from featalign.study.agreement import (
    MEASURES,
    interval_agreement,
    ranking_agreement,
    sign_agreement,
)
from featalign.study.agreement_summary import STATIC_LIST, static_list, summarise_agreement
from featalign.study.bootstrap import bootstrap_interval
from tests.shared import SHARED

TABLES = SHARED / "reference" / "tables"
needs_tables = pytest.mark.skipif(
    not TABLES.is_dir(),
    reason="needs the published tables in ../shared, which are not part of the repository",
)


def rank_from_best(first, second, index):
    """Place of an item when sorted by the first values, ties by the second, largest first.

    Two items equal in both in either order.
    """
    order = sorted(range(len(first)), key=lambda item: (first[item], second[item]), reverse=True)
    return order.index(index)


def slow_weighted_tau(x, y):
    """Vigna's additive hyperbolic tau, the mean over the two ways to rank; pairs written out."""

    def one(first, second):
        weights = [1 / (rank_from_best(first, second, index) + 1) for index in range(len(x))]
        product = {}
        for a, b in ((x, y), (x, x), (y, y)):
            product[id(a), id(b)] = sum(
                (weights[i] + weights[j]) * np.sign(a[i] - a[j]) * np.sign(b[i] - b[j])
                for i, j in itertools.permutations(range(len(x)), 2)
            )
        return product[id(x), id(y)] / math.sqrt(product[id(x), id(x)] * product[id(y), id(y)])

    return (one(x, y) + one(y, x)) / 2


def slow_tau_b(x, y):
    signs = [
        (np.sign(x[i] - x[j]), np.sign(y[i] - y[j]))
        for i, j in itertools.combinations(range(len(x)), 2)
    ]
    return sum(a * b for a, b in signs) / math.sqrt(
        sum(a != 0 for a, _ in signs) * sum(b != 0 for _, b in signs)
    )


def slow_pearson(x, y):
    x, y = (
        [float(value) - sum(x) / len(x) for value in x],
        [float(value) - sum(y) / len(y) for value in y],
    )
    return sum(a * b for a, b in zip(x, y, strict=True)) / math.sqrt(
        sum(a * a for a in x) * sum(b * b for b in y)
    )


def mean_ranks(x):
    return [
        sum(other < value for other in x) + (sum(other == value for other in x) + 1) / 2
        for value in x
    ]


def slow_fidelity(scores, accuracies):
    leads = [
        (scores[i] - scores[j], accuracies[i] - accuracies[j])
        for i, j in itertools.permutations(range(len(scores)), 2)
        if scores[i] > scores[j]
    ]
    return slow_pearson(*zip(*leads, strict=True))


def slow_top(scores, accuracies, places):
    """The share of orders that have a best source among the first.

    The orders are all in which the sources could be listed so that they are sorted by score.
    """
    orders = [
        order
        for order in itertools.permutations(range(len(scores)))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    return sum(
        any(accuracies[index] == max(accuracies) for index in order[:places]) for order in orders
    ) / len(orders)


def draw(seed, num_sources, levels=None):
    rng = np.random.default_rng(seed)
    accuracies = rng.normal(size=num_sources)
    scores = accuracies + rng.normal(size=num_sources)
    if levels:
        accuracies, scores = (
            np.round(accuracies * levels) / levels,
            np.round(scores * levels) / levels,
        )
    return scores, accuracies + 5


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("num_sources", "levels"), [(12, None), (9, 2), (6, 1)])
def test_ranking_measures_equal_the_slow_versions(seed, num_sources, levels):
    scores, accuracies = draw(seed, num_sources, levels)
    agreement = ranking_agreement(scores, accuracies)
    assert agreement.kendall_tau == pytest.approx(slow_tau_b(scores, accuracies), abs=1e-12)
    assert agreement.spearman == pytest.approx(
        slow_pearson(mean_ranks(scores), mean_ranks(accuracies)), abs=1e-12
    )
    assert agreement.pearson == pytest.approx(slow_pearson(scores, accuracies), abs=1e-12)
    assert agreement.fidelity == pytest.approx(slow_fidelity(scores, accuracies), abs=1e-12)
    assert agreement.weighted_tau == pytest.approx(slow_weighted_tau(scores, accuracies), abs=1e-12)
    if num_sources == 6:
        assert agreement.best_in_top_3 == pytest.approx(slow_top(scores, accuracies, 3), abs=1e-12)
    picks = [
        accuracy for score, accuracy in zip(scores, accuracies, strict=True) if score == max(scores)
    ]
    assert agreement.regret == pytest.approx(max(accuracies) - sum(picks) / len(picks), abs=1e-12)
    assert agreement.relative_accuracy == pytest.approx(
        sum(picks) / len(picks) / max(accuracies), abs=1e-12
    )


@pytest.mark.parametrize("levels", [None, 2])
def test_correlations_are_scipys(levels):
    scores, accuracies = draw(3, 15, levels)
    agreement = ranking_agreement(scores, accuracies)
    functions = {
        "weighted_tau": stats.weightedtau,
        "kendall_tau": stats.kendalltau,
        "spearman": stats.spearmanr,
        "pearson": stats.pearsonr,
    }
    for measure, function in functions.items():
        result: Any = function(scores, accuracies)
        assert getattr(agreement, measure) == pytest.approx(result.statistic, abs=1e-12)


def test_fidelity_over_both_orders_would_be_pearson_again():
    """This is why fidelity takes each pair once.

    Antisymmetric differences have the same correlation as the values.
    """
    scores, accuracies = draw(5, 10)
    pairs = list(itertools.permutations(range(10), 2))
    both = slow_pearson(
        [scores[i] - scores[j] for i, j in pairs], [accuracies[i] - accuracies[j] for i, j in pairs]
    )
    agreement = ranking_agreement(scores, accuracies)
    assert both == pytest.approx(agreement.pearson, abs=1e-12)
    assert abs(agreement.fidelity - agreement.pearson) > 0.05


@pytest.mark.parametrize("seed", range(4))
def test_properties_of_rankings(seed):
    scores, accuracies = draw(seed, 11)
    agreement = ranking_agreement(scores, accuracies)
    order = np.random.default_rng(seed).permutation(11)
    shuffled, stretched, bent = (
        ranking_agreement(scores[order], accuracies[order]),
        ranking_agreement(3 * scores - 7, accuracies),
        ranking_agreement(np.exp(scores), accuracies),
    )
    for measure in MEASURES:
        assert getattr(shuffled, measure) == pytest.approx(getattr(agreement, measure), abs=1e-12)
        assert getattr(stretched, measure) == pytest.approx(getattr(agreement, measure), abs=1e-12)
        if measure not in ("pearson", "fidelity"):
            assert getattr(bent, measure) == getattr(agreement, measure)
    assert bent.pearson != pytest.approx(agreement.pearson, abs=1e-6)
    perfect, reverse = (
        ranking_agreement(accuracies, accuracies),
        ranking_agreement(-accuracies, accuracies),
    )
    assert [getattr(perfect, name) for name in MEASURES] == pytest.approx([1, 1, 1, 1, 0, 1, 1, 1])
    assert [
        getattr(reverse, name) for name in ("kendall_tau", "spearman", "pearson", "fidelity")
    ] == pytest.approx([-1] * 4)
    assert reverse.regret == pytest.approx(np.ptp(accuracies))
    assert reverse.best_in_top_3 == 0


def test_a_source_without_a_score_ranks_last():
    scores, accuracies = draw(1, 8)
    missing = scores.copy()
    missing[[2, 6]] = math.nan
    last = np.where(np.isnan(missing), scores.min() - 1, scores)
    agreement, filled, dropped = (
        ranking_agreement(missing, accuracies),
        ranking_agreement(last, accuracies),
        ranking_agreement(missing[~np.isnan(missing)], accuracies[~np.isnan(missing)]),
    )
    assert (agreement.num_sources, agreement.num_scored) == (8, 6)
    for measure in ("weighted_tau", "kendall_tau", "spearman"):
        assert getattr(agreement, measure) == getattr(filled, measure) != getattr(dropped, measure)
    for measure in ("pearson", "fidelity"):
        assert getattr(agreement, measure) == getattr(dropped, measure)


def test_the_best_source_without_a_score_is_missed():
    agreement = ranking_agreement([math.nan, 2.0, 1.0, math.nan], [0.9, 0.8, 0.7, 0.6])
    assert agreement.regret == pytest.approx(0.1)
    assert agreement.relative_accuracy == pytest.approx(8 / 9)
    assert agreement.best_in_top_3 == 0
    assert ranking_agreement([math.nan] * 4, [0.9, 0.8, 0.7, 0.6]).num_scored == 0
    assert all(
        math.isnan(getattr(ranking_agreement([math.nan] * 4, [0.9, 0.8, 0.7, 0.6]), measure))
        for measure in MEASURES
    )


@pytest.mark.parametrize(
    ("scores", "accuracies", "undefined"),
    [
        ([], [], set(MEASURES)),
        ([1], [0.5], set(MEASURES)),
        ([1, 2], [0.5, 0.6], {"pearson", "best_in_top_3", "fidelity"}),
        ([1, 2, 4], [0.5, 0.6, 0.8], {"best_in_top_3"}),
        (
            [2, 2, 2, 2],
            [0.5, 0.6, 0.7, 0.8],
            {"weighted_tau", "kendall_tau", "spearman", "pearson", "fidelity"},
        ),
        (
            [1, 2, 3, 4],
            [0.5, 0.5, 0.5, 0.5],
            {"weighted_tau", "kendall_tau", "spearman", "pearson", "fidelity"},
        ),
        ([1, 2, 3, 4], [-0.5, -0.4, -0.1, 0.0], {"relative_accuracy"}),
        ([1e9, 1e9 + 1e-6, 1e9 + 3e-6, 1e9 - 5e-6], [0.5, 0.6, 0.8, 0.7], set()),
        ([0, 0, 0, 1], [0.5, 0.6, 0.8, 0.7], {"fidelity"}),
    ],
)
def test_undefined_measures_are_nan_without_a_warning(scores, accuracies, undefined):
    agreement = ranking_agreement(scores, accuracies)
    assert {measure for measure in MEASURES if math.isnan(getattr(agreement, measure))} == undefined


def test_a_pick_among_constant_scores_is_by_lot():
    agreement = ranking_agreement([1, 1, 1, 1, 1], [0.5, 0.6, 0.7, 0.8, 0.9])
    assert agreement.regret == pytest.approx(0.2)
    assert agreement.best_in_top_3 == pytest.approx(3 / 5)


@pytest.mark.parametrize(
    ("scores", "accuracies", "message"),
    [
        ([1, 2], [0.5], "expected one for each of the 1 accuracies, got 2"),
        ([1, math.inf], [0.5, 0.6], "finite"),
        ([1, 2], [0.5, math.nan], "finite"),
        ([[1, 2]], [0.5, 0.6], r"scores: expected an array of one dimension, got shape \(1, 2\)"),
        (["a", "b"], [0.5, 0.6], "scores: expected numbers"),
    ],
)
def test_bad_rankings_are_refused(scores, accuracies, message):
    with pytest.raises(FeatalignError, match=message):
        ranking_agreement(scores, accuracies)


def slow_sign_measures(evidence, gains, noise, threshold):
    positive = [e for e, g, n in zip(evidence, gains, noise, strict=True) if g > n]
    negative = [e for e, g, n in zip(evidence, gains, noise, strict=True) if g < -n]
    auroc = sum(1.0 if p > q else 0.5 if p == q else 0.0 for p in positive for q in negative) / (
        len(positive) * len(negative)
    )
    hits = sum(1.0 if p > threshold else 0.5 if p == threshold else 0.0 for p in positive) / len(
        positive
    )
    rejections = sum(
        1.0 if q < threshold else 0.5 if q == threshold else 0.0 for q in negative
    ) / len(negative)
    brier = (sum((1 - p) ** 2 for p in positive) + sum(q**2 for q in negative)) / (
        len(positive) + len(negative)
    )
    return len(positive), len(negative), auroc, (hits + rejections) / 2, brier


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("probabilities", [False, True])
def test_sign_measures_equal_the_slow_versions(seed, probabilities):
    rng = np.random.default_rng(seed)
    gains, noise = rng.normal(size=60), rng.uniform(0, 0.5, size=60)
    evidence = np.round(
        gains + rng.normal(size=60), 1
    )  # rounding makes ties, also with the threshold
    if probabilities:
        evidence = np.clip(np.round(0.5 + evidence / 6, 1), 0, 1)
    agreement = sign_agreement(evidence, gains, noise, probabilities=probabilities)
    num_gains, num_losses, auroc, balanced, brier = slow_sign_measures(
        evidence, gains, noise, 0.5 if probabilities else 0.0
    )
    assert (agreement.num_gains, agreement.num_losses, agreement.num_neither) == (
        num_gains,
        num_losses,
        60 - num_gains - num_losses,
    )
    assert agreement.num_neither > 0
    assert agreement.auroc == pytest.approx(auroc, abs=1e-12)
    assert agreement.balanced_accuracy == pytest.approx(balanced, abs=1e-12)
    assert (
        agreement.brier == pytest.approx(brier, abs=1e-12)
        if probabilities
        else math.isnan(agreement.brier)
    )
    shifted = sign_agreement(evidence, gains, noise, probabilities=probabilities, threshold=0.3)
    assert shifted.balanced_accuracy == pytest.approx(
        slow_sign_measures(evidence, gains, noise, 0.3)[3], abs=1e-12
    )
    assert shifted.auroc == agreement.auroc


def test_properties_of_sign_measures():
    rng = np.random.default_rng(0)
    gains, noise = rng.normal(size=40), np.full(40, 0.1)
    evidence = gains + rng.normal(size=40)
    agreement = sign_agreement(evidence, gains, noise)
    assert sign_agreement(np.exp(evidence), gains, noise).auroc == agreement.auroc
    assert sign_agreement(-evidence, gains, noise).auroc == pytest.approx(1 - agreement.auroc)
    assert sign_agreement(evidence, -gains, noise).balanced_accuracy == pytest.approx(
        1 - agreement.balanced_accuracy
    )
    assert (
        sign_agreement(gains, gains, noise).auroc,
        sign_agreement(gains, gains, noise).balanced_accuracy,
    ) == (1, 1)
    assert (
        sign_agreement(noise, gains, noise).auroc,
        sign_agreement(0 * noise, gains, noise).balanced_accuracy,
    ) == (0.5, 0.5)


def test_a_gain_within_its_noise_is_neither():
    agreement = sign_agreement([1, 1, 1, 1], [0.0, 0.1, -0.1, 0.2], [0.0, 0.1, 0.2, 0.1])
    assert (agreement.num_gains, agreement.num_losses, agreement.num_neither) == (1, 0, 3)
    assert math.isnan(agreement.auroc)
    assert math.isnan(agreement.balanced_accuracy)
    assert math.isnan(sign_agreement([], [], [], probabilities=True).brier)


def test_gain_measures():
    rng = np.random.default_rng(2)
    predicted, gains, width = rng.normal(size=30), rng.normal(size=30), rng.uniform(0, 3, size=30)
    agreement = interval_agreement(predicted, predicted - width, predicted + 2 * width, gains)
    assert (
        agreement.coverage
        == sum(p - w <= g <= p + 2 * w for p, w, g in zip(predicted, width, gains, strict=True))
        / 30
    )
    assert 0 < agreement.coverage < 1
    assert agreement.mean_width == pytest.approx(3 * sum(width) / 30)
    assert agreement.mean_absolute_error == pytest.approx(
        sum(abs(p - g) for p, g in zip(predicted, gains, strict=True)) / 30
    )
    assert interval_agreement([0.0], [-1.0], [1.0], [1.0]).coverage == 1
    assert math.isnan(interval_agreement([], [], [], []).coverage)


def test_pairs_without_evidence_count_half_against_every_other():
    random = np.random.default_rng(3)
    gains, evidence = random.normal(size=40), random.normal(size=40)
    evidence[::3] = math.nan
    wins = [
        0.5 if math.isnan(a) or math.isnan(b) else float(a > b)
        for a in evidence[gains > 0]
        for b in evidence[gains <= 0]
    ]
    found = sign_agreement(evidence, gains, np.zeros(40))
    assert found.auroc == pytest.approx(np.mean(wins))
    right = [
        np.mean(
            [
                0.5 if math.isnan(value) else float((value > 0) == up)
                for value in evidence[(gains > 0) == up]
            ]
        )
        for up in (True, False)
    ]
    assert found.balanced_accuracy == pytest.approx(np.mean(right))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sign_agreement([1], [1, 2], [0, 0]), "evidence 1, gains 2, noise 2"),
        (
            lambda: sign_agreement([1, math.inf], [1, 2], [0, 0]),
            "evidence: expected finite numbers, got inf in row 1",
        ),
        (
            lambda: sign_agreement([1, math.nan], [1, 2], [0, 0], probabilities=True),
            "expected a probability for every pair, got nan in row 1",
        ),
        (lambda: sign_agreement([1], [1], [-0.1]), "noise: expected half-widths of at least 0"),
        (lambda: sign_agreement([1.2], [1], [0], probabilities=True), "probabilities from 0 to 1"),
        (
            lambda: interval_agreement([0, 0], [-1, 1], [1, -1], [0, 0]),
            "low: expected no more than high, got more in row 1",
        ),
        (
            lambda: bootstrap_interval([1, 2], sum, level=90),
            "level: expected a number between 0 and 1, got 90",
        ),
        (
            lambda: bootstrap_interval([1, 2], sum, num_resamples=0),
            "num_resamples: expected a whole number of at least 1",
        ),
    ],
)
def test_bad_forecasts_are_refused(call, message):
    with pytest.raises(FeatalignError, match=message):
        call()


def mean(values):
    return sum(values) / len(values)


def test_bootstrap_equals_the_enumeration_of_all_resamples():
    groups = [0.0, 1.0, 5.0, 6.0]
    every = [mean(resample) for resample in itertools.product(groups, repeat=4)]
    interval = bootstrap_interval(groups, mean, num_resamples=20000, seed=1)
    assert interval.value == 3
    assert [interval.low, interval.high] == pytest.approx(
        np.quantile(every, [0.05, 0.95]), abs=0.01
    )
    assert interval.num_groups == 4


def test_bootstrap_equals_scipys():
    values = np.random.default_rng(7).exponential(size=25)
    interval = bootstrap_interval(list(values), mean, num_resamples=5000, level=0.8, seed=3)
    reference = stats.bootstrap(
        (values,), np.mean, confidence_level=0.8, n_resamples=5000, method="percentile", rng=5
    ).confidence_interval
    assert [interval.low, interval.high] == pytest.approx([reference.low, reference.high], abs=0.02)


def test_bootstrap_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(11)
    hits = 0
    for trial in range(400):
        interval = bootstrap_interval(
            rng.normal(size=30).tolist(), mean, num_resamples=200, seed=trial
        )
        hits += interval.low <= 0 <= interval.high
    assert 0.83 < hits / 400 < 0.94  # the percentile interval of 30 covers 0.88, deviation 0.016


def test_bootstrap_keeps_the_pairs_of_a_target_together():
    """Six copies of the pairs of each target must not narrow the interval.

    Single pairs as groups would.
    """
    rng = np.random.default_rng(4)
    targets = [
        (rng.normal(size=5) + shift, rng.normal(size=5) + shift) for shift in rng.normal(size=8)
    ]

    def auroc(groups):
        return sign_agreement(
            np.concatenate([group[0] for group in groups]),
            np.concatenate([group[1] for group in groups]),
            np.zeros(sum(len(group[0]) for group in groups)),
        ).auroc

    once = bootstrap_interval(targets, auroc, num_resamples=300)
    copied = bootstrap_interval(
        [(np.tile(evidence, 6), np.tile(gains, 6)) for evidence, gains in targets],
        auroc,
        num_resamples=300,
    )
    pairs = [
        (evidence[[index]], gains[[index]]) for evidence, gains in targets for index in range(5)
    ] * 6
    assert once.low < once.value < once.high
    assert (copied.value, copied.low, copied.high) == pytest.approx(
        (once.value, once.low, once.high)
    )
    assert bootstrap_interval(pairs, auroc, num_resamples=300).low > once.low + 0.02


def test_bootstrap_is_seeded_and_says_what_is_undefined():
    values = [0.1, 0.5, 0.2, 0.9]
    assert (
        bootstrap_interval(values, mean, seed=2)
        == bootstrap_interval(values, mean, seed=2)
        != bootstrap_interval(values, mean, seed=3)
    )
    alone, none = bootstrap_interval([0.4], mean), bootstrap_interval([], mean)
    assert (alone.value, alone.num_groups, none.num_groups) == (0.4, 1, 0)
    assert all(
        math.isnan(value) for value in (alone.low, alone.high, none.value, none.low, none.high)
    )
    partly = bootstrap_interval(
        [0.0, 1.0], lambda groups: math.nan if mean(groups) == 0.5 else mean(groups), level=0.98
    )
    assert (partly.low, partly.high) == (0, 1)
    assert math.isnan(partly.value)
    assert math.isnan(bootstrap_interval([0.0, 1.0], lambda groups: math.nan).low)


def slow_static_list(table):
    """Exact fractions, one row at a time; without arms and sizes."""
    scores = []
    for source, target in zip(table.sources, table.targets, strict=True):
        places = []
        for other in dict.fromkeys(table.targets):
            if other == target:
                continue
            there = {
                s: a
                for s, t, a in zip(table.sources, table.targets, table.accuracies, strict=True)
                if t == other
            }
            if source in there:
                above, level = (
                    sum(a > there[source] for a in there.values()),
                    sum(a == there[source] for a in there.values()),
                )
                places.append(Fraction(2 * above + level, 2 * len(there)))
        scores.append(-sum(places) / len(places) if places else math.nan)
    return scores


def make_table(seed=0, num_sources=6, num_targets=5, share=0.8):
    rng = np.random.default_rng(seed)
    rows = [
        (f"source {s}", f"target {t}")
        for t in range(num_targets)
        for s in range(num_sources)
        if rng.random() < share
    ]
    accuracies = np.round(rng.uniform(0.5, 0.9, size=len(rows)), 1)
    return AccuracyTable(
        tuple(s for s, _ in rows),
        tuple(t for _, t in rows),
        accuracies,
        {"noise": rng.normal(size=len(rows)), "truth": accuracies},
    )


@pytest.mark.parametrize("seed", range(4))
def test_static_list_equals_the_slow_version_also_in_its_ties(seed):
    table = make_table(seed)
    slow = slow_static_list(table)
    assert static_list(table) == pytest.approx([float(score) for score in slow], abs=1e-9)
    scores = static_list(table)
    for a, b in itertools.combinations(range(len(slow)), 2):
        assert (scores[a] == scores[b]) == (slow[a] == slow[b])


def test_static_list_never_sees_the_target_at_any_size_nor_another_arm():
    sources = ("a", "b") * 6
    targets = ("x",) * 4 + ("y",) * 4 + ("z",) * 4
    sizes, arms = np.array([50, 50, 400, 400] * 3), ("full",) * 8 + ("probe",) * 4
    accuracies = np.array([0.9, 0.1, 0.8, 0.2, 0.3, 0.6, 0.6, 0.7, 0.9, 0.1, 0.9, 0.1])
    table = AccuracyTable(sources, targets, accuracies, {}, sizes, arms)
    scores = static_list(table)
    assert scores[:8].tolist() == [-0.75, -0.25, -0.75, -0.25, -0.25, -0.75, -0.25, -0.75]
    assert np.isnan(scores[8:]).all()  # the arm was measured on one target alone


def test_summary_is_the_mean_of_the_measures_per_target():
    table = make_table(1, share=1.0)
    summaries = {
        summary.score: summary for summary in summarise_agreement(table, num_resamples=200, seed=5)
    }
    assert list(summaries) == [STATIC_LIST, "noise", "truth"]
    for name, scores in (("noise", table.scores["noise"]), (STATIC_LIST, static_list(table))):
        agreements = []
        for target in dict.fromkeys(table.targets):
            rows = [row for row, other in enumerate(table.targets) if other == target]
            agreements.append(ranking_agreement(scores[rows], table.accuracies[rows]))
        assert [one.agreement for one in summaries[name].settings] == agreements
        for measure in MEASURES:
            values = [getattr(agreement, measure) for agreement in agreements]
            assert summaries[name].means[measure] == bootstrap_interval(
                values, lambda drawn: math.fsum(drawn) / len(drawn), num_resamples=200, seed=5
            )
    truth = summaries["truth"].means
    assert [truth[measure].value for measure in MEASURES] == pytest.approx(
        [1, 1, 1, 1, 0, truth["best_in_top_3"].value, 1, 1]
    )


def test_summary_weighs_targets_alike_and_leaves_out_where_a_measure_is_undefined():
    accuracies = np.array([0.1, 0.2, 0.3, 0.2, 0.1, 0.3, 0.1, 0.2, 0.3, 0.5, 0.5, 0.5])
    table = AccuracyTable(
        ("a", "b", "c") * 4,
        ("x",) * 6 + ("y",) * 3 + ("z",) * 3,
        accuracies,
        {"s": np.array([1.0, 2, 3] * 4)},
        np.repeat([5, 9, 5, 5], 3),
    )
    means = summarise_agreement(table)[1].means
    assert means["kendall_tau"].value == pytest.approx(
        ((1 + 1 / 3) / 2 + 1) / 2
    )  # z has constant accuracies
    assert means["kendall_tau"].num_groups == 2
    assert means["regret"].num_groups == 3
    assert (means["best_in_top_3"].num_groups, math.isnan(means["best_in_top_3"].value)) == (
        0,
        True,
    )


def read_golden():
    if not TABLES.is_dir():
        return []
    with (TABLES / "golden_correlations.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@needs_tables
def test_correlations_of_the_published_scores():
    """All 32 cells of thuml's model selection table are found again.

    Each cell has four correlations, to the six printed decimals.
    """
    rows = read_golden()
    assert len(rows) == 32
    summaries = {
        summary.score: summary
        for summary in summarise_agreement(
            read_accuracies(TABLES / rows[0]["scores_file"]), num_resamples=10
        )
    }
    names = {
        "tau_w_scipy_default(score,acc)": "weighted_tau",
        "kendall_tau_b": "kendall_tau",
        "pearson": "pearson",
        "spearman": "spearman",
    }
    for row in rows:
        (found,) = [
            one.agreement
            for one in summaries[row["metric"]].settings
            if one.setting.target == row["dataset"]
        ]
        assert found.num_sources == int(row["n_models"])
        for column, measure in names.items():
            assert getattr(found, measure) == pytest.approx(float(row[column]), abs=5.0000001e-7), (
                row["metric"],
                row["dataset"],
                measure,
            )


@needs_tables
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("sfda_group1_supervised_finetune_acc", 0.837),
        ("sfda_group2_ssl_finetune_acc", 0.685),
        ("emms_vit_finetune_acc", 0.777),
    ],
)
def test_static_list_on_published_accuracies(file, expected):
    """Mean rank on the other targets: weighted tau to three decimals, as worked out independently.

    Such a table has no other score.
    """
    (summary,) = summarise_agreement(read_accuracies(TABLES / f"{file}.csv"), num_resamples=200)
    interval = summary.means["weighted_tau"]
    assert (summary.score, interval.num_groups) == (STATIC_LIST, 11)
    assert round(interval.value, 3) == expected
    assert interval.low < expected < interval.high
