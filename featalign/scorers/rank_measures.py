"""How many directions the features use: RankMe, participation ratio, stable rank."""

import jax
import jax.numpy as jnp
import numpy as np

from featalign.records.score import Status
from featalign.scorers.scorer import ALL_TASKS, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.decomposition import (
    largest_uncentred_eigenvalue,
    uncentred_eigenvalues,
)
from featalign.statistics.spectrum import Spectrum


def rankme(statistics: Statistics) -> jax.Array | Status:
    """RankMe: exp(-Σ p log p) with p = s/Σs + 1e-7.

    s are the min(N, D) singular values of the features as they are. The value goes from about 1
    (one direction) to min(N, D) (all directions alike); larger is better in the paper. Garrido et
    al., "RankMe: Assessing the Downstream Performance of Pretrained Self-Supervised Representations
    by Their Rank", ICML 2023.
    """
    if not float(statistics.activity.largest) > 0:
        return Status.CONSTANT
    return _rankme(statistics[Spectrum])


@jax.jit
def _rankme(spectrum: Spectrum) -> jax.Array:
    values = jnp.sqrt(uncentred_eigenvalues(spectrum))
    shares = values / values.sum() + 1e-7
    return jnp.exp(-(shares * jnp.log(shares)).sum())


def participation_ratio(statistics: Statistics) -> float | Status:
    """Participation ratio: (Σ λ)² / Σ λ², where λ are the eigenvalues of the centred scatter.

    It goes from 1 (one direction) to min(N - 1, D) (all directions alike). Gao et al., "A theory of
    multineuronal dimensionality, dynamics and measurement", 2017.
    """
    spectrum = statistics[Spectrum]
    if spectrum.is_constant:
        return Status.CONSTANT
    values = np.asarray(spectrum.eigenvalues)
    values = values / values[0]
    return float(values.sum() ** 2 / (values**2).sum())


def stable_rank(statistics: Statistics) -> jax.Array | Status:
    """Stable rank: |F|² / |F|₂² of the features as they are.

    That is the squared Frobenius norm over the squared spectral norm. It goes from 1 (one
    direction) to min(N, D). Rudelson and Vershynin, "Sampling from large matrices", 2007.
    """
    if not float(statistics.activity.largest) > 0:
        return Status.CONSTANT
    return _stable_rank(statistics[Spectrum])


@jax.jit
def _stable_rank(spectrum: Spectrum) -> jax.Array:
    total = spectrum.eigenvalues.sum() + spectrum.count * (
        (spectrum.mean_projections**2).sum() + spectrum.mean_remainder
    )
    return total / largest_uncentred_eigenvalue(spectrum)


_SPECTRUM = frozenset({Spectrum})
_INVARIANCES = frozenset({"rotation", "scale", "duplication"})
RANKME = Scorer(
    "rankme",
    rankme,
    _SPECTRUM,
    "effective number of directions (entropy of singular values)",
    True,
    ALL_TASKS,
    False,
    _INVARIANCES,
)
PARTICIPATION_RATIO = Scorer(
    "participation_ratio",
    participation_ratio,
    _SPECTRUM,
    "effective number of directions (variances)",
    None,
    ALL_TASKS,
    False,
    _INVARIANCES | {"shift"},
)
STABLE_RANK = Scorer(
    "stable_rank",
    stable_rank,
    _SPECTRUM,
    "squared Frobenius over squared spectral norm",
    None,
    ALL_TASKS,
    False,
    _INVARIANCES,
)
