"""N-LEEP: LEEP with clusters of the features in place of the source's classes."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from featalign.records.score import Status
from featalign.scorers.leep import conditional, log_predictions
from featalign.scorers.scorer import RowMean, Scorer
from featalign.statistics.gather import Statistics
from featalign.statistics.spectrum import principal_components

VARIANCE_SHARE = 0.8
ROWS_PER_CLUSTER = 5
CLUSTERS_PER_CLASS = 5
MAX_STEPS = 1000
TOLERANCE = 1e-3
FLOOR = 1e-6
MAX_ROWS = 2000


@dataclass(frozen=True)
class Mixture:
    """Memberships (M, V) of rows, the mean log likelihood at each step of EM, whether it ended."""

    memberships: np.ndarray
    likelihoods: tuple[float, ...]
    ended: bool


def compute(statistics: Statistics) -> RowMean | Status:
    """LEEP of the memberships in a Gaussian mixture: mean over rows of log Σ_v P(y | v) P(v | f).

    The mixture is fitted to the first principal components that hold 80 % of the variance, with 5 C
    clusters, at most one for each five rows. At most 0, larger is better. Li et al., "Ranking
    Neural Checkpoints", CVPR 2021. Published code fits full covariances from random starts, so that
    each call gives another value (0.81 to 0.85 in five runs), and needs more rows for each cluster
    than most targets have. Here covariances are diagonal in the principal directions and at least
    1e-6 of the mean variance, and the start is not random: the cluster with the largest scatter is
    split at its mean along its widest direction until there are enough (Su and Dy, "In search of
    deterministic methods for initializing K-means and Gaussian mixture clustering", 2007). EM,
    under which the likelihood never falls, ends when the mean log likelihood grows by less than
    1e-3; a status where 1000 steps are too few. The seed only draws the sample of 2000 rows beyond
    that number.
    """
    assert statistics.spectrum is not None
    assert statistics.rows is not None
    rows, eigenvalues = statistics.rows, np.asarray(statistics.spectrum.eigenvalues)
    if not eigenvalues[0] > 0:
        return Status.CONSTANT
    mixture = statistics.once("mixture of clusters", lambda: _mixture(statistics))
    if not mixture.ended:
        return Status.NOT_CONVERGED
    memberships = mixture.memberships
    joint = np.eye(statistics.num_classes)[rows.labels].T @ memberships
    return RowMean(log_predictions(memberships, conditional(joint), rows.labels))


def _mixture(statistics: Statistics) -> Mixture:
    """The mixture, which looks at no label."""
    assert statistics.spectrum is not None
    assert statistics.rows is not None
    rows, eigenvalues = statistics.rows, np.asarray(statistics.spectrum.eigenvalues)
    kept = int(np.searchsorted(np.cumsum(eigenvalues / eigenvalues.sum()), VARIANCE_SHARE)) + 1
    components = principal_components(statistics.spectrum, rows.features, rows.numbers, kept)
    components = components / np.sqrt(eigenvalues[0] / statistics.num_rows)
    wanted = max(
        1, min(CLUSTERS_PER_CLASS * statistics.num_classes, len(rows.labels) // ROWS_PER_CLUSTER)
    )
    return fit_mixture(components, first_clusters(components, wanted))


def first_clusters(rows: np.ndarray, number: int) -> np.ndarray:
    """A cluster (M,) for each row: `number` of them, fewer where fewer rows differ."""
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

    No variance is below 1e-6 of the mean variance: without that bound a cluster of one row has an
    infinite likelihood.
    """
    floor = FLOOR * rows.var(axis=0).mean()
    memberships = np.eye(clusters.max() + 1)[clusters]
    if not floor > 0:  # a sample whose rows are alike
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


NLEEP = Scorer(
    "nleep",
    compute,
    frozenset({"spectrum", "rows"}),
    "log likelihood of the labels given clusters of the features",
    True,
    invariances=frozenset({"rotation", "scale", "shift"}),
    max_rows=MAX_ROWS,
)
