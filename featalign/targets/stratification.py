"""One seeded order of the rows in which every beginning is stratified."""

import numpy as np

from featalign.errors import FeatalignError


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
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
        raise FeatalignError(f"seed: expected an integer of at least 0, got {seed!r}")
    random = np.random.default_rng(int(seed))
    shuffled = random.permutation(len(labels))
    if labels.ndim == 2:
        return shuffled
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    _, first, counts = np.unique(labels[by_class], return_index=True, return_counts=True)
    drawn = np.arange(len(labels)) - np.repeat(first, counts)
    place = np.where(drawn == 0, 0.0, (drawn + 0.5) / np.repeat(counts, counts))
    return by_class[np.lexsort((random.random(len(labels)), place))]
