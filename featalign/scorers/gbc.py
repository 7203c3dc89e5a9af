"""GBC: overlap of class Gaussians."""

import math

import jax
import jax.numpy as jnp

from featalign.records.score import ScoreResult, Status
from featalign.scorers.scorer import Scorer
from featalign.statistics.class_moments import ClassMoments
from featalign.statistics.class_scatter import ClassScatter
from featalign.statistics.collected import Statistics

VARIANCE_FLOOR = 1e-4


def compute(statistics: Statistics) -> float | ScoreResult | Status:
    """Gaussian Bhattacharyya coefficient with diagonal covariances.

    It is -Σ exp(-B_ij) over ordered pairs i ≠ j, with B_ij = ⅛ Σ_d (μ_i - μ_j)² / v + ½ Σ_d log(v /
    √(v_i v_j)) and v = (v_i + v_j)/2. The class means and variances (over n_c, at least 1e-4) are
    those of the raw features. The value lies in [-C(C - 1), 0]; larger is better. A class of one
    row has the least variance, 1e-4. With many columns the overlap can be too small for a float;
    the value is then 0, and the note gives the logarithm. It costs C² D. Pándy et al.,
    "Transferability Estimation using Bhattacharyya Class Separability", CVPR 2022. The published
    code first reduces features to 64 directions; this one does not.
    """
    return _overlap(float(_diagonal(statistics[ClassScatter])))


def compute_spherical(statistics: Statistics) -> float | ScoreResult | Status:
    """GBC with spherical covariances.

    It is `gbc_diagonal` with the mean of a class's variances (at least 1e-4) in all D directions.
    The published code takes one logarithm in B where the formula has D; this follows the formula.
    """
    return _overlap(float(_spherical(statistics[ClassMoments])))


def _overlap(logarithm: float) -> float | ScoreResult:
    value = -math.exp(logarithm)
    return (
        value
        if value
        else ScoreResult(
            0.0,
            note=f"the overlap is too small for a float: its natural logarithm is {logarithm:.6g}",
        )
    )


@jax.jit
def _diagonal(scatter: ClassScatter) -> jax.Array:
    return _log_overlap(scatter.means, jnp.maximum(scatter.variances(), VARIANCE_FLOOR), repeats=1)


@jax.jit
def _spherical(moments: ClassMoments) -> jax.Array:
    width = moments.means.shape[1]
    variances = moments.spreads / (moments.counts * width)
    floored = jnp.maximum(variances, VARIANCE_FLOOR)[:, None]
    return _log_overlap(moments.means, floored, repeats=width)


def _log_overlap(means: jax.Array, variances: jax.Array, *, repeats: int) -> jax.Array:
    """The logarithm of Σ exp(-B) from means (C, D) and variances.

    The variances are (C, D), or (C, 1) where one stands for `repeats` columns.
    """
    logarithms = jnp.log(variances).sum(axis=1)

    def against(own: tuple[jax.Array, jax.Array, jax.Array, jax.Array]) -> jax.Array:
        index, mean, variance, logarithm = own
        shared = (variances + variance) / 2
        distances = ((means - mean) ** 2 / shared).sum(axis=1) / 8
        distances += repeats * (jnp.log(shared).sum(axis=1) - (logarithms + logarithm) / 2) / 2
        return jax.nn.logsumexp(jnp.where(jnp.arange(len(means)) == index, -jnp.inf, -distances))

    return jax.nn.logsumexp(
        jax.lax.map(against, (jnp.arange(len(means)), means, variances, logarithms))
    )


_SUMMARY = "overlap of class Gaussians, {} (0: none)"
_NEEDS = frozenset({ClassScatter})
_INVARIANCES = frozenset({"shift", "duplication"})
GBC = Scorer("gbc", compute, _NEEDS, _SUMMARY.format("diagonal"), True, invariances=_INVARIANCES)
GBC_DIAGONAL = Scorer(
    "gbc_diagonal",
    compute,
    _NEEDS,
    _SUMMARY.format("diagonal"),
    True,
    invariances=_INVARIANCES,
    variant=True,
)
GBC_SPHERICAL = Scorer(
    "gbc_spherical",
    compute_spherical,
    frozenset({ClassMoments}),
    _SUMMARY.format("spherical"),
    True,
    invariances=_INVARIANCES | {"rotation"},
    variant=True,
)
