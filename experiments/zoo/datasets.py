"""The image sets as preprocessed arrays, spoiled where the recipe says so."""

import io
import itertools
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from experiments.zoo.recipes import Recipe
from featalign.sources.preprocessing import ImagePreprocessing
from featalign.sources.zoo import read_card
from featalign.sources.zoo_networks import IMAGE_SIZE


@dataclass(frozen=True)
class Arrays:
    """Preprocessed images: to train on, to choose the epoch by, and to measure the accuracy on."""

    train_images: np.ndarray
    train_labels: np.ndarray
    validation_images: np.ndarray
    validation_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    num_classes: int
    preprocessing: ImagePreprocessing


@lru_cache(maxsize=1)
def _decoded(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training and test images and labels of NAME.npz or NAME_jpeg.npz."""
    if path.exists():
        stored = np.load(path)
        return stored["x_train"], stored["y_train"], stored["x_test"], stored["y_test"]
    stored = np.load(path.with_name(f"{path.stem}_jpeg.npz"))
    jpeg, offsets, labels, train = (
        stored["jpeg"],
        stored["offsets"],
        stored["labels"],
        stored["is_train"],
    )
    images = np.stack(
        [
            np.asarray(Image.open(io.BytesIO(jpeg[a:b].tobytes())))
            for a, b in itertools.pairwise(offsets)
        ]
    )
    return images[train], labels[train], images[~train], labels[~train]


def _grouped(
    images: np.ndarray,
    labels: np.ndarray,
    groups: tuple[tuple[int, ...], ...],
) -> tuple[np.ndarray, np.ndarray]:
    """The images of these classes alone, with the number of their group as the label."""
    place = {label: number for number, group in enumerate(groups) for label in group}
    keep = np.isin(labels, list(place))
    return images[keep], np.array([place[int(label)] for label in labels[keep]])


def _per_channel(values: np.ndarray) -> tuple[float, float, float]:
    red, green, blue = (round(float(value), 4) for value in values)
    return red, green, blue


def load_arrays(recipe: Recipe, folder: Path) -> Arrays:
    """The recipe's data, resized and standardised by its own mean and deviation."""
    train_images, train_labels, test_images, test_labels = _decoded(
        folder / f"{recipe.dataset}.npz"
    )
    if recipe.groups:
        train_images, train_labels = _grouped(train_images, train_labels, recipe.groups)
        test_images, test_labels = _grouped(test_images, test_labels, recipe.groups)
    random = np.random.default_rng(0)
    if recipe.limit:
        keep = random.permutation(len(train_labels))[: recipe.limit]
        train_images, train_labels = train_images[keep], train_labels[keep]
    plain = ImagePreprocessing(IMAGE_SIZE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    train_pixels, test_pixels = plain(train_images), plain(test_images)
    if recipe.spoil == "pixels":
        order = random.permutation(IMAGE_SIZE**2)
        train_pixels, test_pixels = (
            pixels.reshape(len(pixels), -1, 3)[:, order].reshape(pixels.shape)
            for pixels in (train_pixels, test_pixels)
        )
    if recipe.spoil == "noise":
        train_pixels = random.random(train_pixels.shape, np.float32)
    if recipe.spoil in ("labels", "noise"):
        train_labels = random.integers(0, train_labels.max() + 1, len(train_labels))
    if recipe.wrong_labels:
        wrong = random.random(len(train_labels)) < recipe.wrong_labels
        drawn = random.integers(0, train_labels.max() + 1, len(train_labels))
        train_labels = np.where(wrong, drawn, train_labels)
    mean, std = (
        _per_channel(train_pixels.mean((0, 1, 2), dtype=np.float64)),
        _per_channel(train_pixels.std((0, 1, 2), dtype=np.float64)),
    )
    if recipe.standard:
        stated = read_card(recipe.standard)["preprocessing"]
        mean, std = tuple(stated["mean"]), tuple(stated["std"])
    preprocessing = ImagePreprocessing(IMAGE_SIZE, mean, std)

    def standardised(pixels: np.ndarray) -> np.ndarray:
        return (pixels - np.asarray(mean, np.float32)) / np.asarray(std, np.float32)

    train, test = standardised(train_pixels), standardised(test_pixels)
    train_labels, test_labels = train_labels.astype(np.int32), test_labels.astype(np.int32)
    num_classes = int(train_labels.max()) + 1
    if recipe.spoil in ("labels", "noise"):
        return Arrays(
            train,
            train_labels,
            train,
            train_labels,
            train,
            train_labels,
            num_classes,
            preprocessing,
        )
    rows = random.permutation(len(train_labels))
    held, kept = np.split(rows, [len(rows) // 10])
    return Arrays(
        train[kept],
        train_labels[kept],
        train[held],
        train_labels[held],
        test,
        test_labels,
        num_classes,
        preprocessing,
    )
