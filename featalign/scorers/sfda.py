"""SFDA: the posterior of a discriminant after each row is mixed towards the other classes."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from featalign.records.score import Status
from featalign.scorers.scorer import RowMean, Scorer
from featalign.statistics.class_coordinates import ClassCoordinates, class_coordinates
from featalign.statistics.class_moments import ClassMoments
from featalign.statistics.collected import Statistics
from featalign.statistics.moments import Moments
from featalign.statistics.principal_rows import PrincipalRows
from featalign.statistics.products import arrays, blocks, class_sums, solve_positive
from featalign.statistics.rows import Rows
from featalign.statistics.scatter_sum import scatter_of
from featalign.statistics.spectrum import Spectrum

LANCZOS_STEPS = 60


def compute(statistics: Statistics) -> RowMean | Status:
    """Self-challenging Fisher discriminant.

    It is the mean posterior of the own class after each row was mixed towards the other classes.

    1. Fit: S = (1 - λ) S_w + λ tr(S_w)/D I, S_w = Σ (n_c/N) cov_c,
       λ = max(exp(-5 λ_max(S_w)), 1e-10); logits x S⁻¹ μ_c - ½ μ_c S⁻¹ μ_c + log(n_c/N).
    2. Mix: p_i is the softmax of the posterior (a softmax twice) at the own class, and
       x_i ← p_i x_i + (1 - p_i) · mean of the other classes' means.
    3. Fit again with the same λ; the value is the mean posterior of the own class, without a
       logarithm.

    The value lies in [0, 1]; larger is better. It depends on the scale of the features, through λ,
    and scores the rows it was fitted on. Beyond 20,000 rows the first fit is of all rows, and the
    mixing and the second fit are of the seeded sample. Shao et al., "Not All Models Are Equal:
    Predicting Model Transferability in a Self-challenging Fisher Space", ECCV 2022. The authors'
    code leaves out the logarithm of the paper, and so does this one. The authors' λ_max comes from
    six power steps; here it is converged, which changes the value by up to 1e-2. A variance that
    comes from rounding alone is not inverted.
    """
    if statistics[Spectrum].is_constant:
        return Status.CONSTANT
    return RowMean(np.asarray(_sfda(class_coordinates(statistics), statistics.num_features)))


@np.errstate(divide="ignore")  # a class may have no row in a sample
def _sfda(data: ClassCoordinates, width: int) -> Any:
    """The posterior of each row (M,)."""
    xp, rows, labels, total = arrays(), data.rows, data.labels, data.counts.sum()
    numbers, number = xp.arange(len(rows)), len(data.counts)
    within, floor = data.within() / total, data.rounding / total
    shrinkage = max(math.exp(-5 * float(largest_eigenvalue(within))), 1e-10)
    priors = data.counts / total
    coefficients, intercepts = _coefficients(data.offsets, priors, within, shrinkage, width, floor)
    trust = _softmax(_softmax(rows @ coefficients + intercepts))[numbers, labels]
    others = (data.offsets.sum(axis=0) - data.offsets) / (number - 1)

    # mixed rows are trust x + (1 - trust) o; the logits and class sums of them need no mixing
    sums = class_sums(rows, labels, number, trust)
    distrust = class_sums(1 - trust[:, None], labels, number)
    counts = xp.bincount(labels, minlength=number)
    means = (sums + distrust * others) / xp.maximum(counts, 1)[:, None]

    def residuals() -> Iterator[Any]:
        for part in blocks(*rows.shape):
            share, here = trust[part, None], labels[part]
            yield share * rows[part] + ((1 - share) * others[here] - means[here])

    within = scatter_of(residuals(), rows.shape[1]) / len(rows)
    priors = counts / len(rows)
    coefficients, intercepts = _coefficients(means, priors, within, shrinkage, width, floor)
    towards = (1 - trust)[:, None] * (others @ coefficients)[labels]
    logits = trust[:, None] * (rows @ coefficients) + towards + intercepts
    return _softmax(logits)[numbers, labels]


def _coefficients(
    means: Any,
    priors: Any,
    within: Any,
    shrinkage: float,
    width: int,
    floor: Any,
) -> tuple[Any, Any]:
    """The coefficients and intercepts of the linear logits.

    The covariance is shrunk to its mean variance over `width` columns.
    """
    xp = arrays()
    ridge = xp.maximum(shrinkage * xp.trace(within) / width, floor)
    coefficients = solve_positive((1 - shrinkage) * within, ridge, means.T)
    return coefficients, xp.log(priors) - (means * coefficients.T).sum(axis=1) / 2


def _softmax(logits: Any) -> Any:
    shares = arrays().exp(logits - logits.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def largest_eigenvalue(matrix: Any) -> Any:
    """The largest eigenvalue of a symmetric matrix (R, R) without negative ones, to 1e-10 of it.

    It takes 60 Lanczos steps with full reorthogonalisation from a fixed random vector, to which a
    direction is orthogonal by chance alone. Where their error may be larger (Kato 1949: |r|² over
    the gap to the next, and |r|), it takes a full decomposition.
    """
    xp, size = arrays(), len(matrix)
    start = xp.asarray(np.random.default_rng(0).normal(size=size), matrix.dtype)
    found = [start / xp.linalg.norm(start)]
    for _ in range(min(LANCZOS_STEPS, size) - 1):
        vector, basis = matrix @ found[-1], xp.stack(found)
        vector = vector / max(float(xp.abs(vector).max()), np.finfo(np.float64).tiny)
        for _ in range(2):
            vector = vector - basis.T @ (basis @ vector)
        norm = float(xp.linalg.norm(vector))
        if not norm > 1e-10:
            break
        found.append(vector / norm)
    basis = xp.stack(found)
    image = basis @ matrix
    values, vectors = xp.linalg.eigh(image @ basis.T)
    largest, weights = values[-1], vectors[:, -1]
    left = float(xp.linalg.norm(weights @ image - largest * (weights @ basis)))
    gap = float(largest - values[-2]) if len(found) > 1 else float(largest)
    error = min(left, left**2 / gap) if gap > 0 else left
    return largest if error <= 1e-10 * float(largest) else xp.linalg.eigvalsh(matrix)[-1]


SFDA = Scorer(
    "sfda",
    compute,
    frozenset({Moments, ClassMoments, Spectrum, Rows, PrincipalRows}),
    "posterior of a self-challenged Fisher discriminant",
    True,
    invariances=frozenset({"rotation", "shift", "duplication"}),
)
