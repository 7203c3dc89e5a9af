"""H-score, plain and shrunk."""

import jax
import jax.numpy as jnp

from featalign.scorers.scorer import Scorer, Status
from featalign.statistics.gather import Statistics
from featalign.statistics.moments import Moments
from featalign.statistics.spectrum import Spectrum


def compute(statistics: Statistics) -> jax.Array | Status:
    """H-score: tr(cov(F)⁺ cov(E[F | y])), both covariances with N - 1.

    In [0, min(C - 1, D)], larger is better; at N <= D it is C - 1 for generic features and says nothing: use the shrunk form.
    Bao et al., "An Information-Theoretic Approach to Transferability in Task Transfer Learning", ICIP 2019.
    """
    assert statistics.spectrum is not None
    return _h_score(statistics.spectrum, statistics.class_moments.counts)


def compute_shrunk(statistics: Statistics) -> jax.Array | Status:
    """H-score with the covariance shrunk: tr(cov_a(F)⁻¹ (1 - a) cov(E[F | y])), a by Ledoit and Wolf.

    cov_a = (1 - a) cov + a tr(cov)/D I with cov over N, the covariance of class means over N - 1. Larger is better.
    Ibrahim, Ponomareva and Mazumder, "Newer is Not Always Better: Rethinking Transferability Metrics", 2021; a from
    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004.
    """
    assert statistics.spectrum is not None
    assert statistics.moments is not None
    if statistics.spectrum.is_constant:
        return Status.CONSTANT
    return _h_score_shrunk(statistics.spectrum, statistics.moments, statistics.class_moments.counts, statistics.num_features)


def _between(spectrum: Spectrum, counts: jax.Array) -> jax.Array:
    """Per direction of U the square of the labels' share: Σ_c (u·y_c)² / n_c, (R,)."""
    return (spectrum.label_projections**2 / counts).sum(axis=1)


@jax.jit
def _h_score(spectrum: Spectrum, counts: jax.Array) -> jax.Array:
    return _between(spectrum, counts).sum()


@jax.jit
def _h_score_shrunk(spectrum: Spectrum, moments: Moments, counts: jax.Array, width: int) -> jax.Array:
    count = spectrum.count
    shrinkage, average = ledoit_wolf(spectrum, moments, width)
    shrunk = (1 - shrinkage) * spectrum.eigenvalues / count + shrinkage * average
    between = spectrum.eigenvalues * _between(spectrum, counts) / (count - 1)
    return (1 - shrinkage) * jnp.sum(jnp.where(between > 0, between / jnp.where(between > 0, shrunk, 1.0), 0.0))


def ledoit_wolf(spectrum: Spectrum, moments: Moments, width: int) -> tuple[jax.Array, jax.Array]:
    """The shrinkage a in [0, 1] and the mean variance tr(cov)/D.

    With cov over N and m = tr(cov)/D: δ² = |cov - m I|² , β² = (Σ|z|⁴/N - |cov|²)/N, a = min(β², δ²)/δ².
    """
    count = spectrum.count
    trace = spectrum.eigenvalues.sum() / count
    square = (spectrum.eigenvalues**2).sum() / count**2
    average = trace / width
    distance = square - trace * average
    noise = jnp.maximum((moments.quartic / count - square) / count, 0.0)
    return jnp.where(distance > 0, jnp.minimum(noise, distance) / jnp.where(distance > 0, distance, 1.0), 0.0), average


_INVARIANCES = frozenset({"rotation", "scale", "shift"})
H_SCORE = Scorer(
    "h_score", compute, frozenset({"spectrum", "label_moments"}), "share of class means in the whitened features", True, invariances=_INVARIANCES
)
H_SCORE_SHRUNK = Scorer(
    "h_score_shrunk",
    compute_shrunk,
    frozenset({"spectrum", "moments", "label_moments"}),
    "H-score with the Ledoit-Wolf covariance",
    True,
    invariances=_INVARIANCES,
)
