"""The labels of a target from the user's: checked and encoded, held-out ones as in training."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from featalign.arrays import Labels, check_labels
from featalign.errors import FeatalignError

HELD_OUT = "held-out labels"


def training_labels(labels: Any, num_rows: int, class_names: Sequence[str] | None) -> Labels:
    """The labels of the training rows; names of classes without a row are dropped.

    Raises FeatalignError for labels that cannot be used, and for fewer than two classes.
    """
    encoded = _encoded(labels, num_rows, class_names, "labels")
    if encoded.values.ndim == 1 and encoded.num_classes < 2:
        raise FeatalignError(
            f"labels: expected at least two classes, got only {encoded.classes[0]!r} in all "
            f"{num_rows} rows; add rows of another class"
        )
    return encoded


def held_out_labels(
    labels: Any, num_rows: int, class_names: Sequence[str] | None, training: Labels
) -> np.ndarray:
    """The labels of held-out rows, as indices into the classes of the training rows.

    Raises FeatalignError for labels of another form, and for a class without a training row.
    """
    held = _encoded(labels, num_rows, class_names, HELD_OUT)
    if held.values.shape[1:] != training.values.shape[1:]:
        raise FeatalignError(
            f"{HELD_OUT}: expected the form of the training labels, got shape "
            f"{held.values.shape} beside {training.values.shape}"
        )
    return _aligned(held, training.classes)


def _encoded(
    labels: Any, num_rows: int, class_names: Sequence[str] | None, argument: str
) -> Labels:
    if labels is None:
        raise FeatalignError(
            f"{argument}: expected one label for each of the {num_rows} rows, got None; a target "
            "without labels cannot be judged"
        )
    checked = check_labels(labels, num_rows, name=argument)
    if class_names is None:
        return checked
    names = tuple(str(name) for name in class_names)
    if checked.values.ndim == 2:
        raise FeatalignError(
            f"class_names: given for {argument} of the task {checked.task}, which has no classes; "
            f"make the {argument} integers (N,) "
            "or leave the names out"
        )
    if len(set(names)) != len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise FeatalignError(
            f"class_names: expected every name once, got {repeated!r} more than once; rename one"
        )
    named = _named(checked, np.asarray(labels).dtype.kind in "iub", names, argument)
    occurring = tuple(name for name in names if name in set(named))
    return Labels(
        np.array([occurring.index(name) for name in named], np.int64)[checked.values], occurring
    )


def _named(checked: Labels, integers: bool, names: tuple[str, ...], argument: str) -> list[str]:
    """The name of each class of the labels.

    Integers count from 0 along the names; strings must be among them.
    """
    if not integers:
        unknown = [name for name in checked.classes if name not in names]
        if unknown:
            raise FeatalignError(
                f"class_names: expected a name for every class, {argument} hold {unknown[0]!r}, "
                f"which is not among the {len(names)} names"
            )
        return list(checked.classes)
    positions = [
        int(name == "True") if name in ("True", "False") else int(name) for name in checked.classes
    ]
    if min(positions) < 0 or max(positions) >= len(names):
        raise FeatalignError(
            f"class_names: the {argument} go from {min(positions)} to {max(positions)} and count "
            f"from 0 along the {len(names)} names; "
            "add names or renumber the labels"
        )
    return [names[position] for position in positions]


def _aligned(held: Labels, class_names: tuple[str, ...]) -> np.ndarray:
    """The labels of held-out rows as indices into the class names of the training rows."""
    if held.values.ndim == 2:
        return held.values
    unseen = [name for name in held.classes if name not in class_names]
    if unseen:
        count = int(np.isin(held.values, [held.classes.index(name) for name in unseen]).sum())
        raise FeatalignError(
            f"{HELD_OUT}: expected only classes that have training rows, got "
            f"{', '.join(repr(name) for name in unseen[:5])} "
            f"in {count} of {len(held.values)} held-out rows; add training rows or drop these"
        )
    return np.array([class_names.index(name) for name in held.classes], np.int64)[held.values]
