"""Seeded orders of the rows that heed their classes."""

import numpy as np

from featalign.checks import check_whole


def class_after_class(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Row indices class after class, in random order within each class.

    >>> class_after_class(np.array([1, 0, 1, 0]), np.random.default_rng(0)).tolist()
    [1, 3, 2, 0]
    """
    shuffled = random.permutation(len(labels))
    return shuffled[np.argsort(labels[shuffled], kind="stable")]


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """Row indices such that the first n hold every class in proportion, for every n.

    Each class comes once before any class comes twice. Class indices (N,) are stratified; float
    targets (N, K) are only shuffled. The j-th row drawn of a class with m rows comes at
    (j + 1/2) / m, which is the Sainte-Lague rule of apportionment.

    >>> labels = np.array([0] * 6 + [1] * 3)
    >>> labels[stratified_order(labels, seed=0)[:3]].sum()
    np.int64(1)
    """
    random = np.random.default_rng(
        check_whole(seed, "seed", 0, expected="an integer of at least 0")
    )
    if labels.ndim == 2:
        return random.permutation(len(labels))
    by_class = class_after_class(labels, random)
    _, first, counts = np.unique(labels[by_class], return_index=True, return_counts=True)
    drawn = np.arange(len(labels)) - np.repeat(first, counts)
    place = np.where(drawn == 0, 0.0, (drawn + 0.5) / np.repeat(counts, counts))
    return by_class[np.lexsort((random.random(len(labels)), place))]
