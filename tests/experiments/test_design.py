"""The targets and the design of the large study."""

import json
import tomllib

import numpy as np
import pytest

from experiments.study import derived, design, networks
from experiments.study.derived import TARGETS, Derived, derive
from experiments.study.networks.recipes import RECIPES
from experiments.zoo.datasets import load_arrays
from experiments.zoo.recipes import Recipe
from featalign.study.design import read_design
from tests.shared import needs_shared

GRID = tomllib.loads((design.HERE / "design.toml").read_text())


def stored(side=50, count=60, channels=3):
    random = np.random.default_rng(0)
    arrays = {"classes": np.array(["a", "b", "c", "d"])}
    for part in ("train", "test"):
        shape = (count, side, side, channels) if channels > 1 else (count, side, side)
        arrays |= {
            f"x_{part}": random.integers(0, 256, shape).astype(np.uint8),
            f"y_{part}": np.arange(count) % 4,
        }
    return arrays


def test_a_whole_data_set_is_as_it_comes():
    arrays = stored()
    found = derive(Derived("set", "set"), arrays)
    assert all(found[name] is arrays[name] for name in arrays)


def test_classes_are_joined_and_left_out():
    arrays = stored()
    found = derive(Derived("two", "set", ((0, 2), (3,))), arrays)
    assert found["classes"].tolist() == ["a+c", "d"]
    rows = np.flatnonzero(arrays["y_train"] != 1)
    np.testing.assert_array_equal(found["y_train"], (arrays["y_train"][rows] == 3).astype(int))
    np.testing.assert_array_equal(found["x_train"], arrays["x_train"][rows])


def test_later_classes_are_rarer_on_both_sides():
    found = derive(Derived("rare", "set", rarest=0.2), stored(count=400))
    for part in ("train", "test"):
        np.testing.assert_array_equal(np.bincount(found[f"y_{part}"]), [100, 73, 47, 20])


def test_wrong_labels_are_of_training_rows_alone():
    arrays = stored(count=200)
    found = derive(Derived("wrong", "set", wrong_labels=0.1), arrays)
    assert (found["y_train"] != arrays["y_train"]).sum() == 20
    np.testing.assert_array_equal(found["y_test"], arrays["y_test"])


@pytest.mark.parametrize("channels", [1, 3])
def test_spoiled_images_are_the_same_every_time_and_what_they_say(channels):
    arrays = stored(channels=channels)
    for change in ("pale", "noise", "small", "blur"):
        target = Derived(f"set_{change}", "set", change=change)
        first, again = (derive(target, arrays) for _ in range(2))
        np.testing.assert_array_equal(first["x_train"], again["x_train"])
        assert first["x_train"].dtype == np.uint8
        assert not np.array_equal(first["x_train"], arrays["x_train"])
    before = arrays["x_train"].astype(float)
    targets = [Derived(change, "set", change=change) for change in ("pale", "blur", "small")]
    changed = [derive(target, arrays) for target in targets]
    pale, blurred, small = (each["x_train"].astype(float) for each in changed)
    np.testing.assert_allclose(pale, 128 + 0.3 * (before - 128), atol=1)
    means = before.reshape(60, 25, 2, 25, 2, -1).mean((2, 4)).reshape(small.shape)
    np.testing.assert_allclose(small, means, atol=0.51)
    assert blurred.std() < 0.2 * before.std()
    assert abs(blurred.mean() - before.mean()) < 1


def test_blur_keeps_the_middle_of_a_point():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 14, 14] = 255
    found = derived.blur(image, np.random.default_rng(0))[0]
    rows, columns = np.nonzero(found)
    assert (rows.mean(), columns.mean()) == (14, 14)
    assert found.max() == found[14, 14] < 40


@pytest.mark.parametrize(("side", "small"), [(28, 14), (32, 16), (48, 24), (50, 25), (64, 21)])
def test_small_images_have_14_to_25_pixels(side, small):
    images = np.zeros((2, side, side, 3), np.uint8)
    assert derived.small(images, np.random.default_rng(0)).shape == (2, small, small, 3)


def test_grey_is_luminance():
    colour = np.array([[[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]]], np.uint8)
    assert derived.grey(colour, np.random.default_rng(0)).tolist() == [[[76, 150, 29, 255]]]


def test_targets_have_names_of_their_own_and_are_of_many_data_sets():
    assert len({target.name for target in TARGETS}) == len(TARGETS) >= 100
    assert len({target.dataset for target in TARGETS}) == 21


def test_every_beginning_is_balanced_over_data_sets():
    found = design.in_turn(TARGETS, np.random.default_rng(0))
    assert sorted(target.name for target in found) == sorted(target.name for target in TARGETS)
    for end in range(1, 85):  # while no data set has run out
        beginning = [target.dataset for target in found[:end]]
        counts = [beginning.count(dataset) for dataset in {target.dataset for target in TARGETS}]
        assert max(counts) - min(counts) <= 1


def test_what_was_drawn_least_for_its_weight_is_drawn_next():
    random, drawn = np.random.default_rng(0), {}
    weights = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 0.5}
    for _ in range(60):
        chosen = design.least_drawn("abcd", 2, drawn, weights.__getitem__, random)
        assert len(set(chosen)) == 2
    assert sum(drawn.values()) == 120
    assert [drawn[each] for each in "abcd"] == pytest.approx([34.3, 34.3, 34.3, 17.1], abs=2)


@pytest.mark.slow
@needs_shared
def test_the_design_that_is_committed_is_balanced_and_nothing_has_seen_its_target():
    stated = read_design(design.HERE / "design.jsonl")
    assert set(stated.datasets) == {target.name for target in TARGETS}
    assert len(stated.units) >= 1200
    assert len({unit.source for unit in stated.units}) >= 45
    assert 0.3 < np.mean([len(seeds) == 2 for seeds in stated.units.values()]) < 0.37
    for unit in stated.units:
        assert not design.has_seen(unit.source, stated.datasets[unit.target], GRID["seen"])
    units = list(stated.units)
    for part in (units[: len(units) // 4], units):
        sources = [unit.source for unit in part]
        counts = [sources.count(source) for source in {unit.source for unit in units}]
        assert max(counts) <= 4 * np.mean(counts)


def test_who_has_seen_what():
    seen = GRID["seen"]
    assert design.has_seen("zoo/resnet_digits", "mnist", seen)
    assert design.has_seen("zoo/resnet_random_labels", "cifar10", seen)
    assert design.has_seen("zoo/plain_characters", "omniglot", seen)
    assert design.has_seen(f"{design.OWN}resnet_faces", "fer7", seen)
    assert design.has_seen(f"{design.OWN}deep_resnet_characters", "omniglot", seen)
    assert not design.has_seen(f"{design.OWN}resnet_faces", "xsdd7", seen)
    assert not design.has_seen("zoo/resnet_tiny_imagenet", "tiny_imagenet25", seen)


def test_every_network_has_a_recipe_that_agrees_with_its_card():
    recipes = {recipe.name: recipe for recipe in RECIPES}
    assert len(recipes) == len(RECIPES)
    for name in networks.names():
        source, recipe = networks.load(name), recipes[name]
        card = json.loads((networks.FOLDER / f"{name}.json").read_text())
        assert (card["architecture"], card["pretraining"]["dataset"]) == (
            recipe.architecture,
            recipe.dataset,
        )
        assert card["training"]["command"] == f"python -m experiments.study.networks {name}"
        assert 30_000 <= (source.pretraining.num_parameters or 0) <= 1_000_000


def test_the_networks_are_few_megabytes():
    assert sum(path.stat().st_size for path in networks.FOLDER.iterdir() if path.is_file()) < 12e6


def test_recipes_join_classes_and_draw_labels_anew(tmp_path):
    arrays = stored(side=32, count=400)
    np.savez(tmp_path / "set.npz", **arrays)  # type: ignore[arg-type]
    joined = load_arrays(Recipe("a", "resnet", "set", "", groups=((1,), (0, 2))), tmp_path)
    assert joined.num_classes == 2
    assert len(joined.train_labels) + len(joined.validation_labels) == 300
    assert np.bincount(joined.test_labels).tolist() == [100, 200]
    honest = load_arrays(Recipe("b", "resnet", "set", ""), tmp_path)
    wrong = load_arrays(Recipe("c", "resnet", "set", "", wrong_labels=0.5), tmp_path)
    np.testing.assert_array_equal(honest.test_labels, wrong.test_labels)
    images = [image.tobytes() for image in honest.train_images]
    by_pixels = dict(zip(images, honest.train_labels, strict=True))
    same = [
        by_pixels[image.tobytes()] == label
        for image, label in zip(wrong.train_images, wrong.train_labels, strict=True)
        if image.tobytes() in by_pixels
    ]
    assert 0.5 < np.mean(same) < 0.75  # half of them drawn among four


def test_recipes_borrow_the_preprocessing_of_the_zoo(tmp_path):
    np.savez(tmp_path / "set.npz", **stored(side=32))  # type: ignore[arg-type]
    found = load_arrays(Recipe("a", "resnet", "set", "", standard="resnet_aerial"), tmp_path)
    assert found.preprocessing.mean == (0.4003, 0.4109, 0.3695)
