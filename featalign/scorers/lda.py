"""LDA: leave-one-out posterior of a shrunk linear discriminant."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from featalign.scorers.ridge_probe import left_vectors
from featalign.scorers.scorer import RowMean, Scorer, Status
from featalign.statistics.class_coordinates import ClassCoordinates, class_coordinates, rounding
from featalign.statistics.gather import Statistics
from featalign.statistics.spectrum import Spectrum


def compute(statistics: Statistics) -> RowMean | Status:
    """Mean posterior of the own class under a linear discriminant that was fitted without the row.

    Gaussian classes with priors n_c/N and the common covariance S = (1 - a) S_w + a tr(S_w)/D I, S_w the covariance about the class means over N,
    a by Ledoit and Wolf from the residuals. Leaving row i out is exact for its mean, its prior and S_w, a change of rank one; a and the mean
    variance stay those of all rows. In [0, 1], about 1/C for noise with balanced classes, larger is better; the row of a class of one has no
    class left and counts 0. Beyond 20,000 rows the mean is over the seeded sample, each row left out of the fit to all.
    The idea of ETran, Gholami et al., "ETran: Energy-Based Transferability Estimation", ICCV 2023, whose code scores the rows it was fitted on
    (1.0 on noise where D >= N) and shrinks by exp(-5 λ_max), which depends on the scale of the features; a from Ledoit and Wolf 2004.
    """
    assert statistics.spectrum is not None
    if statistics.spectrum.is_constant:
        return Status.CONSTANT
    return RowMean(np.asarray(_leave_one_out(class_coordinates(statistics), statistics.num_features)))


@jax.jit
def _leave_one_out(data: ClassCoordinates, width: int) -> jax.Array:
    """The posterior of each row (M,). A = N S is what is factored: without row i it is A - g r rᵀ, r = x - μ_c, g = (1 - a) n_c / (n_c - 1)."""
    counts, labels = data.counts, data.labels
    total = counts.sum()
    within = data.within()
    squares = ((data.rows - data.offsets[labels]) ** 2).sum(axis=1)
    shrinkage = _ledoit_wolf(within / total, (squares**2).mean(), total, width)
    ridge = jnp.maximum(shrinkage * jnp.trace(within) / width, data.rounding)
    factor = jnp.linalg.cholesky((1 - shrinkage) * within + ridge * jnp.eye(len(within)))
    rows, means = (jax.scipy.linalg.solve_triangular(factor, part.T, lower=True).T for part in (data.rows, data.offsets))
    residuals = rows - means[labels]
    leverage = (residuals * residuals).sum(axis=1)  # q = rᵀ A⁻¹ r
    pull = (residuals * means[labels]).sum(axis=1, keepdims=True) - residuals @ means.T  # rᵀ A⁻¹ (μ_c - μ_k)
    return _posterior(leverage, pull, _distances(means), counts, labels, shrinkage)


def _posterior(leverage: jax.Array, pull: jax.Array, apart: jax.Array, counts: jax.Array, labels: jax.Array, shrinkage: jax.Array) -> jax.Array:
    """Posteriors (M,) from rᵀ A⁻¹ r (M,), rᵀ A⁻¹ (μ_c - μ_k) (M, C) and the distances of class means in A⁻¹ (C, C)."""
    leverage, total, own = leverage[:, None], counts.sum(), jax.nn.one_hot(labels, len(counts), dtype=bool)
    grow = (counts / jnp.maximum(counts - 1, 1))[labels, None]  # without row i, x - μ_c is so many times r
    weight = (1 - shrinkage) * grow
    distances = leverage + 2 * pull + apart[labels] + weight * (leverage + pull) ** 2 / jnp.maximum(1 - weight * leverage, 1e-12)
    distances = jnp.where(own, grow**2 * distances, distances)
    logits = jnp.log((counts - own) / (total - 1)) - (total - 1) * distances / 2
    return jnp.where(own, jax.nn.softmax(logits), 0.0).sum(axis=1)


def permuted(relabelled: Sequence[Statistics]) -> list[float]:
    """The values for several orders of the labels, whose common covariance is that of all rows less one of rank C - 1.

    In the eigenvectors of all rows, A = M - (1 - a) Oᵀ n O with M diagonal and O (C, R) the class means, so that A⁻¹ costs a C x C inverse.
    """
    first = relabelled[0]
    assert first.spectrum is not None
    assert first.rows is not None
    if first.spectrum.is_constant:
        return [float("nan")] * len(relabelled)
    features, spectrum = first.rows.features, first.spectrum
    rows = first.once("left vectors", lambda: left_vectors(spectrum, jnp.asarray(features))) * jnp.sqrt(spectrum.eigenvalues)
    values = []
    for statistics in relabelled:
        assert statistics.spectrum is not None
        assert statistics.rows is not None
        counts, labels = statistics.class_moments.counts, jnp.asarray(statistics.rows.labels)
        values.append(float(_in_eigenvectors(rows, statistics.spectrum, counts, labels, statistics.num_features)))
    return values


@jax.jit
def _in_eigenvectors(rows: jax.Array, spectrum: Spectrum, counts: jax.Array, labels: jax.Array, width: int) -> jax.Array:
    eigenvalues, total = spectrum.eigenvalues, counts.sum()
    means = (jnp.sqrt(eigenvalues)[:, None] * spectrum.label_projections / jnp.maximum(counts, 1)).T  # O
    squares = (means * means).sum(axis=1)
    inner = rows @ means.T
    residuals = (rows * rows).sum(axis=1) - 2 * jnp.take_along_axis(inner, labels[:, None], axis=1)[:, 0] + squares[labels]
    trace = eigenvalues.sum() - counts @ squares
    weighted = jnp.sqrt(counts)[:, None] * means
    square = (eigenvalues**2).sum() - 2 * ((weighted * weighted) @ eigenvalues).sum() + ((weighted @ weighted.T) ** 2).sum()
    shrinkage = _shrinkage(square / total**2, trace / total, (residuals**2).mean(), total, width)
    ridge = jnp.maximum(shrinkage * trace / width, rounding(spectrum))
    scaled = means / ((1 - shrinkage) * eigenvalues + ridge)  # O M⁻¹
    within = means @ scaled.T
    kernel = jnp.linalg.inv(jnp.diag(1 / ((1 - shrinkage) * jnp.maximum(counts, 1))) - within)
    projected = rows @ scaled.T
    centres, points = within + within @ kernel @ within, projected + projected @ kernel @ within  # O A⁻¹ Oᵀ and X A⁻¹ Oᵀ
    heights = ((rows * rows) / ((1 - shrinkage) * eigenvalues + ridge)).sum(axis=1) + ((projected @ kernel) * projected).sum(axis=1)
    own, diagonal = jnp.take_along_axis(points, labels[:, None], axis=1), jnp.diag(centres)
    leverage = heights - 2 * own[:, 0] + diagonal[labels]
    pull = own - diagonal[labels][:, None] - points + centres[labels]
    apart = diagonal[:, None] + diagonal[None, :] - 2 * centres
    return _posterior(leverage, pull, apart, counts, labels, shrinkage).mean()


def _distances(means: jax.Array) -> jax.Array:
    """Squared distances (C, C) of rows (C, R), by differences, so that near rows keep their digits."""
    return jax.lax.map(lambda mean: ((means - mean) ** 2).sum(axis=1), means)


def _ledoit_wolf(covariance: jax.Array, quartic: jax.Array, count: jax.Array, width: int) -> jax.Array:
    """The shrinkage a in [0, 1] from the covariance about the class means and the mean of |r|⁴."""
    return _shrinkage((covariance**2).sum(), jnp.trace(covariance), quartic, count, width)


def _shrinkage(square: jax.Array, trace: jax.Array, quartic: jax.Array, count: jax.Array, width: int) -> jax.Array:
    distance = square - trace**2 / width
    noise = jnp.maximum((quartic - square) / count, 0.0)
    return jnp.where(distance > 0, jnp.minimum(noise, distance) / jnp.where(distance > 0, distance, 1.0), 0.0)


LDA = Scorer(
    "lda",
    compute,
    frozenset({"moments", "label_moments", "spectrum", "rows"}),
    "leave-one-out posterior of a shrunk linear discriminant",
    True,
    invariances=frozenset({"rotation", "scale", "shift"}),
    permuted=permuted,
)
