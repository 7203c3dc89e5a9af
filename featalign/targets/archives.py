"""Targets from .npz files."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.raw import Part, Raw

CONTENTS = (
    "`inputs` and `labels`, or `x_train`, `y_train`, and if there are any `x_test`, `y_test`, "
    "`classes`"
)


def open_archive(place: str) -> Raw:
    """A target from an .npz file.

    The file holds `inputs` and `labels`, or `x_train`, `y_train`, `x_test`, `y_test` and `classes`.
    `x_test` and `y_test` become the held-out rows. `classes`, optional in both forms, are the class
    names.
    """
    path = Path(place)
    if not zipfile.is_zipfile(path):
        raise FeatalignError(
            f"{path}: expected an .npz file, got something else or a part of one; save it again "
            "with numpy.savez"
        )
    try:
        with (
            open(path, "rb") as file,
            np.load(file, allow_pickle=False) as archive,
        ):  # numpy would leave a damaged file open
            arrays = {key: _member(path, archive, key) for key in archive.files if key in _KNOWN}
            found = archive.files
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, RuntimeError) as error:
        if isinstance(error, FeatalignError):
            raise
        raise FeatalignError(
            f"{path}: expected an .npz file, but it cannot be read ({error}); save it again with "
            "numpy.savez"
        ) from error
    inputs, labels = ("x_train", "y_train") if "x_train" in arrays else ("inputs", "labels")
    if inputs not in arrays or labels not in arrays:
        raise FeatalignError(
            f"{path}: expected {CONTENTS}, got {', '.join(found) or 'nothing'}; save it with these "
            "names"
        )
    if ("x_test" in arrays) != ("y_test" in arrays):
        present, absent = ("x_test", "y_test") if "x_test" in arrays else ("y_test", "x_test")
        raise FeatalignError(
            f"{path}: expected both x_test and y_test, got {present} without {absent}; add it or "
            "leave both out"
        )
    held_out = None
    if "x_test" in arrays:
        held_out = Part(arrays["x_test"], arrays["y_test"], "x_test")
    classes = arrays["classes"].tolist() if "classes" in arrays else None
    return Raw(Part(arrays[inputs], arrays[labels], inputs), held_out, classes)


_KNOWN = ("inputs", "labels", "x_train", "y_train", "x_test", "y_test", "classes")


def _member(path: Path, archive: np.lib.npyio.NpzFile, key: str) -> np.ndarray:
    try:
        return archive[key]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise FeatalignError(
            f"{path}: expected plain arrays, got an object array as `{key}`, which could run code "
            "when read; "
            "save it as numbers or as strings of type str (array.astype(str))"
        ) from error
