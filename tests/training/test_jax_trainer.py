"""The JAX trainer against plain optax, one step after the other.

The two ways to train against each other.
"""

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import featalign as fa
from featalign.records.setting import Setting
from featalign.training.batches import plan_of
from featalign.training.course import train, train_together
from featalign.training.frameworks import trainer_of
from featalign.training.jax_step import Network, shifted
from featalign.training.jax_trainer import JaxTrainer
from featalign.training.measures import accuracy
from featalign.training.rows import split_rows
from featalign.training.trainer import HEAD, Job, Rows, Trained
from tests.training.examples import WIDTH, rows_of

ROWS = rows_of(50, 0)


def network(parameters, inputs):
    hidden = jnp.tanh(inputs @ parameters["first"]["kernel"] + parameters["first"]["bias"])
    return {"hidden": hidden, "features": hidden @ parameters["second"]["kernel"]}


TRAINER = JaxTrainer(Network(network, "features"))


def drawn(seed):
    random = np.random.default_rng(seed)
    shapes = {"first": {"kernel": (WIDTH, 8), "bias": (8,)}, "second": {"kernel": (8, 5)}}
    return jax.tree.map(
        lambda shape: (0.4 * random.normal(size=shape)).astype(np.float32),
        shapes,
        is_leaf=lambda leaf: isinstance(leaf, tuple),
    )


START = drawn(1)
# in the order of the leaves of (parameters, head)
NAMES = (
    "network.first.bias",
    "network.first.kernel",
    "network.second.kernel",
    "head.bias",
    "head.kernel",
)


class Recorded:
    """Inputs that remember which rows were asked for."""

    def __init__(self, values):
        self.values, self.asked = values, []

    def __getitem__(self, rows):
        self.asked.append(np.array(rows))
        return self.values[rows]


def recorded(rows=ROWS):
    return Rows(Recorded(rows.inputs), rows.labels)


def batches_of(rows, setting):
    """The batches that were asked for; before them one row is, to learn the width of the layer."""
    first, *batches = rows.inputs.asked
    assert len(first) == 1
    assert len(batches) == setting.steps
    return batches


def rate_at(step, setting):
    """The learning rate at a step.

    It rises along a straight line over the first tenth, times a cosine that falls to nothing;
    without decay it rises over ten steps, to stay there.
    """
    if not setting.decay:
        return setting.learning_rate * min(1.0, (step + 1) / 10)
    rise = min(1.0, (step + 1) / (setting.steps / 10))
    return setting.learning_rate * rise * 0.5 * (1 + np.cos(np.pi * step / setting.steps))


def slow_train(start, rows, setting, batches, anchor=None):
    """Plain optax: adamw, or a momentum and decay apart from it.

    The pull towards the anchor is written out.
    """
    head = {"kernel": jnp.zeros((5, 3)), "bias": jnp.zeros(3)}
    trained = (jax.tree.map(jnp.asarray, start), head)

    def rates(step):
        return jnp.asarray([rate_at(each, setting) for each in range(setting.steps)], jnp.float32)[
            step
        ]

    if setting.optimiser == "adamw":
        optimiser = optax.adamw(rates, weight_decay=setting.weight_decay)
    else:
        optimiser = optax.chain(
            optax.trace(decay=0.9),
            optax.add_decayed_weights(setting.weight_decay),
            optax.scale_by_schedule(lambda step: -rates(step)),
        )
    state = optimiser.init(trained)
    anchor = trained[0] if anchor is None else anchor

    @jax.jit
    def step_of(trained, state, inputs, labels, rate):
        def loss_of(trained):
            likelihoods = jax.nn.log_softmax(
                network(trained[0], inputs)["features"] @ trained[1]["kernel"] + trained[1]["bias"]
            )
            own = likelihoods[jnp.arange(len(labels)), labels]
            return -(
                (1 - setting.label_smoothing) * own
                + setting.label_smoothing * likelihoods.mean(axis=1)
            ).mean()

        loss, slope = jax.value_and_grad(loss_of)(trained)
        updates, state = optimiser.update(slope, state, trained)
        moved: Any = optax.apply_updates(trained, updates)
        pulled = jax.tree.map(
            lambda now, before, then: now - rate * setting.towards_start * (before - then),
            moved[0],
            trained[0],
            anchor,
        )
        return (pulled, moved[1]), state, loss

    losses = []
    for step, batch in enumerate(batches):
        trained, state, loss = step_of(
            trained, state, rows.inputs[batch], rows.labels[batch], rate_at(step, setting)
        )
        losses.append(float(loss))
    return trained, losses


def assert_trees_close(found, wanted, **tolerance):
    assert jax.tree.structure(found) == jax.tree.structure(wanted)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, other, **tolerance)


def distance(found, other):
    return max(
        float(np.abs(np.asarray(one) - np.asarray(two)).max())
        for one, two in zip(jax.tree.leaves(found), jax.tree.leaves(other), strict=True)
    )


SETTINGS = {
    "adamw": Setting(0.02, steps=43, batch_size=16, weight_decay=0.0, seed=1),
    "adamw decay": Setting(0.02, steps=43, batch_size=16, weight_decay=2.0, seed=2),
    "sgd": Setting(0.1, steps=43, batch_size=16, optimiser="sgd", weight_decay=0.0, seed=3),
    "sgd decay": Setting(0.1, steps=43, batch_size=16, optimiser="sgd", weight_decay=0.3, seed=4),
    "towards start": Setting(
        0.02, steps=43, batch_size=16, weight_decay=0.1, towards_start=3.0, seed=5
    ),
    "label smoothing": Setting(
        0.02, steps=43, batch_size=16, weight_decay=0.0, label_smoothing=0.3, seed=6
    ),
    "few steps, one batch": Setting(0.02, steps=3, batch_size=64, seed=7),
    "no decay": Setting(0.02, steps=43, batch_size=16, weight_decay=0.0, seed=1, decay=False),
    "no decay, few steps": Setting(
        0.02, steps=4, batch_size=16, weight_decay=0.0, seed=1, decay=False
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_training_is_what_plain_optax_does(name):
    setting, rows = SETTINGS[name], recorded()
    found = train(TRAINER, Job(START, rows, setting), 3)
    wanted, losses = slow_train(START, ROWS, setting, batches_of(rows, setting))
    assert_trees_close((found.parameters, found.head), wanted, rtol=2e-4, atol=2e-5)
    parts = [np.mean(part) for part in np.array_split(losses, min(10, setting.steps))]
    np.testing.assert_allclose(found.losses, parts, rtol=1e-4)
    assert found.step == setting.steps
    assert distance(found.parameters, START) > 0.01


def test_without_decay_a_longer_training_begins_as_a_shorter_one():
    points = {}
    for steps in (20, 40):
        kept = {}
        setting = Setting(0.02, steps=steps, batch_size=16, seed=1, decay=False)
        train(
            TRAINER,
            Job(START, ROWS, setting),
            3,
            watch=lambda _, trained, kept=kept: kept.update(
                {trained.step: jax.device_get(trained.head)}
            ),
        )
        points[steps] = kept
    shared = set(points[20]) & set(points[40])
    assert shared == {4, 8, 12, 16, 20}
    for step in shared:
        assert_trees_close(points[20][step], points[40][step], rtol=1e-6)


def test_the_pull_is_towards_the_anchor_of_the_job():
    setting, rows, anchor = (
        replace(SETTINGS["towards start"], weight_decay=0.0),
        recorded(),
        drawn(8),
    )
    found = train(TRAINER, Job(START, rows, setting, anchor=anchor), 3)
    wanted, _ = slow_train(START, ROWS, setting, batches_of(rows, setting), anchor)
    assert_trees_close((found.parameters, found.head), wanted, rtol=2e-4, atol=2e-5)


def test_each_option_changes_what_is_learnt():
    plain = replace(SETTINGS["adamw"], seed=0)
    reached = train(TRAINER, Job(START, ROWS, plain), 3).parameters
    for changes in (
        {"weight_decay": 1.0},
        {"towards_start": 1.0},
        {"label_smoothing": 0.2},
        {"optimiser": "sgd"},
        {"seed": 1},
        {"batch_size": 8},
    ):
        assert (
            distance(
                train(TRAINER, Job(START, ROWS, replace(plain, **changes)), 3).parameters,
                reached,
            )
            > 1e-3
        ), changes
    np.testing.assert_equal(
        distance(train(TRAINER, Job(START, ROWS, plain), 3).parameters, reached), 0
    )


def test_batches_are_epochs_without_replacement():
    setting, rows = Setting(0.01, steps=23, batch_size=16, seed=3), recorded()
    train(TRAINER, Job(START, rows, setting), 3)
    batches = batches_of(rows, setting)
    assert {len(batch) for batch in batches} == {16}
    drawn = np.concatenate(batches)
    epochs = [drawn[start : start + 50] for start in range(0, len(drawn) - 49, 50)]
    assert len(epochs) == 7
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(50))
    assert len({tuple(epoch) for epoch in epochs}) == 7
    assert len(set(drawn[350:])) == len(drawn) - 350


def test_a_batch_is_no_larger_than_the_rows():
    setting, rows = Setting(0.01, steps=4, batch_size=500), recorded()
    train(TRAINER, Job(START, rows, setting), 3)
    for batch in batches_of(rows, setting):
        np.testing.assert_array_equal(np.sort(batch), np.arange(50))


def test_rates_warm_up_and_decay():
    plan = plan_of(50, Setting(0.2, steps=200))
    rates = plan.rates
    assert (np.diff(rates[:20]) > 0).all()
    assert (np.diff(rates[20:]) < 0).all()
    assert 0 < rates[0] <= 0.2 / 20
    assert 0.19 < rates.max() <= 0.2
    assert 0 < rates[-1] < 1e-4
    assert not plan.shifts.any()
    np.testing.assert_allclose(
        rates, [rate_at(step, Setting(0.2, steps=200)) for step in range(200)], rtol=1e-5
    )


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_what_does_not_move_does_not_change_by_a_bit(optimiser):
    setting = Setting(
        0.05, steps=20, batch_size=16, optimiser=optimiser, weight_decay=0.5, towards_start=1.0
    )
    head = {"kernel": np.full((5, 3), 0.1, np.float32), "bias": np.zeros(3, np.float32)}
    for still in range(5):
        moving = frozenset(name for place, name in enumerate(NAMES) if place != still)
        job = Job(START, ROWS, setting, head, moving, anchor=drawn(4))
        for found in (
            train(TRAINER, job, 3),
            train_together(TRAINER, [job], 3)[0],
        ):
            leaves = zip(
                jax.tree.leaves((START, head)),
                jax.tree.leaves((found.parameters, found.head)),
                strict=True,
            )
            assert [np.array_equal(before, after) for before, after in leaves] == [
                place == still for place in range(5)
            ]


def test_what_a_job_starts_from_is_left_as_it_was():
    start = jax.tree.map(jnp.asarray, drawn(1))
    train(TRAINER, Job(start, ROWS, SETTINGS["sgd"]), 3)
    train_together(TRAINER, [Job(start, ROWS, SETTINGS["sgd"])], 3)
    assert distance(start, START) == 0


def test_images_are_shifted_by_an_eighth_of_their_side_with_the_edge_repeated():
    random = np.random.default_rng(0)
    images = random.normal(size=(40, 16, 24, 3)).astype(np.float32)
    shifts = random.uniform(-1, 1, (40, 2)).astype(np.float32)
    shifts[:4] = [[-1, -1], [1, 1], [0, 0], [-1, 1]]
    found = np.asarray(shifted(jnp.asarray(images), jnp.asarray(shifts)))
    tall, wide = 2, 3
    moves = set()
    for image, (down, right), moved in zip(images, shifts, found, strict=True):
        padded = np.pad(image, ((tall, tall), (wide, wide), (0, 0)), mode="edge")
        top, left = round(float(down * tall)) + tall, round(float(right * wide)) + wide
        moves.add((top - tall, left - wide))
        np.testing.assert_array_equal(moved, padded[top : top + 16, left : left + 24])
    assert {move for move, _ in moves} == set(range(-2, 3))
    assert {move for _, move in moves} == set(range(-3, 4))


def test_augmentation_shifts_each_image_of_each_batch_anew():
    """A network that is the place of a lit pixel; what comes in tells where it was shifted to."""
    seen = []

    def place(parameters, images):
        jax.debug.callback(
            lambda lit: seen.append(np.array(lit).reshape(len(lit), -1).argmax(axis=1)), images
        )
        return {"features": images.reshape(len(images), -1) * parameters["scale"]}

    images = np.zeros((12, 16, 16, 1), np.float32)
    images[:, 8, 8] = 1
    job = Job(
        {"scale": np.float32(1)},
        Rows(images, np.arange(12) % 3),
        Setting(0.01, steps=20, batch_size=12, augmentation=True, seed=4),
    )
    train(JaxTrainer(Network(place, "features")), job, 3)
    jax.effects_barrier()
    moved = np.stack(np.unravel_index(np.concatenate(seen), (16, 16))).astype(int) - 8
    assert moved.shape == (2, 240)
    for axis in moved:
        assert set(axis) == {-2, -1, 0, 1, 2}
        assert abs(axis.mean()) < 0.3
    assert abs(np.corrcoef(moved[0], moved[1])[0, 1]) < 0.25
    assert (np.asarray(seen).std(axis=0) > 0).all()
    assert (np.asarray(seen).std(axis=1) > 0).all()


def test_a_watch_sees_each_tenth_of_the_steps():
    seen: list[Trained] = []
    setting = Setting(0.02, steps=25, batch_size=16)
    found = train(
        TRAINER,
        Job(START, ROWS, setting),
        3,
        watch=lambda place, trained: seen.append(trained),
    )
    assert [trained.step for trained in seen] == [3, 6, 9, 12, 15, 17, 19, 21, 23, 25]
    assert [trained.losses for trained in seen] == [found.losses[:count] for count in range(1, 11)]
    places: list[tuple[int, int]] = []
    train_together(
        TRAINER,
        [Job(START, ROWS, setting)] * 2,
        3,
        watch=lambda place, trained: places.append((place, trained.step)),
    )
    assert places == [(place, trained.step) for trained in seen for place in (0, 1)]


def test_logits_of_any_number_of_rows():
    trained = Trained(
        START,
        {
            "kernel": np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32),
            "bias": np.ones(3, np.float32),
        },
        0,
        (),
    )
    for count in (1, 249, 250, 251, 600):
        rows = rows_of(1000, 3)
        found = TRAINER.logits(trained, rows.inputs[:count], count)
        wanted = (
            np.asarray(network(START, rows.inputs[:count])["features"]) @ trained.head["kernel"] + 1
        )
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
        hits = accuracy(TRAINER, trained, Rows(rows.inputs[:count], rows.labels[:count]))
        assert hits == (wanted.argmax(axis=1) == rows.labels[:count]).mean()


BASE = Setting(0.02, steps=43, batch_size=16, weight_decay=0.1, towards_start=0.1)
STILL = frozenset({"network.second.kernel", *HEAD})
GIVEN = {
    "kernel": np.random.default_rng(3).normal(size=(5, 3)).astype(np.float32),
    "bias": np.ones(3, np.float32),
}


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_together_is_one_after_the_other(optimiser):
    base = replace(BASE, optimiser=optimiser)
    jobs = {
        "plain": Job(START, ROWS, base),
        "rate": Job(START, ROWS, replace(base, learning_rate=0.002)),
        "seed": Job(START, ROWS, replace(base, seed=7)),
        "start": Job(drawn(2), ROWS, base),
        "moving": Job(START, ROWS, base, moving=STILL),
        "head": Job(START, ROWS, base, head=GIVEN),
        "anchor": Job(START, ROWS, base, anchor=drawn(5)),
        "decay": Job(
            START, ROWS, replace(base, weight_decay=1.0, towards_start=1.0, label_smoothing=0.2)
        ),
    }
    apart = {name: train(TRAINER, job, 3) for name, job in jobs.items()}
    for name, found in zip(jobs, train_together(TRAINER, list(jobs.values()), 3), strict=True):
        assert_trees_close(
            (found.parameters, found.head),
            (apart[name].parameters, apart[name].head),
            rtol=1e-3,
            atol=1e-4,
        )
        np.testing.assert_allclose(found.losses, apart[name].losses, rtol=1e-3)
        assert found.step == apart[name].step
        assert name == "plain" or distance(found.head, apart["plain"].head) > 1e-3, name


def test_together_with_rows_of_their_own():
    others = rows_of(50, 9)
    jobs = [
        Job(START, ROWS, BASE),
        Job(START, others, BASE),
        Job(START, Rows(ROWS.inputs, others.labels), BASE),
    ]
    apart = [train(TRAINER, job, 3) for job in jobs]
    for found, wanted in zip(train_together(TRAINER, jobs, 3), apart, strict=True):
        assert_trees_close(
            (found.parameters, found.head), (wanted.parameters, wanted.head), rtol=1e-3, atol=1e-4
        )
    assert min(distance(apart[0].head, other.head) for other in apart[1:]) > 1e-3


@pytest.mark.slow
def test_together_shifts_the_images_that_one_after_the_other_shifts():
    def flat(parameters, images):
        return {"features": images.reshape(len(images), -1) @ parameters["kernel"]}

    flattened = JaxTrainer(Network(flat, "features"))
    random = np.random.default_rng(2)
    rows = Rows(
        random.normal(size=(30, 16, 16, 1)).astype(np.float32),
        random.integers(0, 3, 30).astype(np.int32),
    )
    start = {"kernel": (0.1 * random.normal(size=(256, 5))).astype(np.float32)}
    setting = Setting(0.02, steps=12, batch_size=10, augmentation=True)
    jobs = [Job(start, rows, replace(setting, seed=seed)) for seed in (0, 1)]
    apart = [train(flattened, job, 3) for job in jobs]
    for found, wanted in zip(train_together(flattened, jobs, 3), apart, strict=True):
        assert_trees_close(
            (found.parameters, found.head), (wanted.parameters, wanted.head), rtol=1e-3, atol=1e-4
        )
    still = train(flattened, Job(start, rows, replace(setting, augmentation=False)), 3)
    assert distance(still.parameters, apart[0].parameters) > 1e-3


def test_together_on_a_convolutional_network():
    """Rounding differs in every step, so that trainings part slowly.

    What they reach is the same within noise.
    """
    source = fa.load_source("zoo/resnet_digits")
    trainer = trainer_of(source, "features")
    split = split_rows(fa.load_target("sklearn:digits", subset=200), source.reading)
    setting = Setting(2e-3, steps=24, batch_size=16, augmentation=True)
    jobs = [Job(trainer.parameters, split.training, replace(setting, seed=seed)) for seed in (0, 1)]
    apart = [train(trainer, job, 10) for job in jobs]
    found = train_together(trainer, jobs, 10)
    reached = [[accuracy(trainer, one, split.test) for one in way] for way in (apart, found)]
    assert np.mean(reached[0]) > 0.3, reached  # of ten classes
    assert abs(np.mean(reached[0]) - np.mean(reached[1])) <= 0.05, reached
    for one, other in zip(apart, found, strict=True):
        np.testing.assert_allclose(one.losses[:5], other.losses[:5], rtol=0.02)


def test_one_compilation_serves_all_settings_of_a_recipe():
    """Rates, penalties, seeds, what moves and what is pulled to are numbers, and not code."""
    traces = []

    def counted(parameters, inputs):
        traces.append(inputs.shape)
        return network(parameters, inputs)

    base = Setting(0.02, steps=12, batch_size=11, weight_decay=0.1, towards_start=0.1)
    jobs = [
        Job(START, ROWS, base, GIVEN),
        Job(START, ROWS, replace(base, learning_rate=0.01, seed=3, label_smoothing=0.1), GIVEN),
        Job(drawn(2), ROWS, replace(base, weight_decay=0.3, head_penalty=0.2), GIVEN),
        Job(START, ROWS, base, GIVEN, moving=STILL, anchor=drawn(5)),
    ]
    for job in jobs:
        train(JaxTrainer(Network(counted, "features")), job, 3)
    assert len(traces) == 1
    train_together(JaxTrainer(Network(counted, "features")), jobs[:2], 3)
    known = len(traces)
    for job in jobs:
        train_together(JaxTrainer(Network(counted, "features")), [job, jobs[0]], 3)
    assert len(traces) == known
    changed = replace(jobs[0], setting=replace(base, optimiser="sgd"))
    train(JaxTrainer(Network(counted, "features")), changed, 3)
    assert len(traces) == known + 1


def test_trainers_of_the_same_network_are_equal_whatever_their_weights():
    source = fa.load_source("zoo/resnet_digits")
    trainer = trainer_of(source, "features")
    first, second = (trainer_of(source.random_twin(seed), "features") for seed in (0, 1))
    assert first == second == trainer
    assert distance(first.parameters, second.parameters) > 1e-3
    assert trainer.on_features() == trainer.on_features() != trainer
    assert trainer_of(source, "stem") != trainer


def test_what_is_kept_outlasts_the_next_steps():
    kept: list[Trained] = []
    setting = Setting(0.02, steps=20, batch_size=16)
    train(
        TRAINER,
        Job(START, ROWS, setting),
        3,
        watch=lambda place, trained: kept.append(TRAINER.kept(trained)),
    )
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(kept[0].parameters))
    assert distance(kept[0].parameters, kept[-1].parameters) > 1e-3
