"""The image sets of the study as archives that featalign loads.

`python -m experiments.study.targets` writes experiments/study/targets/NAME.npz.
"""

import io
from pathlib import Path

import numpy as np
from PIL import Image

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "images"
UNPACKED = Path(__file__).parent / "targets"
NAMES = (
    "cifar10",
    "mnist",
    "fashion_mnist",
    "omniglot_chars",
    "omniglot_alphabets",
    "tiny_imagenet25",
    "aid30",
    "dtd10",
    "flowers5",
    "magnetic_tile_defects",
)


def unpack(name: str) -> dict[str, np.ndarray]:
    """Training and test images, labels and class names of a set.

    The set lies as arrays or as JPEG files in an archive.
    """
    path = DATA / f"{name}.npz"
    if path.exists():
        with np.load(path) as stored:
            return {
                key: stored[key] for key in ("x_train", "y_train", "x_test", "y_test", "classes")
            }
    with np.load(DATA / f"{name}_jpeg.npz") as stored:
        jpeg, offsets, labels, train = (
            stored["jpeg"],
            stored["offsets"],
            stored["labels"].astype(np.int64),
            stored["is_train"].astype(bool),
        )
        classes = stored["classes"]
    images = np.stack([decoded(jpeg, offsets, row) for row in range(len(labels))])
    return {
        "x_train": images[train],
        "y_train": labels[train],
        "x_test": images[~train],
        "y_test": labels[~train],
        "classes": classes,
    }


def decoded(jpeg: np.ndarray, offsets: np.ndarray, row: int) -> np.ndarray:
    """The image of a row of an archive of JPEG files."""
    return np.asarray(Image.open(io.BytesIO(jpeg[offsets[row] : offsets[row + 1]].tobytes())))


def main() -> None:
    UNPACKED.mkdir(exist_ok=True)
    for name in NAMES:
        path = UNPACKED / f"{name}.npz"
        if not path.exists():
            np.savez(path, **unpack(name))  # type: ignore[arg-type]
        print(path)


if __name__ == "__main__":
    main()
