"""The training from scratch that anchors a forecast, as a source of logits."""

from dataclasses import replace

import numpy as np
import pytest

import featalign as fa
from featalign.training.anchor import LAYER, MOST_TEST, anchor_source, measured_part
from featalign.training.budget import SHORT
from tests.training.examples import clouds, small_source

CLOUDS = fa.Target.from_arrays("clouds", *clouds(90, 0))
TINY = replace(SHORT, learning_rates=(4e-3, 3e-2), epochs=1, min_steps=12)


def inputs_of(target):
    return target.inputs.read(np.arange(len(target)))


@pytest.mark.parametrize("seed", [0, 1])
def test_it_reaches_what_fine_tuning_from_scratch_does(seed):
    """On the same test rows, with the learning rate that validation chooses."""
    trained = fa.fine_tune(
        small_source(),
        CLOUDS,
        arm="scratch",
        steps=12,
        learning_rates=TINY.learning_rates,
        seed=seed,
        progress=False,
    )
    rows = measured_part(CLOUDS)
    anchor = anchor_source(small_source(), CLOUDS, budget=TINY, seed=seed)
    logits = anchor.embed(inputs_of(rows), [LAYER])[LAYER]
    assert logits.shape == (trained.num_test, 3) == (len(rows), 3)
    accuracy = (logits.argmax(axis=1) == rows.labels).mean()
    assert accuracy == pytest.approx(trained.accuracy.value)


def test_it_trains_when_it_is_first_asked_and_once(monkeypatch):
    from featalign.training import anchor as module

    asked, run_arms = [], module.run_arms
    monkeypatch.setattr(
        module,
        "run_arms",
        lambda *given, **more: (asked.append(given), run_arms(*given, **more))[1],
    )
    anchor = anchor_source(small_source(), CLOUDS, budget=replace(TINY, min_steps=2, epochs=1))
    assert asked == []
    one, other = (anchor.embed(inputs_of(CLOUDS)[:4])[LAYER] for _ in range(2))
    assert len(asked) == 1
    np.testing.assert_array_equal(one, other)
    _, (request,), tuning = asked[0]
    assert (request.arm, tuning.learning_rates) == ("scratch", TINY.learning_rates)
    assert tuning.setting.steps == 2  # one epoch of 58 rows


def test_the_weights_of_the_source_play_no_part():
    """Two sources of one architecture have one anchor."""
    first, second = (anchor_source(small_source(seed), CLOUDS, budget=TINY) for seed in (5, 6))
    assert first.revision == second.revision


def test_its_revision_names_what_the_training_depends_on():
    def revision(source=None, target=CLOUDS, **options):
        return anchor_source(source or small_source(), target, **options).revision

    found = [
        revision(),
        revision(seed=1),
        revision(budget=TINY),
        revision(budget=replace(TINY, rounds=4)),
        revision(target=CLOUDS.take(np.arange(80))),
        revision(target=replace(CLOUDS, held_out=CLOUDS.take(np.arange(30)))),
        revision(replace(small_source(), default_layer="hidden")),
    ]
    assert len(set(found)) == len(found)
    again = fa.Target.from_arrays("other name", *clouds(90, 0))
    assert revision(target=again) == found[0]


def test_it_is_measured_on_held_out_rows_or_a_fifth_and_on_a_thousand_at_most():
    own = fa.Target.from_arrays("held out", *clouds(40, 1))
    assert measured_part(replace(CLOUDS, held_out=own)).fingerprint == own.fingerprint
    assert len(measured_part(CLOUDS)) == 18
    points = np.random.default_rng(0).normal(size=(3000, 2)).astype(np.float32)
    many = fa.Target.from_arrays("many", points, np.arange(3000) % 4)
    found = measured_part(replace(CLOUDS, held_out=many))
    assert len(found) == MOST_TEST
    assert np.bincount(found.labels).tolist() == [250] * 4


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.linspace(0, 1, 90), "expected classes to fine-tune on, some is a task of regression"),
        (clouds(90, 0)[0][:, :2] > 0, "expected classes to fine-tune on, some is a task of multi"),
    ],
)
def test_what_cannot_be_trained_on_is_said_when_it_trains(labels, message):
    target = fa.Target.from_arrays("some", clouds(90, 0)[0], labels)
    anchor = anchor_source(small_source(), target)
    with pytest.raises(fa.FeatalignError, match=message):
        anchor.embed(inputs_of(target)[:4])
