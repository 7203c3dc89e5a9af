"""Targets from .npz files."""

import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.raw import Part, Raw
from featalign.targets.splits import HELD_OUT, TRAIN, UNLABELLED, named, words_of

CONTENTS = (
    "`inputs` and `labels`, or `x_train`, `y_train`, and if there are any `x_test`, `y_test`, "
    "`classes`"
)


def open_archive(place: str) -> Raw:
    """A target from an .npz file.

    The file holds `inputs` and `labels`, or `x_train`, `y_train`, `x_test`, `y_test` and `classes`.

    `x_test` and `y_test` become the held-out rows; `classes`, in both forms optional, are the class
    names. Other split words will do, in any case (`X_val`, `train_images`, `TrainLabels`); the
    first held-out part of `splits.py` that has labels is taken, and what is left out is said.
    `groups` (or `groups_train` and `groups_test`) say which rows belong together.
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
        ):  # numpy leaves a damaged file open
            pairs = _pairs(path, archive.files)
            chosen = _chosen(path, pairs, archive.files)
            arrays = {key: _member(path, archive, key) for key in chosen.keys}
    except (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, RuntimeError) as error:
        if isinstance(error, FeatalignError):
            raise
        raise FeatalignError(
            f"{path}: expected an .npz file, but it cannot be read ({error}); save it again with "
            "numpy.savez"
        ) from error
    parts = [
        Part(arrays[inputs], arrays[labels], inputs, groups=arrays[groups] if groups else None)
        for inputs, labels, groups in chosen.parts
    ]
    classes = None if chosen.classes is None else np.atleast_1d(arrays[chosen.classes]).tolist()
    return Raw(parts[0], parts[1] if len(parts) > 1 else None, classes, chosen.remarks)


@dataclass(frozen=True)
class _Chosen:
    """The names of inputs, labels and groups of the parts that are read, and of the class names."""

    parts: tuple[tuple[str, str, str | None], ...]
    classes: str | None
    remarks: tuple[str, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Every name."""
        return tuple(filter(None, [*(key for part in self.parts for key in part), self.classes]))


def _pairs(path: Path, keys: Sequence[str]) -> dict[str, dict[str, str]]:
    """The names of inputs and labels of every part, by its split word."""
    pairs: dict[str, dict[str, str]] = {}
    for key in keys:
        found = named(key)
        other = [word for word in words_of(key) if named(word) is None]
        side = _SIDES.get(other[0]) if len(other) == 1 else None
        if found is None or side is None:
            continue
        pair = pairs.setdefault(found.role, {})
        if side in pair:
            raise FeatalignError(
                f"{path}: expected one array of {side} for each part, got {pair[side]} and {key}; "
                "leave one out"
            )
        pair[side] = key
    return pairs


def _chosen(path: Path, pairs: dict[str, dict[str, str]], keys: Sequence[str]) -> _Chosen:
    """What is read of an archive: the training part, and the first held-out part with labels."""
    plain = {key.lower(): key for key in keys if key.lower() in SIDES_ALONE}
    train = pairs.get(TRAIN) or plain
    if TRAIN in pairs and "groups" in plain:
        train = {"groups": plain["groups"], **train}
    if not {"inputs", "labels"} <= train.keys():
        raise FeatalignError(
            f"{path}: expected {CONTENTS}, got {', '.join(keys) or 'nothing'}; save it with these "
            "names"
        )
    parts, remarks = [train], []
    for role in HELD_OUT:
        pair = pairs.get(role)
        if pair is None or not {"inputs", "labels"} & pair.keys():
            continue
        if "inputs" not in pair:
            raise FeatalignError(
                f"{path}: expected both {role} inputs and {role} labels, got {pair['labels']} "
                f"without {_beside(pair['labels'])}; add it or leave both out"
            )
        if "labels" not in pair:
            remarks.append(f"left out: {pair['inputs']}, which has no labels beside it")
        elif len(parts) > 1:
            remarks.append(f"left out: {pair['inputs']}, since {parts[1]['inputs']} is held out")
        else:
            parts.append(pair)
    if UNLABELLED in pairs:
        remarks.append(f"left out: {', '.join(pairs[UNLABELLED].values())}, without labels by name")
    classes = next((key for key in keys if key.lower() in ("classes", "class_names")), None)
    chosen = tuple((pair["inputs"], pair["labels"], pair.get("groups")) for pair in parts)
    return _Chosen(chosen, classes, tuple(remarks))


def _beside(labels: str) -> str:
    return labels.replace("y", "x", 1) if labels.lower().startswith("y") else "its inputs"


SIDES_ALONE = ("inputs", "labels", "groups")  # the names of the only part
_SIDES = {
    **dict.fromkeys(("groups", "group"), "groups"),
    **dict.fromkeys(("x", "inputs", "input", "images", "image", "data"), "inputs"),
    **dict.fromkeys(("texts", "text", "features"), "inputs"),
    **dict.fromkeys(("y", "labels", "label", "targets", "target"), "labels"),
}


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
