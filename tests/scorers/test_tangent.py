"""Tangent scores.

This tests them against their oracles, their interval, curve and zero, and what they say of black
boxes.
"""

import tempfile
from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest
from flax import nnx

import featalign as fa
from featalign.arrays import Labels, check_labels
from featalign.records.interval import points
from featalign.records.score import Status
from featalign.scorers.intervals import evaluate_with_intervals
from featalign.scorers.registry import select
from featalign.scorers.scorer import evaluate
from featalign.scorers.tangent import tangent_folds, twins_accuracy
from featalign.statistics.gather import gather
from featalign.statistics.kernel_ridge import decompose, held_out_hits, predict
from featalign.statistics.tangent import Draw, Draws, Tangent, joint_gram
from tests import oracles
from tests.scorer_table import TANGENT_ROWS

pytestmark = pytest.mark.slow

SCORERS = select([row.name for row in TANGENT_ROWS])
COUNT = 45


def tangent_of(labels: Labels, source: tuple[Draw, ...], twins: tuple[tuple[Draw, ...], ...]):
    numbers = np.arange(len(labels.values))
    return Tangent(labels, Draws(numbers, tangent_folds(labels, 0), source, twins))


def drawn_anew(tangent: Tangent, **draws) -> Tangent:
    return replace(tangent, drawn=replace(tangent.drawn, **draws))


def evidence(
    labels: Labels, *, signal=1.5, twin_signal=0.5, twins=2, draws=2, seed: int | list[int] = 0
):
    random = np.random.default_rng(seed)
    columns = (
        np.eye(3)[labels.values] if labels.num_classes else np.hstack([labels.values] * 2)[:, :3]
    )
    count = len(labels.values)

    def draws_with(strength):
        features = random.normal(size=(count, 6)) + strength * columns @ random.normal(
            size=(columns.shape[1], 6)
        )
        return tuple(
            Draw(
                features,
                random.normal(size=(count, 9))
                + strength * columns @ random.normal(size=(columns.shape[1], 9)),
            )
            for _ in range(draws)
        )

    return tangent_of(
        labels, draws_with(signal), tuple(draws_with(twin_signal) for _ in range(twins))
    )


def labels_of(task):
    random = np.random.default_rng(3)
    if task == "classification":
        return check_labels(random.permutation(np.arange(COUNT) % 3), COUNT)
    return check_labels(
        random.normal(size=(COUNT, 2))
        if task == "regression"
        else random.integers(0, 2, (COUNT, 2)),
        COUNT,
    )


def statistics_of(tangent, **options):
    return gather(
        np.ones((len(tangent.labels.values), 2)),
        tangent.labels,
        frozenset({Tangent}),
        given=[tangent],
        **options,
    )


@pytest.mark.parametrize("draws", [1, 3])
@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_equal_to_the_oracle(task, draws):
    tangent = evidence(labels_of(task), draws=draws)
    statistics = statistics_of(tangent)
    pairs = [
        [(draw.features, draw.gradients) for draw in each]
        for each in (tangent.drawn.source, *tangent.drawn.twins)
    ]
    for scorer, row in zip(SCORERS, TANGENT_ROWS, strict=True):
        given = (pairs[0],) if row.name == "tangent_probe" else (pairs[0], pairs[1:])
        expected = row.oracle(*given, tangent.labels.values, tangent.drawn.folds)
        assert evaluate(scorer, statistics).value == pytest.approx(expected, rel=row.relative), (
            row.name
        )


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_a_better_source_gains_and_its_interval_says_so(task):
    labels = labels_of(task)
    probe, gain = (
        evaluate(scorer, statistics_of(evidence(labels, signal=2.0, twin_signal=0.1)))
        for scorer in SCORERS
    )
    assert probe.value > 0.6
    assert gain.interval is not None
    assert 0 < gain.interval[0] < gain.value < gain.interval[1]
    none = evaluate(SCORERS[1], statistics_of(evidence(labels, signal=0.5, twin_signal=0.5)))
    assert none.interval is not None
    assert none.interval[0] < 0 < none.interval[1]


@pytest.mark.parametrize(("twins", "draws"), [(2, 1), (2, 4), (5, 1)])
def test_the_interval_covers_what_fresh_rows_twins_and_draws_would_give(twins, draws):
    """The expected gain is known here.

    Source and twins differ in nothing but chance, twin by twin.
    """
    covered, halves = [], []
    for seed in range(60):
        random = np.random.default_rng([seed, 5])
        labels = check_labels(random.permutation(np.arange(60) % 3), 60)
        own, *others = (
            0.6 + 0.25 * random.normal() for _ in range(twins + 1)
        )  # twins scatter, and the source is as one of them
        parts = [
            evidence(labels, signal=strength, twins=0, draws=draws, seed=[seed, place]).drawn.source
            for place, strength in enumerate((own, *others))
        ]
        result = evaluate(
            SCORERS[1],
            statistics_of(tangent_of(labels, parts[0], tuple(parts[1:]))),
        )
        typical = _accuracy(own) - _accuracy(0.6, 0.25)
        assert result.interval is not None
        covered.append(result.interval[0] <= typical <= result.interval[1])
        halves.append((result.interval[1] - result.interval[0]) / 2)
    assert 0.8 < np.mean(covered) <= 1
    assert np.median(halves) < 0.35


_STRENGTHS = (-0.6, -0.3, 0.0, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8)


@cache
def _table() -> np.ndarray:
    """Mean accuracy of `tangent_probe` on many fresh sets, by strength of the signal."""
    found = []
    for strength in _STRENGTHS:
        values = []
        for seed in range(12):
            labels = check_labels(
                np.random.default_rng([seed, 9]).permutation(np.arange(60) % 3), 60
            )
            values.append(
                evaluate(
                    SCORERS[0],
                    statistics_of(
                        evidence(labels, signal=strength, twins=0, draws=1, seed=[seed, 77])
                    ),
                ).value
            )
        found.append(np.mean(values))
    return np.array(found)


def _accuracy(strength: float, spread: float = 0.0) -> float:
    draws = strength + spread * np.random.default_rng(0).normal(size=400)
    return float(np.interp(draws, _STRENGTHS, _table()).mean())


def test_no_interval_where_nothing_varies():
    labels = check_labels(np.arange(60) % 3, 60)
    perfect = (Draw(5 * np.eye(3)[labels.values], np.zeros((60, 2))),)
    result = evaluate(
        SCORERS[1],
        statistics_of(tangent_of(labels, perfect, (perfect, perfect))),
    )
    assert result.value == 0
    assert result.interval is None
    probe = evaluate_with_intervals(
        SCORERS[:1], statistics_of(evidence(labels, signal=9.0, draws=1), for_intervals=True)
    )["tangent_probe"]
    assert probe.value > 0.95
    assert probe.interval is not None
    assert probe.interval[0] < 1


def test_values_that_are_not_finite_are_a_status_wherever_they_are():
    tangent = evidence(labels_of("classification"))
    for place in ("source", "twin"):
        for part in ("features", "gradients"):
            drawn = tangent.drawn.source[0] if place == "source" else tangent.drawn.twins[1][1]
            values = getattr(drawn, part).copy()
            values[3, 2] = np.nan
            bad = replace(drawn, **{part: values})
            changed = (
                drawn_anew(tangent, source=(bad, tangent.drawn.source[1]))
                if place == "source"
                else drawn_anew(
                    tangent, twins=(tangent.drawn.twins[0], (tangent.drawn.twins[1][0], bad))
                )
            )
            assert {evaluate(scorer, statistics_of(changed)).status for scorer in SCORERS} == {
                Status.GRADIENTS_NOT_FINITE
            }


def test_the_zero_of_noise_is_where_noise_scores():
    """Folds are stratified for the labels as they are.

    Permuting across them would bias the zero.
    """
    values, zeros = [], []
    for seed in range(25):
        labels = check_labels(np.random.default_rng(seed).permutation(np.arange(50) % 2), 50)
        random = np.random.default_rng([seed, 1])
        noise = (Draw(random.normal(size=(50, 5)), random.normal(size=(50, 8))),)
        tangent = tangent_of(labels, noise, ())
        (result,) = evaluate_with_intervals(
            SCORERS[:1], statistics_of(tangent, for_intervals=True)
        ).values()
        assert result.zero is not None
        values.append(result.value)
        zeros.append(result.zero.mean)
    error = np.std(values, ddof=1) / 5
    assert abs(np.mean(values) - np.mean(zeros)) < 3 * error
    assert np.std(zeros, ddof=1) / 5 < error


def test_labels_that_all_rows_have_change_neither_value_nor_zero():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (50, 8, 8)).astype(np.uint8)
    one, other = random.integers(0, 2, (2, 50, 1))
    columns = np.hstack([one, np.ones_like(one), np.zeros_like(one), other])
    found = []
    for labels in (columns[:, [0, 3]], columns):
        target = fa.Target.from_arrays("tags", images, labels)
        with tempfile.TemporaryDirectory() as folder:
            row = fa.rank(
                ["zoo/resnet_digits"],
                target,
                cache=folder,
                scorers=["tangent_probe"],
                intervals=True,
            ).rows[0]
        found.append(row.scores["tangent_probe"])
    assert found[0].value == pytest.approx(found[1].value)
    assert found[0].zero == found[1].zero


def test_zero_under_permuted_labels():
    tangent = evidence(labels_of("classification"), signal=2.0)
    statistics = statistics_of(tangent, for_intervals=True)
    results = evaluate_with_intervals(SCORERS, statistics)
    probe, gain = results["tangent_probe"], results["tangent_gain"]
    assert probe.zero is not None
    assert gain.zero is not None
    assert 0.2 < probe.zero.mean < 0.45
    assert abs(gain.zero.mean) < 0.1
    assert gain.interval == evaluate(SCORERS[1], statistics_of(tangent)).interval


def test_the_accuracy_of_twins_needs_no_source():
    tangent = evidence(labels_of("classification"), signal=1.0)
    statistics = statistics_of(tangent)
    probe, gain = (evaluate(scorer, statistics).value for scorer in SCORERS)
    assert gain != 0
    assert twins_accuracy(tangent) == pytest.approx(probe - gain)
    assert twins_accuracy(drawn_anew(tangent, source=())) == pytest.approx(probe - gain)


def test_black_boxes_few_rows_and_no_twins():
    labels = labels_of("classification")
    for result in fa.score(
        np.ones((COUNT, 2)), labels.values, [scorer.name for scorer in SCORERS]
    ).values():
        assert result.status is Status.BLACK_BOX
        assert result.status.explanation.startswith("not available (black box)")
    alone = statistics_of(evidence(labels, twins=0))
    assert evaluate(SCORERS[0], alone).ok
    assert evaluate(SCORERS[1], alone).status is Status.BLACK_BOX
    few = check_labels(np.arange(9) % 3, 9)
    assert evaluate(SCORERS[0], statistics_of(evidence(few))).status is Status.TOO_FEW_ROWS
    assert np.isnan(twins_accuracy(evidence(few)))
    assert np.isnan(twins_accuracy(evidence(labels, twins=0)))


def test_constant_evidence_predicts_the_mean():
    labels = check_labels(np.array([0] * 20 + [1] * 10), 30)
    still = (Draw(np.ones((30, 3)), np.zeros((30, 4))),)
    probe = evaluate(
        SCORERS[0],
        statistics_of(tangent_of(labels, still, (still,))),
    )
    assert probe.value == pytest.approx(2 / 3)


def test_constants_that_no_sum_gives_exactly_predict_the_mean():
    labels = check_labels(np.array([0] * 20 + [1] * 10), 30)
    still = (Draw(np.full((30, 3), np.float32(0.1)), np.full((30, 4), 0.7)),)
    probe = evaluate(
        SCORERS[0],
        statistics_of(tangent_of(labels, still, ())),
    )
    assert probe.value == pytest.approx(2 / 3)


def test_training_rows_that_are_all_alike_predict_the_mean():
    """All rows but one are the same: the fold that holds it out has nothing to fit but rounding."""
    labels = check_labels(np.array([0] * 20 + [1] * 10), 30)
    features = np.full((30, 3), 0.1)
    features[25] = 7.3
    folds = tangent_folds(labels, 0)
    parts = decompose(joint_gram(Draw(features, np.zeros((30, 2)))), folds)
    assert [bool(part.values.any()) for part in parts] == [
        fold != folds[25] for fold in range(len(parts))
    ]
    held = parts[folds[25]].held
    assert held_out_hits(parts, labels)[held].tolist() == (labels.values[held] == 0).tolist()


def test_a_row_far_from_all_others_has_its_leverage_and_no_more():
    """Its leave-one-out residual divides by nearly nothing; the oracle fits again without it."""
    tangent = evidence(labels_of("classification"), twins=0, draws=1)
    (draw,) = tangent.drawn.source
    features = draw.features.copy()
    features[7] *= 1e7
    far = (replace(draw, features=features),)
    expected = oracles.tangent_probe(
        [(features, draw.gradients)], tangent.labels.values, tangent.drawn.folds
    )
    assert evaluate(
        SCORERS[0], statistics_of(drawn_anew(tangent, source=far))
    ).value == pytest.approx(expected)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_no_scale_is_too_small_or_too_large(scale):
    tangent = evidence(labels_of("classification"))

    def scaled(draws):
        return tuple(Draw(draw.features * scale, draw.gradients / scale) for draw in draws)

    changed = drawn_anew(
        tangent,
        source=scaled(tangent.drawn.source),
        twins=tuple(scaled(twin) for twin in tangent.drawn.twins),
    )
    for scorer in SCORERS:
        assert evaluate(scorer, statistics_of(changed)) == evaluate(scorer, statistics_of(tangent))


def test_targets_out_of_range_are_a_status_and_no_choice_among_errors_that_are_not_finite():
    labels = labels_of("regression")
    tangent = evidence(labels)
    huge = replace(tangent, labels=replace(labels, values=labels.values * 1e200))
    assert {evaluate(scorer, statistics_of(huge)).status for scorer in SCORERS} == {
        Status.UNDEFINED
    }
    part = decompose(joint_gram(tangent.drawn.source[0]), tangent.drawn.folds)[0]
    with np.errstate(over="ignore", invalid="ignore"):
        assert np.isnan(predict(part, huge.labels.values[part.training])).all()


@pytest.mark.parametrize("strength", [0.0, 50.0])
def test_the_grid_of_penalties_is_wide_enough(strength, monkeypatch):
    """No penalty beyond those of the grid has anything to offer.

    Noise takes the largest, labels that are a function of the features the smallest.
    """
    random, labels = np.random.default_rng(1), labels_of("regression")
    features = random.normal(size=(COUNT, 60)) + strength * labels.values @ random.normal(
        size=(2, 60)
    )
    draws = (Draw(features, np.zeros((COUNT, 1))),)

    def statistics():
        return statistics_of(tangent_of(labels, draws, ()))

    value = evaluate(SCORERS[0], statistics()).value
    wider = tuple(10.0**power for power in np.arange(-8, 5.5, 0.5))
    monkeypatch.setattr("featalign.statistics.kernel_ridge.RELATIVE_PENALTIES", wider)
    assert evaluate(SCORERS[0], statistics()).value == pytest.approx(value, abs=0.02)


def test_a_source_that_cannot_be_differentiated_after_all_keeps_its_other_scores(tmp_path):
    class Looping(nnx.Module):
        def __init__(self, seed):
            self.linear = nnx.Linear(6, 5, rngs=nnx.Rngs(seed))

        def __call__(self, inputs):
            return jax.lax.while_loop(
                lambda carry: carry[0] < 2,
                lambda carry: (carry[0] + 1, 2 * carry[1]),
                (0, self.linear(inputs)),
            )[1]

    inputs = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    target = fa.Target.from_arrays("numbers", inputs, np.arange(40) % 2)
    source = fa.flax_source("looping", Looping(0), example=inputs[0], initialise=Looping)
    row = fa.rank([source], target, cache=tmp_path, scorers=["knn", "tangent_gain"]).rows[0]
    assert row.scores["knn"].ok
    assert row.scores["tangent_gain"].status is Status.NO_GRADIENTS
    assert any(
        warning.startswith("no tangent scores: looping: its embed function failed")
        for warning in row.warnings
    )


def test_a_sample_of_the_rows_is_said(tmp_path):
    inputs = np.random.default_rng(0).normal(size=(420, 6)).astype(np.float32)
    source = fa.flax_source(
        "linear",
        nnx.Linear(6, 5, rngs=nnx.Rngs(0)),
        example=inputs[0],
        initialise=lambda s: nnx.Linear(6, 5, rngs=nnx.Rngs(s)),
    )
    for count, note in ((420, "on a stratified sample of 400 rows"), (400, "")):
        target = fa.Target.from_arrays("numbers", inputs[:count], np.arange(count) % 2)
        scores = (
            fa.rank([source], target, cache=tmp_path, scorers=["tangent_probe", "tangent_gain"])
            .rows[0]
            .scores
        )
        assert {scores[name].note for name in ("tangent_probe", "tangent_gain")} == {note}


def test_rank_shows_the_gain_of_differentiable_sources_and_says_what_others_lack(tmp_path):
    target = fa.load_target("sklearn:digits", subset=60)
    pixels = fa.Source.from_function(
        "pixels", lambda images: images.reshape(len(images), -1) / 255, revision="1"
    )
    names = ["tangent_probe", "tangent_gain"]
    ranking = fa.rank(["zoo/resnet_digits", pixels], target, cache=tmp_path, scorers=names)
    rows = {row.source: row.scores for row in ranking.rows}
    gain = rows["zoo/resnet_digits"]["tangent_gain"]
    assert gain.ok
    assert gain.interval is not None
    assert gain.value > 0.1
    assert rows["pixels"]["tangent_gain"].status is Status.BLACK_BOX
    again = fa.rank(["zoo/resnet_digits", pixels], target, cache=tmp_path, scorers=names)
    assert again.to_json() == ranking.to_json()
    assert "black box" in str(ranking)
    assert "tangent gain (points)" in str(ranking)
    assert points(gain.value) in str(ranking)
    assert " to ".join(map(points, gain.interval)) in str(ranking)
