"""The data sets that come with scikit-learn, by name and without a download."""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from featalign.errors import FeatalignError
from featalign.nearest import did_you_mean
from featalign.targets.raw import Part, Raw

NAMES = ("digits", "iris", "wine", "breast_cancer", "diabetes", "linnerud")


def open_bundled(address: str) -> Raw:
    """One of scikit-learn's bundled sets.

    `digits` holds 8x8 images, and the others plain arrays; `diabetes` and `linnerud` are for
    regression.

    >>> open_bundled("sklearn:wine").train.inputs.shape
    (178, 13)
    """
    name = address.removeprefix("sklearn:")
    if name not in NAMES:
        raise FeatalignError(
            f"{address}: scikit-learn has no bundled set {name!r}; {did_you_mean(name, NAMES)}"
            "there are "
            f"{', '.join(f'sklearn:{known}' for known in NAMES)}"
        )
    if name == "digits" and (table := _digits_table()) is not None:
        names = [str(digit) for digit in range(10)]
        return Raw(Part(_pixels(table[:, :-1]), table[:, -1].astype(np.int64)), None, names)
    from sklearn import datasets

    bundle = getattr(datasets, f"load_{name}")()
    if name in ("diabetes", "linnerud"):
        return Raw(Part(bundle.data, np.asarray(bundle.target, np.float64)))
    inputs = _pixels(bundle.data) if name == "digits" else bundle.data
    names = [str(class_name) for class_name in bundle.target_names]
    return Raw(Part(inputs, bundle.target), None, names)


def _pixels(rows: np.ndarray) -> np.ndarray:
    return np.round(rows.reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)


def _digits_table() -> np.ndarray | None:
    """The table of digits inside scikit-learn, with 64 pixels and the label in each row.

    Its file is read directly, because importing the package takes over a second.
    """
    spec = find_spec("sklearn")
    path = Path(spec.origin or "").parent / "datasets" / "data" / "digits.csv.gz" if spec else None
    if path is None or not path.is_file():
        return None
    with gzip.open(path, "rt") as file:
        return np.loadtxt(file, delimiter=",")
