"""Gradual unfreezing: what moves in which stage, when it stops, and what it returns.

And how deep parameters lie.
"""

import re
from dataclasses import replace

import jax
import numpy as np
import pytest

import featalign as fa
from featalign.records.setting import Setting
from featalign.sources.capabilities import JAX, Trainable
from featalign.sources.source import Source
from featalign.sources.zoo import zoo_names
from featalign.training import gradual
from featalign.training.arms import Request
from featalign.training.course import train
from featalign.training.fine_tuning import Tuning, run_arms
from featalign.training.frameworks import trainer_of
from featalign.training.gradual import Watched, unfreeze
from featalign.training.jax_depths import depths
from featalign.training.measures import accuracy
from featalign.training.trainer import Job
from tests.training.examples import WIDTH, Network, small_source, split_of

pytestmark = pytest.mark.slow

SMALL = small_source()
SPLIT = split_of()
SETTING = Setting(0.02, steps=30, batch_size=16, weight_decay=0.5, towards_start=1.0)


class Stuck(Network):
    """Features that are nothing, whatever comes in, and that no gradient leads away from."""

    def __init__(self, seed):
        super().__init__(seed)
        for part in (self.first, self.second):
            part.kernel[...] = 0 * part.kernel[...]


def differentiable_of(source):
    found = source.differentiable
    assert found is not None
    return found


def stuck_source() -> Source:
    """It comes with nothing and starts from scratch as the small source does."""
    return fa.flax_source(
        "stuck",
        Stuck(0),
        example=SPLIT.training.inputs[0],
        logits_layer="logits",
        initialise=Network,
    )


def unfreeze_small(
    *, source=SMALL, setting=SETTING, floor=0.0, watch=lambda place, trained: None, layer="features"
):
    trainer = trainer_of(source, layer)
    job = Job(trainer.parameters, SPLIT.training, setting)
    return unfreeze(trainer, job, Watched(SPLIT, source.all_layers, floor), watch=watch)


def leaves_by_name(tree):
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): np.array(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def moved(before, after):
    return {name.split(".")[0] for name in before if not np.array_equal(before[name], after[name])}


@pytest.fixture
def stages(monkeypatch):
    """The jobs of the stages, and what they reached on the validation rows."""
    seen: list[tuple[Job, float]] = []

    def noted(trainer, job, num_classes, *, watch):
        trained = train(trainer, job, num_classes, watch=watch)
        seen.append((job, accuracy(trainer, trained, SPLIT.validation)))
        return trained

    monkeypatch.setattr(gradual, "train", noted)
    return seen


def test_the_head_moves_first_and_then_one_group_after_the_other():
    points: list[tuple[int, dict, dict]] = []
    source = differentiable_of(SMALL).parameters

    def watch(place, trained):
        return points.append(
            (trained.step, leaves_by_name(trained.parameters), leaves_by_name(trained.head))
        )

    assert unfreeze_small(watch=watch)[1] is None
    assert [step for step, _, _ in points] == list(range(1, 31))
    start = leaves_by_name(source)
    for stage, groups in enumerate((set(), {"second"}, {"first", "second"})):
        before = points[10 * stage - 1] if stage else (0, start, {})
        for place in range(10 * stage, 10 * stage + 10):
            _, parameters, head = points[place]
            assert moved(before[1], parameters) == groups, place
            assert place == 10 * stage or moved(points[place - 1][2], head) == {"kernel", "bias"}
    assert moved(start, points[-1][1]) == {"first", "second"}  # the source's own head never


def test_stages_share_the_steps_and_are_pulled_towards_the_source(stages):
    setting = replace(SETTING, steps=32, seed=5)
    unfreeze_small(setting=setting)
    jobs = [job for job, _ in stages]
    assert [job.setting.steps for job in jobs] == [11, 11, 10]
    assert len({job.setting.seed for job in jobs}) == 3
    for job in jobs:
        assert replace(job.setting, steps=32, seed=5) == setting
        assert job.anchor is differentiable_of(SMALL).parameters


def test_fewer_steps_than_groups(stages):
    trained, stopped = unfreeze_small(setting=replace(SETTING, steps=2))
    assert ([job.setting.steps for job, _ in stages], stopped) == ([1, 1], None)
    assert trained.step in (1, 2)


def test_a_layer_below_the_last_leaves_alone_what_lies_above(stages):
    trained, _ = unfreeze_small(layer="hidden")
    assert len(stages) == 2
    assert moved(
        leaves_by_name(differentiable_of(SMALL).parameters), leaves_by_name(trained.parameters)
    ) <= {"first"}
    unfreeze_small(layer="logits")
    assert len(stages) == 2 + 4


def test_it_stops_where_the_source_does_harm():
    parts: list[tuple[int, float]] = []
    watch = lambda place, trained: parts.append((trained.step, trained.losses[-1]))  # noqa: E731
    trained, stopped = unfreeze_small(source=stuck_source(), floor=0.9, watch=watch)
    largest = (SPLIT.validation.labels == 0).mean()
    assert stopped is not None
    shown = re.fullmatch(
        r"negative transfer: ([\d.]+)% of the validation rows right with (\d) of (\d) groups of "
        r"parameters unfrozen, "
        r"no better than the stage before, where training from scratch reaches 90.0%",
        stopped,
    )
    assert shown is not None, stopped
    assert float(shown[1]) == pytest.approx(100 * largest)
    assert int(shown[2]) == 1 < int(shown[3])
    assert parts[-1][0] == 20  # of 30: the third stage never came
    assert accuracy(trainer_of(SMALL, "features"), trained, SPLIT.validation) == largest


@pytest.mark.parametrize(
    ("above", "stops"), [(0.2, True), (0.10, False), (0.0, False), (-0.3, False)]
)
def test_it_stops_only_where_scratch_is_better_by_more_than_chance(above, stops):
    """Half of 40 rows: 1.64 standard errors are 0.12 to 0.13."""
    floor = float((SPLIT.validation.labels == 0).mean()) + above
    assert (unfreeze_small(source=stuck_source(), floor=floor)[1] is not None) == stops


def test_it_goes_on_while_it_gets_better_however_far_below_scratch(stages, monkeypatch):
    reached = iter([0.3, 0.4, 0.5])
    monkeypatch.setattr(gradual, "accuracy", lambda *rest: next(reached))
    assert unfreeze_small(floor=0.99)[1] is None
    assert len(stages) == 3


def test_the_first_stage_is_never_the_last(stages):
    _, stopped = unfreeze_small(source=stuck_source(), floor=0.99)
    assert stopped is not None
    assert len(stages) == 2


@pytest.mark.parametrize(
    "reached", [(0.9, 0.5, 0.7), (0.5, 0.9, 0.7), (0.5, 0.7, 0.9), (0.8, 0.8, 0.8)]
)
def test_the_best_stage_is_returned(monkeypatch, reached):
    points: dict[int, dict] = {}
    values = iter(reached)
    monkeypatch.setattr(gradual, "accuracy", lambda *rest: next(values))
    trained, _ = unfreeze_small(
        watch=lambda place, trained: points.__setitem__(
            trained.step, leaves_by_name((trained.parameters, trained.head))
        )
    )
    step = 10 * (int(np.argmax(reached)) + 1)
    assert trained.step == step
    for name, leaf in leaves_by_name((trained.parameters, trained.head)).items():
        np.testing.assert_array_equal(leaf, points[step][name])


def test_the_best_stage_is_returned_when_later_ones_spoil_it(stages):
    wild = replace(SETTING, learning_rate=3.0, optimiser="sgd", weight_decay=0.0, towards_start=0.0)
    trained, stopped = unfreeze_small(setting=wild)
    values = [value for _, value in stages]
    assert stopped is None
    assert values[-1] < max(values)
    assert accuracy(trainer_of(SMALL, "features"), trained, SPLIT.validation) == max(values)


TUNING = Tuning(Setting(0.02, steps=90, batch_size=16), (0.02,), together=False)


def arm_of(source, **options):
    (result,) = run_arms(source, [Request("gradual", SPLIT)], replace(TUNING, **options))
    return result


def test_the_arm_measures_itself_against_scratch():
    (scratch,) = run_arms(SMALL, [Request("scratch", SPLIT)], TUNING)
    floor = scratch.chosen.validation_accuracy
    assert floor > 0.75
    harmful = arm_of(stuck_source())
    assert harmful.stopped is not None
    assert harmful.stopped.startswith("negative transfer: ")
    assert harmful.stopped.endswith(f"training from scratch reaches {floor:.1%}")
    assert harmful.accuracy.value < scratch.accuracy.value
    assert harmful.curve[-1].step < 90
    good = arm_of(pretrained())
    assert good.stopped is None
    assert good.curve[-1].step == 90
    assert good.chosen.validation_accuracy >= floor - 0.1


def pretrained() -> Source:
    """The small source after it was trained on many rows of the same kind."""
    differentiable = differentiable_of(SMALL)
    many = split_of(600, seed=7)
    trained = train(
        trainer_of(SMALL, "features"),
        Job(differentiable.parameters, many.training, Setting(0.02, steps=200)),
        3,
    )
    return replace(
        SMALL,
        name="pretrained",
        trainable=Trainable(JAX, lambda: replace(differentiable, parameters=trained.parameters)),
    )


def test_a_source_that_helps_is_not_stopped_at_any_learning_rate():
    result = arm_of(pretrained(), learning_rates=(0.02, 0.005))
    assert all(run.curve[-1].step == 90 for run in result.runs)


GROUPS = {
    "resnet_digits": {"stem": 0, "norm": 0, "stage_1": 1, "stage_2": 2, "stage_3": 3, "head": 4},
    "plain": {"stem": 0, "stage_1": 1, "stage_2": 2, "stage_3": 3, "stage_4": 4, "head": 5},
    "vit": {"patches": 0, "positions": 0, "blocks.0": 1, "blocks.1": 2, "norm": 2, "head": 3},
}


@pytest.mark.parametrize("name", GROUPS)
def test_every_tensor_of_the_zoo_lies_where_it_stands(name):
    address = next(address for address in zoo_names() if address.startswith(name))
    source = fa.load_source(f"zoo/{address}")
    differentiable = differentiable_of(source)
    images = source.reading.prepare(
        np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    )
    found = leaves_by_name(
        depths(differentiable.apply, differentiable.parameters, images, source.layers)
    )
    assert jax.tree.structure(found) == jax.tree.structure(
        leaves_by_name(differentiable.parameters)
    )
    wanted = {
        tensor: next(
            place for part, place in GROUPS[name].items() if f"{tensor}.".startswith(f"{part}.")
        )
        for tensor in found
    }
    assert {tensor: int(place) for tensor, place in found.items()} == wanted
    assert set(wanted.values()) == set(range(len(source.layers) + 1))


def test_depths_of_the_small_network():
    differentiable = differentiable_of(SMALL)
    assert depths(
        differentiable.apply,
        differentiable.parameters,
        np.ones((2, WIDTH), np.float32),
        ("hidden", "features"),
    ) == {
        "first": {"bias": 0, "kernel": 0},
        "second": {"bias": 1, "kernel": 1},
        "head": {"bias": 2, "kernel": 2},
    }


def test_what_is_centred_still_depends_on_what_came_before():
    """The sum of centred numbers is nothing whatever they are."""

    def centred(parameters, inputs):
        low = inputs @ parameters["kernel"]
        return {"features": low - low.mean(axis=1, keepdims=True)}

    assert depths(
        centred,
        {"kernel": np.ones((2, 4), np.float32), "other": np.ones(2, np.float32)},
        np.eye(2, dtype=np.float32),
        ("features",),
    ) == {
        "kernel": 0,
        "other": 1,
    }
