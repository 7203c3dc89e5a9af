"""The data sets that come with scikit-learn, by name: nothing is downloaded."""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.target import Target

NAMES = ("digits", "iris", "wine", "breast_cancer", "diabetes", "linnerud")


def load_bundled(name: str, address: str) -> Target:
    """A target from scikit-learn's bundled sets.

    `digits` is 8x8 images, the others are plain arrays, `diabetes` and `linnerud` for regression.

    >>> load_bundled("wine", "sklearn:wine")
    Target('sklearn:wine', 178 arrays, 3 classes)
    """
    if name not in NAMES:
        raise FeatalignError(
            f"{address}: scikit-learn has no bundled set {name!r}; there are "
            f"{', '.join(f'sklearn:{known}' for known in NAMES)}"
        )
    if name == "digits" and (table := _digits_table()) is not None:
        images = np.round(table[:, :-1].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
        return Target.from_arrays(
            address, images, table[:, -1].astype(np.int64), [str(digit) for digit in range(10)]
        )
    from sklearn import datasets

    bundle = getattr(datasets, f"load_{name}")()
    if name in ("diabetes", "linnerud"):
        return Target.from_arrays(address, bundle.data, np.asarray(bundle.target, np.float64))
    inputs = (
        np.round(bundle.images * (255 / 16)).astype(np.uint8) if name == "digits" else bundle.data
    )
    return Target.from_arrays(
        address, inputs, bundle.target, [str(class_name) for class_name in bundle.target_names]
    )


def _digits_table() -> np.ndarray | None:
    """The file of digits inside scikit-learn, 64 pixels and the label in a row.

    It is read directly, since importing the package to read it takes over a second.
    """
    spec = find_spec("sklearn")
    path = Path(spec.origin or "").parent / "datasets" / "data" / "digits.csv.gz" if spec else None
    if path is None or not path.is_file():
        return None
    with gzip.open(path, "rt") as file:
        return np.loadtxt(file, delimiter=",")
