"""A mixture of Gaussians of rows, from a start that is not random."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

MAX_STEPS = 1000
TOLERANCE = 1e-3
FLOOR = 1e-6


@dataclass(frozen=True)
class Mixture:
    """Memberships (M, V) of rows, the mean log likelihood at each EM step, and whether EM ended."""

    memberships: np.ndarray
    likelihoods: tuple[float, ...]
    ended: bool


def first_clusters(rows: np.ndarray, number: int) -> np.ndarray:
    """A cluster (M,) for each row; there are `number` clusters, or fewer where fewer rows differ.

    The cluster with the largest scatter is split at the mean of its widest column, again and again.
    """
    clusters = np.zeros(len(rows), np.int64)
    scatters = [((rows - rows.mean(axis=0)) ** 2).sum(axis=0)]
    while len(scatters) < number:
        largest = int(np.argmax([scatter.sum() for scatter in scatters]))
        members = np.flatnonzero(clusters == largest)
        column = rows[members, scatters[largest].argmax()]
        if not column.max() > column.min():
            break
        # the mean of numbers that hardly differ may be rounded to the largest of them, or below all
        beyond = column > np.clip(column.mean(), column.min(), np.nextafter(column.max(), -np.inf))
        clusters[members[beyond]] = len(scatters)
        scatters.append(np.zeros(rows.shape[1]))
        for cluster in (largest, len(scatters) - 1):
            part = rows[clusters == cluster]
            scatters[cluster] = ((part - part.mean(axis=0)) ** 2).sum(axis=0)
    return clusters


def fit_mixture(rows: np.ndarray, clusters: np.ndarray) -> Mixture:
    """A mixture of Gaussians with diagonal covariances of rows (M, K), by EM from a partition.

    No variance is below 1e-6 of the mean variance. Without that bound a cluster of one row would
    have an infinite likelihood.
    """
    floor = FLOOR * rows.var(axis=0).mean()
    memberships = np.eye(clusters.max() + 1)[clusters]
    if not floor > 0:  # all rows of the sample are alike
        return Mixture(memberships, (0.0,), ended=True)
    squares, likelihoods = rows**2, [-np.inf]
    for _ in range(MAX_STEPS):
        memberships = memberships[:, memberships.sum(axis=0) > np.finfo(np.float64).tiny]
        mass = memberships.sum(axis=0)
        means = (memberships.T @ rows) / mass[:, None]
        variances = np.maximum((memberships.T @ squares) / mass[:, None] - means**2, floor)
        exponents = (
            squares @ (1 / variances).T
            - 2 * rows @ (means / variances).T
            + (means**2 / variances).sum(axis=1)
        )
        joint = np.log(mass / len(rows)) - 0.5 * (
            exponents + np.log(2 * np.pi * variances).sum(axis=1)
        )
        totals = np.asarray(logsumexp(joint, axis=1))
        memberships = np.exp(joint - totals[:, None])
        likelihoods.append(float(totals.mean()))
        if likelihoods[-1] - likelihoods[-2] < TOLERANCE:
            return Mixture(memberships, tuple(likelihoods[1:]), ended=True)
    return Mixture(memberships, tuple(likelihoods[1:]), ended=False)
