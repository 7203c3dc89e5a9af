"""N-LEEP: LEEP with clusters of the features in place of the source's classes."""

import numpy as np

from featalign.records.score import Status
from featalign.scorers.leep import conditional, log_predictions
from featalign.scorers.scorer import RowMean, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.principal_rows import PrincipalRows
from featalign.statistics.rows import Rows

VARIANCE_SHARE = 0.8
ROWS_PER_CLUSTER = 5
CLUSTERS_PER_CLASS = 5
MAX_ROWS = 2000


def compute(statistics: Statistics) -> RowMean | Status:
    """LEEP of the memberships in a Gaussian mixture: mean over rows of log Σ_v P(y | v) P(v | f).

    The mixture is fitted to the first principal components that hold 80 % of the variance, with 5 C
    clusters, but at most one for each five rows. The value is at most 0; larger is better. Li et
    al., "Ranking Neural Checkpoints", CVPR 2021. Published code fits full covariances from random
    starts. Each call therefore gives another value (0.81 to 0.85 in five runs), and a cluster needs
    more rows than most targets have. Here covariances are diagonal in the principal directions and
    at least 1e-6 of the mean variance. The start is not random: the cluster with the largest
    scatter is split at its mean along its widest direction until there are enough (Su and Dy, "In
    search of deterministic methods for initializing K-means and Gaussian mixture clustering",
    2007). EM never lowers the likelihood. It ends when the mean log likelihood grows by less than
    1e-3; where 1000 steps are too few, the score is a status. Beyond 2000 rows the seed draws a
    sample of 2000; it draws nothing else.
    """
    rows, principal = statistics[Rows], statistics[PrincipalRows]
    if principal.num_live == 0:
        return Status.CONSTANT
    wanted = min(CLUSTERS_PER_CLASS * statistics.num_classes, len(rows.labels) // ROWS_PER_CLUSTER)
    mixture = principal.mixture(max(1, wanted), variance_share=VARIANCE_SHARE)
    if not mixture.ended:
        return Status.NOT_CONVERGED
    memberships = mixture.memberships
    joint = np.eye(statistics.num_classes)[rows.labels].T @ memberships
    return RowMean(log_predictions(memberships, conditional(joint), rows.labels))


NLEEP = Scorer(
    "nleep",
    compute,
    frozenset({Rows, PrincipalRows}),
    "log likelihood of the labels given clusters of the features",
    True,
    invariances=frozenset({"rotation", "scale", "shift"}),
    max_rows=MAX_ROWS,
)
