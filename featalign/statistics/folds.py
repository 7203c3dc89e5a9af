"""Folds of rows, stratified by class."""

import numpy as np

from featalign.strata import class_after_class

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
