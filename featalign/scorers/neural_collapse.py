"""Neural collapse: how tightly classes sit about their means."""

import jax
import jax.numpy as jnp
import numpy as np

from featalign.records.score import Status
from featalign.scorers.scorer import Scorer
from featalign.statistics.class_moments import ClassMoments
from featalign.statistics.collected import Statistics


def compute(statistics: Statistics) -> jax.Array | Status:
    """Class-distance normalised variance, averaged over pairs of classes.

    It is the mean of (V_i + V_j) / (2 |μ_i - μ_j|²), where V is the mean squared distance to the
    class mean. It is at least 0; smaller is better, and 0 is collapse to one point for each class.
    It is not defined where two classes have the same mean. A class of one row has no variance.
    Noise gives a finite value, because |μ_i - μ_j|² is never much below V_i/n_i + V_j/n_j in a
    finite sample. NC1 = tr(S_w S_b⁺)/C would divide by the smallest eigenvalues of the covariance
    of C means. Galanti, György and Hutter, "On the Role of Neural Collapse in Transfer Learning",
    ICLR 2022.
    """
    moments = statistics[ClassMoments]
    spreads, means = np.asarray(moments.spreads), np.asarray(moments.means)
    if not spreads.max() > 0 and not np.ptp(means, axis=0).max() > 0:
        return Status.CONSTANT
    return _normalised_variance(moments)


@jax.jit
def _normalised_variance(moments: ClassMoments) -> jax.Array:
    variances = moments.spreads / moments.counts
    number = len(variances)

    def against(own: tuple[jax.Array, jax.Array, jax.Array]) -> jax.Array:
        index, mean, variance = own
        distances = ((moments.means - mean) ** 2).sum(axis=1)
        return jnp.where(
            jnp.arange(number) == index, 0.0, (variances + variance) / (2 * distances)
        ).sum()

    return jax.lax.map(against, (jnp.arange(number), moments.means, variances)).sum() / (
        number * (number - 1)
    )


NEURAL_COLLAPSE = Scorer(
    "neural_collapse",
    compute,
    frozenset({ClassMoments}),
    "variance within classes over the distance of their means",
    False,
    invariances=frozenset({"rotation", "scale", "shift", "duplication"}),
)
