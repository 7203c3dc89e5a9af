"""Pairs of rows."""

import numpy as np


def distance_ranks(rows: np.ndarray) -> np.ndarray:
    """1 - corr(r_i, r_j) of rows (M, D), ranked about the mean (pairs,).

    A row without any variance correlates 0 with the others.
    """
    first, second = np.triu_indices(len(rows), 1)
    about = rows - rows.mean(axis=1, keepdims=True)
    norms = np.sqrt((about**2).sum(axis=1, keepdims=True))
    about = about / np.where(norms > 0, norms, 1.0)
    return _rank_data(1 - (about @ about.T)[first, second])


def _rank_data(values: np.ndarray) -> np.ndarray:
    """Ranks about their mean.

    Equal values share the mean of theirs, and values that agree to ten digits are equal.
    """
    _, places, counts = np.unique(np.round(values, 10), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[places.reshape(-1)] - (len(values) + 1) / 2
