"""Folds of rows, stratified by class, with every group of rows in one of them."""

import numpy as np

from featalign.arrays import Labels
from featalign.errors import FeatalignError
from featalign.strata import class_after_class, grouped_parts

NUM_FOLDS = 5


def stratified_folds(labels: np.ndarray, num_folds: int, *, seed: int) -> np.ndarray:
    """A fold number (N,) for each row; each class is spread evenly, in seeded random order.

    >>> stratified_folds(np.array([0, 0, 1, 1, 0, 1]), 3, seed=0).tolist()
    [1, 2, 1, 0, 0, 2]
    """
    random = np.random.default_rng(seed)
    ordered = class_after_class(labels, random)
    folds = np.empty(len(labels), np.int32)
    folds[ordered] = np.arange(len(labels)) % num_folds
    return folds


def folds_of(classes: np.ndarray, groups: np.ndarray | None, *, seed: int) -> np.ndarray:
    """A fold number (N,) for each row of these classes (N,); a group is in one fold.

    >>> folds_of(np.zeros(10, int), np.arange(10) // 2, seed=0).tolist()
    [3, 3, 2, 2, 1, 1, 0, 0, 4, 4]
    """
    if groups is None:
        return stratified_folds(classes, NUM_FOLDS, seed=seed)
    return grouped_parts(classes, groups, NUM_FOLDS, seed=seed)


def check_enough_groups(labels: Labels, *, name: str = "groups") -> None:
    """Raise FeatalignError where there are groups, but fewer than folds."""
    if labels.groups is None:
        return
    count = len(np.unique(labels.groups))
    if count < NUM_FOLDS:
        raise FeatalignError(
            f"{name}: expected at least {NUM_FOLDS} groups, one for each fold, got {count}; "
            "name smaller groups, or leave them out"
        )
