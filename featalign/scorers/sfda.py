"""SFDA: posterior of a discriminant that was challenged by mixing the classes."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from featalign.scorers.scorer import RowMean, Scorer, Status
from featalign.statistics.class_coordinates import ClassCoordinates, class_coordinates
from featalign.statistics.gather import Statistics
from featalign.statistics.moments import symmetric_product

LANCZOS_STEPS = 60


def compute(statistics: Statistics) -> RowMean | Status:
    """Self-challenging Fisher discriminant: mean posterior of the own class after each row was mixed towards the other classes.

    1. Fit: S = (1 - λ) S_w + λ tr(S_w)/D I, S_w = Σ (n_c/N) cov_c, λ = max(exp(-5 λ_max(S_w)), 1e-10); logits x S⁻¹ μ_c - ½ μ_c S⁻¹ μ_c + log(n_c/N).
    2. p_i = the softmax of the posterior (a softmax twice) at the own class; x_i ← p_i x_i + (1 - p_i) · mean of the other classes' means.
    3. Fit again with the same λ; the value is the mean posterior of the own class, without a logarithm.

    In [0, 1], larger is better. It depends on the scale of the features, through λ, and scores the rows it was fitted on. Beyond 20,000 rows
    the first fit is of all rows, the mixing and the second fit of the seeded sample. Shao et al., "Not All Models Are Equal: Predicting Model
    Transferability in a Self-challenging Fisher Space", ECCV 2022. The authors' code leaves out the logarithm of the paper, and so does this; it
    takes λ_max from six power steps, which here is converged (up to 1e-2 of the value). A variance that only rounding made is not inverted.
    """
    assert statistics.spectrum is not None
    if statistics.spectrum.is_constant:
        return Status.CONSTANT
    return RowMean(np.asarray(_sfda(class_coordinates(statistics), statistics.num_features)))


@jax.jit
def _sfda(data: ClassCoordinates, width: int) -> jax.Array:
    """The posterior of each row (M,)."""
    rows, members = data.rows, jax.nn.one_hot(data.labels, len(data.counts), dtype=data.rows.dtype)
    total = data.counts.sum()
    within, floor = data.within() / total, data.rounding / total
    shrinkage = jnp.maximum(jnp.exp(-5 * largest_eigenvalue(within)), 1e-10)
    posterior = _posterior(rows, data.offsets, data.counts / total, within, shrinkage, width, floor)
    trust = jnp.take_along_axis(jax.nn.softmax(posterior), data.labels[:, None], axis=1)
    others = (data.offsets.sum(axis=0) - data.offsets) / (len(data.counts) - 1)
    mixed = trust * rows + (1 - trust) * others[data.labels]
    counts = members.sum(axis=0)
    means = (members.T @ mixed) / jnp.maximum(counts, 1)[:, None]
    within = symmetric_product(mixed - means[data.labels]) / len(mixed)
    posterior = _posterior(mixed, means, counts / len(mixed), within, shrinkage, width, floor)
    return jnp.take_along_axis(posterior, data.labels[:, None], axis=1)[:, 0]


def _posterior(
    rows: jax.Array, means: jax.Array, priors: jax.Array, within: jax.Array, shrinkage: jax.Array, width: Any, floor: jax.Array
) -> jax.Array:
    """Class posteriors (M, C) of a discriminant whose covariance is shrunk towards its mean variance over `width` columns."""
    ridge = jnp.maximum(shrinkage * jnp.trace(within) / width, floor)
    shrunk = (1 - shrinkage) * within + ridge * jnp.eye(len(within))
    coefficients = jax.scipy.linalg.solve(shrunk, means.T, assume_a="pos")
    intercepts = jnp.log(priors) - (means * coefficients.T).sum(axis=1) / 2
    return jax.nn.softmax(rows @ coefficients + intercepts)


def largest_eigenvalue(matrix: jax.Array) -> jax.Array:
    """The largest eigenvalue of a symmetric matrix (R, R) without negative ones, to 1e-10 of it.

    By 60 Lanczos steps with full reorthogonalisation, from a vector drawn once for all, to which a
    direction is orthogonal by chance alone; where their error may be larger (Kato 1949: |r|² over
    the gap to the next, and |r|) by a full decomposition.
    """
    size = len(matrix)
    steps = min(LANCZOS_STEPS, size)
    start = jnp.asarray(np.random.default_rng(0).normal(size=size), matrix.dtype)
    start = start / jnp.linalg.norm(start)

    def step(index: jax.Array, basis: jax.Array) -> jax.Array:
        vector = matrix @ basis[index - 1]
        scale = jnp.abs(vector).max()
        vector = vector / jnp.where(scale > 0, scale, 1.0)
        for _ in range(2):
            vector = vector - basis.T @ (basis @ vector)
        norm = jnp.linalg.norm(vector)
        return basis.at[index].set(jnp.where(norm > 1e-10, vector / jnp.where(norm > 0, norm, 1.0), 0.0))

    basis = jax.lax.fori_loop(1, steps, step, jnp.zeros((steps, size), matrix.dtype).at[0].set(start))
    image = basis @ matrix
    values, vectors = jnp.linalg.eigh(image @ basis.T)
    largest, weights = values[-1], vectors[:, -1]
    left = jnp.linalg.norm(weights @ image - largest * (weights @ basis))
    gap = largest - values[-2] if steps > 1 else largest
    error = jnp.minimum(left, left**2 / jnp.where(gap > 0, gap, 1.0))
    return jax.lax.cond(
        error <= 1e-10 * largest,
        lambda: largest,
        lambda: jnp.linalg.eigvalsh(matrix)[-1],
    )


SFDA = Scorer(
    "sfda",
    compute,
    frozenset({"moments", "label_moments", "spectrum", "rows"}),
    "posterior of a self-challenged Fisher discriminant",
    True,
    invariances=frozenset({"rotation", "shift", "duplication"}),
)
