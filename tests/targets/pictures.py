"""Small images and folders of them for the tests of targets."""

from pathlib import Path

import numpy as np
from PIL import Image


def random_images(num_images: int, shape: tuple[int, ...] = (6, 5, 3), seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num_images, *shape), dtype=np.uint8)


def write_folder(
    folder: Path, images: np.ndarray, names: list[str], extension: str = ".png"
) -> Path:
    """One folder per class, files numbered in the order of the rows."""
    for row, (image, name) in enumerate(zip(images, names, strict=True)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / name / f"{row:04d}{extension}")
    return folder
