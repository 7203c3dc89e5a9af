"""How forecasts are judged.

This tests what is perfect, what is blind, and that simpler guesses do not see what they are judged
on.
"""

import math
from dataclasses import fields, replace

import numpy as np
import pytest

from featalign.study.agreement import interval_agreement, ranking_agreement, sign_agreement
from featalign.study.calibrate import left_out
from featalign.study.forecast_agreement import (
    Guess,
    Judged,
    always_helps,
    guess_of,
    guesses_by,
    judge_guesses,
)
from tests.forecasting.examples import world

WORLD = [replace(each, noise=0.01) for each in world(targets=4, sources=4, sizes=(100, 400))]


def judged(guesses, examples=WORLD):
    found = judge_guesses(examples, guesses, num_resamples=5)
    return {field.name: getattr(found, field.name).value for field in fields(Judged)}


def test_a_guess_that_knows_everything_is_perfect():
    found = judged(
        [
            Guess(
                each.accuracy, float(each.gain > 0), each.gain, each.gain - 0.01, each.gain + 0.01
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
                -each.accuracy,
                float(each.gain < 0),
                each.gain + 0.2,
                each.gain + 0.1,
                each.gain + 0.3,
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
        weighted_tau=-1,
        kendall_tau=-1,
        regret=np.mean(worst),
    )
    assert found == pytest.approx(expected)


def test_measures_are_those_of_the_agreement():
    random = np.random.default_rng(0)
    guesses = []
    for each in WORLD:
        gain = each.gain + 0.1 * random.normal()
        guesses.append(
            Guess(
                each.accuracy + 0.1 * random.normal(),
                1 / (1 + math.exp(-20 * gain)),
                gain,
                gain - 0.12,
                gain + 0.12,
            )
        )
    found = judged(guesses)
    gains = [each.gain for each in WORLD]
    sign = sign_agreement(
        [guess.probability for guess in guesses],
        gains,
        [each.noise for each in WORLD],
        probabilities=True,
    )
    assert (found["auroc"], found["brier"]) == pytest.approx((sign.auroc, sign.brier))
    of_gain = interval_agreement(
        [guess.gain for guess in guesses],
        [guess.low for guess in guesses],
        [guess.high for guess in guesses],
        gains,
    )
    assert (found["error"], found["coverage"], found["width"]) == pytest.approx(
        (100 * of_gain.mean_absolute_error, of_gain.coverage, 24)
    )
    targets = {}
    for target in {each.target for each in WORLD}:
        sizes = []
        for size in (100, 400):
            some = [
                place
                for place, each in enumerate(WORLD)
                if (each.target, each.situation.num_rows) == (target, size)
            ]
            sizes.append(
                ranking_agreement(
                    [guesses[place].order for place in some],
                    [WORLD[place].accuracy for place in some],
                ).weighted_tau
            )
        targets[target] = np.mean(sizes)
    assert found["weighted_tau"] == pytest.approx(np.mean(list(targets.values())))


def test_to_say_that_transfer_always_helps_is_right_as_often_as_it_does():
    found = judged(always_helps(WORLD))
    clear = [each.gain > 0 for each in WORLD if abs(each.gain) > each.noise]
    assert 0.3 < np.mean(clear) < 0.99
    assert found["brier"] == pytest.approx(1 - np.mean(clear))
    assert found["auroc"] == 0.5
    assert math.isnan(found["error"])
    assert math.isnan(found["coverage"])


def test_a_forecast_is_a_guess():
    ((_, forecast),) = list(left_out(WORLD, lambda each: each.target, "gradients"))[:1]
    guess = guess_of(forecast)
    assert guess.order == forecast.accuracy.value
    assert guess.probability == 1 - forecast.negative_transfer_probability
    assert (guess.gain, guess.low, guess.high) == (
        forecast.gain.value,
        forecast.gain.low,
        forecast.gain.high,
    )


def tangent_gain(example):
    return example.evidence.difference("tangent_probe")


def test_a_line_on_one_number_does_not_see_the_target_that_it_guesses():
    before = guesses_by(WORLD, tangent_gain)
    changed = [
        replace(each, accuracy=1 - each.accuracy) if each.target == "target 1" else each
        for each in WORLD
    ]
    after = guesses_by(changed, tangent_gain)
    for each, one, other in zip(WORLD, before, after, strict=True):
        assert one.order == other.order == tangent_gain(each)
        assert (
            (one.gain, one.low, one.probability) == (other.gain, other.low, other.probability)
        ) == (each.target == "target 1")


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
    ordered = guesses_by(WORLD, tangent_gain, order=lambda each: each.accuracy)
    assert judged(ordered)["regret"] == 0
    assert judged(ordered)["error"] == good["error"]


def test_a_number_that_is_missing_counts_as_the_mean():
    lost = guesses_by(WORLD, lambda each: math.nan if each is WORLD[0] else tangent_gain(each))
    others = [tangent_gain(each) for each in WORLD if each.target != WORLD[0].target]
    mean = guesses_by(
        WORLD, lambda each: float(np.mean(others)) if each is WORLD[0] else tangent_gain(each)
    )
    assert lost[0].gain == pytest.approx(mean[0].gain)
    assert math.isnan(lost[0].order)
    assert all(math.isfinite(guess.gain) for guess in lost)
