"""How forecasts are judged.

This tests what is perfect, what is blind, and that simpler guesses do not see what they are judged
on.
"""

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from featalign.records.interval import Interval
from featalign.study.agreement import interval_agreement, ranking_agreement, sign_agreement
from featalign.study.calibrate import left_out, of_dataset
from featalign.study.forecast_agreement import (
    Guess,
    Judged,
    always_helps,
    guess_of,
    guesses_by,
    judge_guesses,
)
from tests.forecasting.examples import there, world

WORLD = world(targets=8, sources=4, sizes=(100, 400), together=2)
OTHER = "set of target 1"
NOTHING_SAID = ("error", "coverage", "width")
BOTH_ARMS = ("accuracy_error", "accuracy_coverage", "scratch_error", "scratch_coverage")


def around(value, half, off=0.0):
    """An interval around what is `off` a value."""
    middle = value + off
    return Interval(value=middle, low=middle - half, high=middle + half, level=0.9)


def judged(guesses, examples=WORLD):
    found = judge_guesses(examples, guesses, num_resamples=5)
    return {field.name: getattr(found, field.name).value for field in fields(Judged)}


def test_a_guess_that_knows_everything_is_perfect():
    found = judged(
        [
            Guess(
                order=each.accuracy,
                probability=float(each.gain > 0),
                gain=around(each.gain, 0.01),
                accuracy=around(each.accuracy, 0.02),
                scratch=around(each.scratch, 0.03),
            )
            for each in WORLD
        ]
    )
    assert found == pytest.approx(
        dict(
            auroc=1,
            balanced_accuracy=1,
            brier=0,
            error=0,
            coverage=1,
            width=2,
            accuracy_error=0,
            accuracy_coverage=1,
            scratch_error=0,
            scratch_coverage=1,
            weighted_tau=1,
            kendall_tau=1,
            regret=0,
        ),
        abs=1e-9,
    )


def test_a_guess_the_other_way_round_is_as_wrong_as_can_be():
    found = judged(
        [
            Guess(
                order=-each.accuracy,
                probability=float(each.gain < 0),
                gain=around(each.gain, 0.1, 0.2),
                accuracy=around(each.accuracy, 0.1, -0.3),
                scratch=around(each.scratch, 0.1, 0.4),
            )
            for each in WORLD
        ]
    )
    worst = [
        100
        * np.ptp(
            [each.accuracy for each in WORLD if (each.target, each.situation.num_rows) == place]
        )
        for place in sorted({(each.target, each.situation.num_rows) for each in WORLD})
    ]
    expected = dict(
        auroc=0,
        balanced_accuracy=0,
        brier=1,
        error=20,
        coverage=0,
        width=20,
        accuracy_error=30,
        accuracy_coverage=0,
        scratch_error=40,
        scratch_coverage=0,
        weighted_tau=-1,
        kendall_tau=-1,
        regret=np.mean(worst),
    )
    assert found == pytest.approx(expected)


def some_guesses():
    random, found = np.random.default_rng(0), []
    for each in WORLD:
        offs = 0.1 * random.normal(size=4)
        gain = each.gain + offs[0]
        found.append(
            Guess(
                order=each.accuracy + offs[1],
                probability=1 / (1 + math.exp(-20 * gain)),
                gain=around(each.gain, 0.12, offs[0]),
                accuracy=around(each.accuracy, 0.08, offs[2]),
                scratch=around(each.scratch, 0.16, offs[3]),
            )
        )
    return found


@pytest.mark.parametrize(
    ("name", "error", "coverage"),
    [
        ("gain", "error", "coverage"),
        ("accuracy", "accuracy_error", "accuracy_coverage"),
        ("scratch", "scratch_error", "scratch_coverage"),
    ],
)
def test_errors_and_coverage_are_those_of_each_interval(name, error, coverage):
    guesses, found = some_guesses(), judged(some_guesses())
    ends = [getattr(each, name) for each in guesses]
    wanted = interval_agreement(
        [each.value for each in ends],
        [each.low for each in ends],
        [each.high for each in ends],
        [getattr(each, name) for each in WORLD],
    )
    assert 0.3 < wanted.coverage < 1
    assert (found[error], found[coverage]) == pytest.approx(
        (100 * wanted.mean_absolute_error, wanted.coverage)
    )
    assert found["width"] == pytest.approx(24)


@pytest.mark.parametrize("silent", ["gain", "accuracy", "scratch"])
def test_what_a_guess_says_nothing_of_is_no_number(silent):
    """One guess that is silent is enough; the others are measured all the same."""
    guesses = some_guesses()
    whole = judged(guesses)
    lost = judged([replace(guesses[0], **{silent: None}), *guesses[1:]])
    names = {"gain": NOTHING_SAID, "accuracy": BOTH_ARMS[:2], "scratch": BOTH_ARMS[2:]}[silent]
    for name, value in lost.items():
        assert math.isnan(value) if name in names else value == whole[name], name


def test_measures_are_those_of_the_agreement():
    guesses = some_guesses()
    found = judged(guesses)
    gains = [each.gain for each in WORLD]
    sign = sign_agreement(
        [guess.probability for guess in guesses],
        gains,
        [each.noise for each in WORLD],
        probabilities=True,
    )
    assert (found["auroc"], found["brier"]) == pytest.approx((sign.auroc, sign.brier))
    datasets = {}
    for each in WORLD:
        some = [
            place
            for place, other in enumerate(WORLD)
            if (other.target, other.situation) == (each.target, each.situation)
        ]
        tau = ranking_agreement(
            [guesses[place].order for place in some],
            [WORLD[place].accuracy for place in some],
        ).weighted_tau
        datasets.setdefault(each.dataset, {})[each.target, each.situation] = tau
    means = [np.mean(list(taus.values())) for taus in datasets.values()]
    assert len(means) == 4
    assert found["weighted_tau"] == pytest.approx(np.mean(means))


def test_intervals_of_the_measures_draw_whole_data_sets():
    """With one data set that is guessed well and others that are not, anything may be drawn."""
    guesses = [
        Guess(order=0.0, gain=around(each.gain, 0.1, 0.0 if each.dataset == OTHER else 0.5))
        for each in WORLD
    ]
    found = judge_guesses(WORLD, guesses, num_resamples=200)
    assert found.coverage.value == pytest.approx(0.25)
    assert found.coverage.low == 0
    assert found.coverage.high >= 0.5
    drawn_rows_apart = 0.25 + 2 * math.sqrt(0.25 * 0.75 / len(WORLD))
    assert found.coverage.high > drawn_rows_apart


def test_to_say_that_transfer_always_helps_is_right_as_often_as_it_does():
    found = judged(always_helps(WORLD))
    clear = [each.gain > 0 for each in WORLD if abs(each.gain) > each.noise]
    assert 0.3 < np.mean(clear) < 0.99
    assert found["brier"] == pytest.approx(1 - np.mean(clear))
    assert found["auroc"] == 0.5
    for name in (*NOTHING_SAID, *BOTH_ARMS):
        assert math.isnan(found[name])


def test_a_forecast_is_a_guess():
    ((_, forecast),) = list(left_out(WORLD, of_dataset, "gradients"))[:1]
    guess = guess_of(forecast)
    assert guess.order == forecast.accuracy.value
    assert guess.probability == 1 - forecast.negative_transfer_probability
    assert (guess.gain, guess.accuracy, guess.scratch) == (
        forecast.gain,
        forecast.accuracy,
        forecast.scratch_accuracy,
    )


def tangent_gain(example):
    return example.evidence.difference("tangent_probe")


def test_a_line_on_one_number_does_not_see_the_data_set_that_it_guesses():
    before = guesses_by(WORLD, tangent_gain)
    changed = [
        replace(each, accuracy=1 - each.accuracy) if each.target == "target 2" else each
        for each in WORLD
    ]
    after = guesses_by(changed, tangent_gain)
    for each, one, other in zip(WORLD, before, after, strict=True):
        assert one.order == other.order == tangent_gain(each)
        same = (one.gain, one.probability) == (other.gain, other.probability)
        assert same == (each.dataset == OTHER)
        assert one.accuracy is one.scratch is None


def test_a_line_may_be_fitted_on_others_that_are_known():
    own = [each for each in WORLD if each.source == WORLD[0].source]
    guesses = guesses_by(own, tangent_gain, known=WORLD)
    whole = {
        (each.source, each.target, each.situation): guess
        for each, guess in zip(WORLD, guesses_by(WORLD, tangent_gain), strict=True)
    }
    assert guesses == [whole[each.source, each.target, each.situation] for each in own]


def test_a_number_that_says_something_beats_one_that_does_not():
    good, blind = (
        judged(guesses_by(WORLD, predictor)) for predictor in (tangent_gain, lambda each: 1.0)
    )
    assert good["error"] < 0.8 * blind["error"]
    assert good["brier"] < blind["brier"]
    assert good["width"] < blind["width"]
    assert good["auroc"] > 0.7 > blind["auroc"]
    ordered = guesses_by(WORLD, tangent_gain, order=lambda each: each.accuracy)
    assert judged(ordered)["regret"] == 0
    assert judged(ordered)["error"] == good["error"]


def test_a_number_that_is_missing_counts_as_the_mean():
    lost = guesses_by(WORLD, lambda each: math.nan if each is WORLD[0] else tangent_gain(each))
    others = [tangent_gain(each) for each in WORLD if each.dataset != WORLD[0].dataset]
    mean = guesses_by(
        WORLD, lambda each: float(np.mean(others)) if each is WORLD[0] else tangent_gain(each)
    )
    assert there(lost[0].gain).value == pytest.approx(there(mean[0].gain).value)
    assert math.isnan(lost[0].order)
    assert all(math.isfinite(there(guess.gain).value) for guess in lost)
