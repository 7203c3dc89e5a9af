"""LDA: leave-one-out posterior of a shrunk linear discriminant."""

import jax
import jax.numpy as jnp

from featalign.scorers.scorer import Scorer, Status
from featalign.statistics.class_coordinates import ClassCoordinates, class_coordinates
from featalign.statistics.gather import Statistics


def compute(statistics: Statistics) -> jax.Array | Status:
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
    return _leave_one_out(class_coordinates(statistics), statistics.num_features)


@jax.jit
def _leave_one_out(data: ClassCoordinates, width: int) -> jax.Array:
    """The mean posterior. A = N S is what is factored: without row i it is A - g r rᵀ, r = x - μ_c, g = (1 - a) n_c / (n_c - 1)."""
    counts, labels = data.counts, data.labels
    total = counts.sum()
    within = data.within()
    squares = ((data.rows - data.offsets[labels]) ** 2).sum(axis=1)
    shrinkage = _ledoit_wolf(within / total, (squares**2).mean(), total, width)
    ridge = jnp.maximum(shrinkage * jnp.trace(within) / width, data.rounding)
    factor = jnp.linalg.cholesky((1 - shrinkage) * within + ridge * jnp.eye(len(within)))
    rows, means = (jax.scipy.linalg.solve_triangular(factor, part.T, lower=True).T for part in (data.rows, data.offsets))
    own = jax.nn.one_hot(labels, len(counts), dtype=bool)
    residuals = rows - means[labels]
    leverage = (residuals * residuals).sum(axis=1, keepdims=True)  # q = rᵀ A⁻¹ r
    pull = (residuals * means[labels]).sum(axis=1, keepdims=True) - residuals @ means.T  # rᵀ A⁻¹ (μ_c - μ_k)
    apart = _distances(means)
    grow = (counts / jnp.maximum(counts - 1, 1))[labels, None]  # without row i, x - μ_c is so many times r
    weight = (1 - shrinkage) * grow
    distances = leverage + 2 * pull + apart[labels] + weight * (leverage + pull) ** 2 / jnp.maximum(1 - weight * leverage, 1e-12)
    distances = jnp.where(own, grow**2 * distances, distances)
    logits = jnp.log((counts - own) / (total - 1)) - (total - 1) * distances / 2
    return jnp.where(own, jax.nn.softmax(logits), 0.0).sum(axis=1).mean()


def _distances(means: jax.Array) -> jax.Array:
    """Squared distances (C, C) of rows (C, R), by differences, so that near rows keep their digits."""
    return jax.lax.map(lambda mean: ((means - mean) ** 2).sum(axis=1), means)


def _ledoit_wolf(covariance: jax.Array, quartic: jax.Array, count: jax.Array, width: int) -> jax.Array:
    """The shrinkage a in [0, 1] from the covariance about the class means and the mean of |r|⁴."""
    square, trace = (covariance**2).sum(), jnp.trace(covariance)
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
)
