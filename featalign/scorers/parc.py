"""PARC: whether rows that are alike have like labels."""

import numpy as np

from featalign.scorers.scorer import Scorer, Status
from featalign.statistics.gather import Statistics
from featalign.statistics.spectrum import principal_components

NUM_COMPONENTS = 32
MAX_ROWS = 2000


def compute(statistics: Statistics) -> float | Status:
    """Pairwise annotation representation comparison: 100 times the Spearman correlation of 1 - corr(f_i, f_j) and 1 - corr(y_i, y_j).

    Over pairs of rows i < j; f (M, 32) are the first 32 principal components (all, where there are fewer), each divided by its deviation; y (M, C)
    the one-hot labels. In [-100, 100], larger is better. Cost: M² log M, on a seeded sample beyond 2000 rows (the paper takes 500). Bolya, Mittapalli
    and Hoffman, "Scalable Diverse Model Selection for Accessible Transfer Learning", NeurIPS 2021. Its code draws the components by a randomised
    decomposition whose signs, on which the correlations depend, come as they fall; here the decomposition is exact and each component's third moment
    is not negative, so that rotating the features changes nothing. A row that is the same in all components correlates 0 with the others.
    """
    assert statistics.spectrum is not None
    assert statistics.rows is not None
    rows, live = statistics.rows, int((np.asarray(statistics.spectrum.eigenvalues) > 0).sum())
    if live == 0:
        return Status.CONSTANT
    if len(rows.labels) < 3:
        return Status.TOO_FEW_ROWS
    if live == 1:
        return Status.UNDEFINED  # one number has no correlation
    components = principal_components(statistics.spectrum, rows.features, rows.numbers, min(live, NUM_COMPONENTS))
    deviations = components.std(axis=0)
    standard = (components - components.mean(axis=0)) / np.where(deviations > 0, deviations, 1.0)
    about = standard - standard.mean(axis=1, keepdims=True)
    norms = np.sqrt((about**2).sum(axis=1, keepdims=True))
    about = about / np.where(norms > 0, norms, 1.0)
    first, second = np.triu_indices(len(about), 1)
    apart = 1 - (about @ about.T)[first, second]
    # rounded, so that equal distances tie; both ranks are about their means
    from scipy.stats import rankdata  # half a second to import, and needed here alone

    ranks = rankdata(np.round(apart, 10)) - (len(first) + 1) / 2
    differs = (rows.labels[first] != rows.labels[second]).astype(np.float64)
    differs -= differs.mean()
    size = np.sqrt((ranks @ ranks) * (differs @ differs))
    return float(100 * (ranks @ differs) / size) if size > 0 else Status.UNDEFINED


PARC = Scorer(
    "parc",
    compute,
    frozenset({"spectrum", "rows"}),
    "rank correlation of distances with differing labels",
    True,
    invariances=frozenset({"rotation", "scale", "shift"}),
    max_rows=MAX_ROWS,
)
