import json

import numpy as np
import pytest
from safetensors.numpy import load_file

import experiments.zoo.__main__ as zoo
from experiments.zoo.datasets import Arrays, load_arrays
from experiments.zoo.recipes import RECIPES, Recipe
from featalign.sources.preprocessing import ImagePreprocessing

pytestmark = pytest.mark.slow

RECIPE = Recipe("tiny", "plain", "made up", "coloured squares", flip=True)


def arrays():
    random = np.random.default_rng(0)
    labels = np.arange(60, dtype=np.int32) % 3
    images = (random.normal(size=(60, 32, 32, 3)) + 3 * np.eye(3)[labels][:, None, None, :]).astype(
        np.float32
    )
    preprocessing = ImagePreprocessing(32, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))
    return Arrays(
        images[:40],
        labels[:40],
        images[40:50],
        labels[40:50],
        images[50:],
        labels[50:],
        3,
        preprocessing,
    )


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """Trains in a folder of its own; `stop` interrupts after so many epochs."""
    monkeypatch.setattr(zoo, "load_arrays", lambda recipe, data: arrays())
    monkeypatch.setattr(zoo, "MIN_STEPS", 2)
    monkeypatch.setattr(zoo, "BATCH", 16)
    monkeypatch.setattr(zoo, "MAX_EPOCHS", 3)

    def train(name, stop=None):
        monkeypatch.setattr(zoo, "WEIGHTS", tmp_path / name)
        monkeypatch.setattr(zoo, "CHECKPOINTS", tmp_path / f"{name} checkpoints")
        told = []

        def tell(*words, **settings):
            told.append(words)
            if len(told) == stop:
                raise KeyboardInterrupt

        monkeypatch.setattr(zoo, "print", tell, raising=False)
        zoo.train(RECIPE, tmp_path)
        return tmp_path / name

    return train


def test_an_interrupted_training_goes_on_to_the_same_weights(trained):
    whole = trained("whole")
    with pytest.raises(KeyboardInterrupt):
        trained("resumed", stop=1)
    resumed = trained("resumed")
    first, second = (load_file(folder / "tiny.safetensors") for folder in (whole, resumed))
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol=1e-5, atol=1e-6)
    card = json.loads((resumed / "tiny.json").read_text())
    assert len(card["training"]["validation_curve"]) == 3
    assert card["layers"] == ["stem", "stage_1", "stage_2", "stage_3", "features"]
    assert 0 <= card["accuracy"]["value"] <= 1


def test_shifts_and_flips_keep_the_picture():
    image = np.zeros((200, 8, 8, 3), np.float32)
    image[:, 3:5, 3:5] = 1
    changed = zoo.augmented(image, RECIPE, np.random.default_rng(0))
    assert changed.shape == image.shape
    assert (changed.sum(axis=(1, 2, 3)) == 12).all()
    assert not (changed == image).all()


def test_spoiled_sets(tmp_path):
    random = np.random.default_rng(0)
    images, labels = random.integers(0, 256, (80, 32, 32, 3), np.uint8), np.arange(80) % 4
    np.savez(
        tmp_path / "set.npz", x_train=images, y_train=labels, x_test=images[:20], y_test=labels[:20]
    )
    honest = load_arrays(Recipe("a", "resnet", "set", ""), tmp_path)
    assert (len(honest.train_labels), len(honest.validation_labels), len(honest.test_labels)) == (
        72,
        8,
        20,
    )
    np.testing.assert_allclose(honest.train_images.mean(axis=(0, 1, 2)), 0, atol=0.05)
    pixels = load_arrays(Recipe("b", "resnet", "set", "", spoil="pixels"), tmp_path)
    np.testing.assert_allclose(
        np.sort(pixels.test_images.ravel()), np.sort(honest.test_images.ravel()), atol=2e-3
    )
    assert not np.allclose(pixels.test_images, honest.test_images)
    spoiled = load_arrays(Recipe("c", "resnet", "set", "", spoil="labels", limit=40), tmp_path)
    assert len(spoiled.train_labels) == 40
    assert spoiled.train_images is spoiled.test_images
    noise = load_arrays(Recipe("d", "resnet", "set", "", spoil="noise"), tmp_path)
    assert (
        abs(np.corrcoef(noise.train_images[0].ravel(), honest.train_images[0].ravel())[0, 1]) < 0.1
    )


def test_recipes_have_names_of_their_own():
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)
