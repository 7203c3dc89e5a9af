"""N-LEEP: LEEP with clusters of the features in place of the source's classes."""

import numpy as np
from scipy.special import logsumexp

from featalign.scorers.leep import conditional, log_predictions
from featalign.scorers.scorer import RowMean, Scorer, Status
from featalign.statistics.gather import Statistics
from featalign.statistics.spectrum import principal_components

VARIANCE_SHARE = 0.8
ROWS_PER_CLUSTER = 5
CLUSTERS_PER_CLASS = 5
MAX_STEPS = 100
TOLERANCE = 1e-3
FLOOR = 1e-6
MAX_ROWS = 2000


def compute(statistics: Statistics) -> RowMean | Status:
    """LEEP of the memberships in a Gaussian mixture: mean over rows of log Σ_v P(y | v) P(v | f).

    The mixture is fitted to the first principal components that hold 80 % of the variance, with 5 C clusters, at most one for each five rows. At most
    0, larger is better. Li et al., "Ranking Neural Checkpoints", CVPR 2021. Published code fits full covariances from random starts, so that each
    call gives another value (0.81 to 0.85 in five runs), and needs more rows for each cluster than most targets have. Here covariances are diagonal
    in the principal directions with 1e-6 of the mean variance added, and the start is not random: the cluster with the largest scatter is split at
    its mean along its widest direction until there are enough (Su and Dy, "In search of deterministic methods for initializing K-means and Gaussian
    mixture clustering", 2007). EM stops when the mean log likelihood grows by less than 1e-3 (at most 100 steps). The seed only draws the sample of
    2000 rows beyond that number.
    """
    assert statistics.spectrum is not None
    assert statistics.rows is not None
    rows, eigenvalues = statistics.rows, np.asarray(statistics.spectrum.eigenvalues)
    if not eigenvalues[0] > 0:
        return Status.CONSTANT
    memberships = statistics.once("memberships in clusters", lambda: _memberships(statistics))
    joint = np.eye(statistics.num_classes)[rows.labels].T @ memberships
    return RowMean(log_predictions(memberships, conditional(joint), rows.labels))


def _memberships(statistics: Statistics) -> np.ndarray:
    """Memberships (M, V) in the mixture, which look at no label."""
    assert statistics.spectrum is not None
    assert statistics.rows is not None
    rows, eigenvalues = statistics.rows, np.asarray(statistics.spectrum.eigenvalues)
    kept = int(np.searchsorted(np.cumsum(eigenvalues / eigenvalues.sum()), VARIANCE_SHARE)) + 1
    components = principal_components(statistics.spectrum, rows.features, rows.numbers, kept)
    components = components / np.sqrt(eigenvalues[0] / statistics.num_rows)
    wanted = max(1, min(CLUSTERS_PER_CLASS * statistics.num_classes, len(rows.labels) // ROWS_PER_CLUSTER))
    return fit_mixture(components, first_clusters(components, wanted))


def first_clusters(rows: np.ndarray, number: int) -> np.ndarray:
    """A cluster (M,) for each row: `number` of them, fewer where fewer rows differ."""
    clusters = np.zeros(len(rows), np.int64)
    scatters = [((rows - rows.mean(axis=0)) ** 2).sum(axis=0)]
    while len(scatters) < number:
        largest = int(np.argmax([scatter.sum() for scatter in scatters]))
        members = np.flatnonzero(clusters == largest)
        column = rows[members, scatters[largest].argmax()]
        beyond = column > column.mean()
        if not beyond.any():
            break
        clusters[members[beyond]] = len(scatters)
        scatters.append(np.zeros(rows.shape[1]))
        for cluster in (largest, len(scatters) - 1):
            part = rows[clusters == cluster]
            scatters[cluster] = ((part - part.mean(axis=0)) ** 2).sum(axis=0)
    return clusters


def fit_mixture(rows: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Memberships (M, V) of rows (M, K) in a mixture of Gaussians with diagonal covariances, by EM from a partition."""
    floor = FLOOR * rows.var(axis=0).mean()
    squares, likelihood = rows**2, -np.inf
    memberships = np.eye(clusters.max() + 1)[clusters]
    for _ in range(MAX_STEPS):
        mass = memberships.sum(axis=0) + np.finfo(np.float64).tiny
        means = (memberships.T @ rows) / mass[:, None]
        variances = np.maximum((memberships.T @ squares) / mass[:, None] - means**2, 0.0) + floor
        exponents = squares @ (1 / variances).T - 2 * rows @ (means / variances).T + (means**2 / variances).sum(axis=1)
        joint = np.log(mass / len(rows)) - 0.5 * (exponents + np.log(2 * np.pi * variances).sum(axis=1))
        totals = np.asarray(logsumexp(joint, axis=1))
        memberships = np.exp(joint - totals[:, None])
        if abs(totals.mean() - likelihood) < TOLERANCE:
            break
        likelihood = totals.mean()
    return memberships


NLEEP = Scorer(
    "nleep",
    compute,
    frozenset({"spectrum", "rows"}),
    "log likelihood of the labels given clusters of the features",
    True,
    invariances=frozenset({"rotation", "scale", "shift"}),
    max_rows=MAX_ROWS,
)
