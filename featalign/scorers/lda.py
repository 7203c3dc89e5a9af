"""LDA: the leave-one-out posterior of a shrunk linear discriminant."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from featalign.records.score import Status
from featalign.scorers.scorer import RowMean, Scorer
from featalign.statistics.class_coordinates import ClassCoordinates, class_coordinates, rounding
from featalign.statistics.class_moments import ClassMoments
from featalign.statistics.collected import Statistics
from featalign.statistics.moments import Moments
from featalign.statistics.principal_rows import PrincipalRows
from featalign.statistics.products import arrays, held, squares_product
from featalign.statistics.rows import Rows
from featalign.statistics.shrinkage import ledoit_wolf, whitened
from featalign.statistics.spectrum import Spectrum

SAFE_GAP = 1e-6
ROUNDING = 1e-12


def compute(statistics: Statistics) -> RowMean | Status:
    """The mean posterior of a row's own class under a linear discriminant fitted without the row.

    Classes are Gaussians with priors n_c/N and the common covariance S = (1 - a) S_w + a tr(S_w)/D
    I. S_w is the covariance about the class means over N, and a is the shrinkage of Ledoit and Wolf
    (2004) from the residuals. Leaving row i out is exact for its class mean, its prior and S_w,
    which changes by rank one; a and the mean variance stay those of all rows. The value lies in [0,
    1] and is about 1/C for noise with balanced classes; larger is better. A row that is alone in
    its class counts 0. Beyond 20,000 rows the mean is over the seeded sample, and each of its rows
    is left out of the fit to all rows. Groups of rows are not heeded. The idea is that of ETran
    (Gholami et al., "ETran: Energy-Based Transferability Estimation", ICCV 2023). Its code scores
    the rows it was fitted on, which gives 1.0 on noise where D >= N, and shrinks by exp(-5 λ_max),
    which depends on the scale of the features.
    """
    if statistics[Spectrum].is_constant:
        return Status.CONSTANT
    posteriors = _in_eigenvectors(statistics)
    if posteriors is None:
        posteriors = _leave_one_out(class_coordinates(statistics), statistics.num_features)
    return RowMean(np.asarray(posteriors))


@jax.jit
def _leave_one_out(data: ClassCoordinates, width: int) -> jax.Array:
    """The posterior of each row (M,), however far apart the classes are.

    A = N S is factored. Without row i it is A - g r rᵀ, where r = x - μ_c and
    g = (1 - a) n_c / (n_c - 1).
    """
    counts, labels = data.counts, data.labels
    total = counts.sum()
    within = data.within()
    squares = ((data.rows - data.offsets[labels]) ** 2).sum(axis=1)
    covariance = within / total
    square, trace = (covariance**2).sum(), jnp.trace(covariance)
    shrinkage = _shrinkage(square, trace, (squares**2).mean(), total, width)
    ridge = jnp.maximum(shrinkage * jnp.trace(within) / width, data.rounding)
    rows, means = whitened(within, shrinkage, ridge, data.rows, data.offsets)
    residuals = rows - means[labels]
    leverage = (residuals * residuals).sum(axis=1)  # q = rᵀ A⁻¹ r
    # rᵀ A⁻¹ (μ_c - μ_k)
    pull = (residuals * means[labels]).sum(axis=1, keepdims=True) - residuals @ means.T
    return _posterior(leverage, pull, _distances(means), counts, labels, shrinkage)


def _posterior(
    leverage: Any,
    pull: Any,
    apart: Any,
    counts: Any,
    labels: Any,
    shrinkage: Any,
) -> Any:
    """The posterior of each row's own class (M,).

    It follows from `leverage` = rᵀ A⁻¹ r (M,), `pull` = rᵀ A⁻¹ (μ_c - μ_k) (M, C), and `apart`, the
    squared distances of class means in A⁻¹ (C, C).
    """
    xp = jnp if isinstance(leverage, jax.Array) else np
    leverage, total = leverage[:, None], counts.sum()
    own = labels[:, None] == xp.arange(len(counts))
    # without row i, x - μ_c is r times this factor
    grow = (counts / xp.maximum(counts - 1, 1))[labels, None]
    weight = (1 - shrinkage) * grow
    change = weight * (leverage + pull) ** 2 / xp.maximum(1 - weight * leverage, 1e-12)
    distances = leverage + 2 * pull + apart[labels] + change
    distances = xp.where(own, grow**2 * distances, distances)
    logits = xp.log((counts - own) / (total - 1)) - (total - 1) * distances / 2
    shares = xp.exp(logits - logits.max(axis=1, keepdims=True))
    return xp.where(own, shares, 0.0).sum(axis=1) / shares.sum(axis=1)


def permuted(relabelled: Sequence[Statistics]) -> list[float]:
    """The values for several orders of the labels, which share the rotated rows."""
    found = map(compute, relabelled)
    return [each.values.mean() if isinstance(each, RowMean) else math.nan for each in found]


@np.errstate(divide="ignore")  # without its only row a class has a prior of zero
def _in_eigenvectors(statistics: Statistics) -> Any:
    """The posterior of each row (M,) from rows in the eigenvectors of the scatter of all rows.

    The scatter within classes is that of all rows less one of rank C - 1. There A = M - Bᵀ B with a
    diagonal M and B = √((1 - a) n) O (C, R), where O are the class means. A⁻¹ therefore takes no
    more than (I - B M⁻¹ Bᵀ)⁻¹ (C, C). The result is None where that matrix is nearly singular,
    because classes so far apart cost the difference its digits.
    """
    xp, principal = arrays(), statistics[PrincipalRows]
    rows = principal.rotated()
    spectrum, size, width = statistics[Spectrum], rows.shape[1], statistics.num_features
    counts, labels = held((statistics[ClassMoments].counts, statistics[Rows].labels))
    values, projections = held((spectrum.eigenvalues[:size], spectrum.label_projections[:size]))
    total, numbers = counts.sum(), xp.arange(len(rows))
    means = (xp.sqrt(values)[:, None] * projections / xp.maximum(counts, 1)).T  # O
    squares = (means * means).sum(axis=1)
    residuals = principal.norms() - 2 * (rows @ means.T)[numbers, labels] + squares[labels]
    trace = values.sum() - counts @ squares
    weighted = xp.sqrt(counts)[:, None] * means
    square = (values**2).sum() - 2 * ((weighted**2) @ values).sum()
    square = square + ((weighted @ weighted.T) ** 2).sum()
    quartic = (residuals**2).mean()
    shrinkage = _shrinkage(square / total**2, trace / total, quartic, total, width)
    ridge = xp.maximum(shrinkage * trace / width, held(rounding(spectrum)))
    diagonal = (1 - shrinkage) * values + ridge  # M
    scaled = means / diagonal  # O M⁻¹
    roots = xp.sqrt((1 - shrinkage) * counts)
    share = roots[:, None] * (scaled @ means.T) * roots  # B M⁻¹ Bᵀ
    if not xp.linalg.eigvalsh(share)[-1] < 1 - SAFE_GAP:
        return None
    kernel = roots[:, None] * xp.linalg.inv(xp.eye(len(share)) - share) * roots
    within, projected = scaled @ means.T, rows @ scaled.T
    spread = projected @ kernel
    centres = within + within @ kernel @ within  # O A⁻¹ Oᵀ
    points = projected + spread @ within  # X A⁻¹ Oᵀ
    heights = squares_product(rows, 1 / diagonal) + (spread * projected).sum(axis=1)
    own, centre = points[numbers, labels], xp.diag(centres)
    leverage = heights - 2 * own + centre[labels]
    pull = own[:, None] - centre[labels][:, None] - points + centres[labels]
    apart = centre[:, None] + centre[None, :] - 2 * centres
    return _posterior(leverage, pull, apart, counts, labels, shrinkage)


def _distances(means: jax.Array) -> jax.Array:
    """Squared distances (C, C) of rows (C, R), from differences, so that near rows keep digits."""
    return jax.lax.map(lambda mean: ((means - mean) ** 2).sum(axis=1), means)


def _shrinkage(square: Any, trace: Any, quartic: Any, count: Any, width: Any) -> Any:
    """The shrinkage from |S_w|², tr S_w and the mean of |r|⁴."""
    return ledoit_wolf(square, square - trace**2 / width, quartic, count, rounding=ROUNDING)


LDA = Scorer(
    "lda",
    compute,
    frozenset({Moments, ClassMoments, Spectrum, Rows, PrincipalRows}),
    "leave-one-out posterior of a shrunk linear discriminant",
    True,
    invariances=frozenset({"rotation", "scale", "shift"}),
    permuted=permuted,
    unit="percent",
)
