"""One seeded order of the rows in which every beginning is stratified."""

import numpy as np

from featalign.checks import check_whole


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """Row indices such that the first n hold every class in proportion, for every n.

    Each class comes once before any class twice.

    Class indices (N,) are stratified; float targets (N, K) are only shuffled. The j-th row drawn of
    a class with m rows comes at (j + 1/2) / m, which is the Sainte-Lague rule of apportionment, so
    smaller beginnings are subsets of larger ones.

    >>> labels = np.array([0] * 6 + [1] * 3)
    >>> labels[stratified_order(labels, seed=0)[:3]].sum()
    np.int64(1)
    """
    seed = check_whole(seed, "seed", 0, expected="an integer of at least 0")
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(labels))
    if labels.ndim == 2:
        return shuffled
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    _, first, counts = np.unique(labels[by_class], return_index=True, return_counts=True)
    drawn = np.arange(len(labels)) - np.repeat(first, counts)
    place = np.where(drawn == 0, 0.0, (drawn + 0.5) / np.repeat(counts, counts))
    return by_class[np.lexsort((random.random(len(labels)), place))]
