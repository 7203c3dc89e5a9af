"""Images that zoo sources were pretrained on, and images of targets.

They are pixels in [0, 1] of the zoo's size.
"""

from pathlib import Path

import numpy as np

from experiments.study.targets import decoded
from experiments.zoo.recipes import Recipe
from featalign.sources.preprocessing import ImagePreprocessing
from featalign.sources.zoo_networks import IMAGE_SIZE
from featalign.targets.loaders import load_target

PLAIN = ImagePreprocessing(IMAGE_SIZE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
SMALL = 8


def pretraining_pixels(recipe: Recipe, data: Path, rows: int) -> np.ndarray:
    """Pixels (rows, 32, 32, 3) of a draw of the training images of a recipe.

    They are spoiled as the recipe's training had them (experiments/zoo/datasets.py).
    """
    random = np.random.default_rng(0)
    stored, total = _open(data / f"{recipe.dataset}.npz")
    chosen = random.permutation(total)[: recipe.limit] if recipe.limit else np.arange(total)
    order = (
        random.permutation(IMAGE_SIZE**2) if recipe.spoil == "pixels" else np.arange(IMAGE_SIZE**2)
    )
    if recipe.spoil == "noise":
        return random.random((rows, IMAGE_SIZE, IMAGE_SIZE, 3), np.float32)
    chosen = np.sort(np.random.default_rng(1).permutation(chosen)[:rows])
    pixels = PLAIN([stored(int(row)) for row in chosen])
    return pixels.reshape(len(pixels), -1, 3)[:, order].reshape(pixels.shape)


def _open(path: Path):
    """A function from the number of a training row to its image, and how many there are."""
    if path.exists():
        with np.load(path) as arrays:
            images = arrays["x_train"]
        return images.__getitem__, len(images)
    with np.load(path.with_name(f"{path.stem}_jpeg.npz")) as arrays:
        jpeg, offsets, train = arrays["jpeg"], arrays["offsets"], np.flatnonzero(arrays["is_train"])

    def image(row: int) -> np.ndarray:
        return decoded(jpeg, offsets, train[row])

    return image, len(train)


def target_pixels(name: str, data: Path, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (rows, 32, 32, 3) and labels (rows,) of a draw of a target's training images."""
    if name == "digits":
        target = load_target("sklearn:digits", subset=rows, seed=0)
        return PLAIN(target.inputs.read(np.arange(len(target)))), target.labels
    path = data / f"{name}.npz"
    stored, total = _open(path)
    with np.load(path if path.exists() else path.with_name(f"{name}_jpeg.npz")) as arrays:
        labels = (
            arrays["y_train"]
            if path.exists()
            else arrays["labels"][np.flatnonzero(arrays["is_train"])]
        )
    chosen = np.sort(np.random.default_rng(1).permutation(total)[:rows])
    return PLAIN([stored(int(row)) for row in chosen]), labels[chosen]


def small(pixels: np.ndarray) -> np.ndarray:
    """Pixels averaged to 8 x 8, as rows (N, 192): what pixel distances compare."""
    block = IMAGE_SIZE // SMALL
    return (
        pixels.reshape(len(pixels), SMALL, block, SMALL, block, 3)
        .mean(axis=(2, 4))
        .reshape(len(pixels), -1)
    )
