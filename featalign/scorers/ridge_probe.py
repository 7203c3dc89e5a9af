"""Ridge probe: leave-one-out accuracy of ridge regression on the labels."""

import jax
import jax.numpy as jnp
import numpy as np

from featalign.scorers.scorer import BOTH, Scorer, Status
from featalign.statistics.gather import Statistics, label_columns
from featalign.statistics.spectrum import Spectrum

RELATIVE_PENALTIES = tuple(float(10.0**power) for power in np.arange(-4, 3.5, 0.5))


def compute(statistics: Statistics) -> float | Status:
    """Leave-one-out accuracy of ridge regression on the one-hot labels; R² (mean over columns) for float targets.

    Leaving row i out changes its residual to (y_i - ŷ_i) / (1 - h_i), h the diagonal of the hat matrix with a free intercept, so one
    eigendecomposition serves all rows and penalties exactly. The penalty, 1e-4 ... 1e3 times the mean eigenvalue, is the one with the
    smallest sum of squared leave-one-out residuals. Larger is better. Allen, "The relationship between variable selection and data
    augmentation and a method for prediction", 1974.
    """
    assert statistics.spectrum is not None
    assert statistics.rows is not None
    if statistics.num_rows < 3:
        return Status.TOO_FEW_ROWS
    if statistics.spectrum.is_constant:
        return Status.CONSTANT
    targets = jnp.asarray(label_columns(statistics.rows.labels, statistics.num_classes))
    predictions = _leave_one_out(statistics.spectrum, jnp.asarray(statistics.rows.features), targets, jnp.asarray(RELATIVE_PENALTIES))
    if statistics.num_classes:
        return float(np.mean(np.asarray(predictions).argmax(axis=1) == statistics.rows.labels))
    centred = targets - targets.mean(axis=0)
    squares = (centred**2).sum(axis=0)
    if not bool((squares > 0).all()):
        return Status.UNDEFINED
    return float((1 - ((targets - predictions) ** 2).sum(axis=0) / squares).mean())


@jax.jit
def _leave_one_out(spectrum: Spectrum, features: jax.Array, targets: jax.Array, relative_penalties: jax.Array) -> jax.Array:
    """Leave-one-out predictions (M, K) under the best penalty."""
    values = spectrum.eigenvalues
    directions = spectrum.left_vectors(features)
    penalties = relative_penalties * values.sum() / (values > 0).sum()

    def residuals(penalty: jax.Array) -> jax.Array:
        shrink = values / (values + penalty)
        fitted = spectrum.label_means + directions @ (shrink[:, None] * spectrum.label_projections)
        leverage = 1 / spectrum.count + (directions**2) @ shrink
        return (targets - fitted) / jnp.maximum(1 - leverage, 1e-12)[:, None]

    errors = jax.lax.map(lambda penalty: (residuals(penalty) ** 2).sum(), penalties)
    return targets - residuals(penalties[errors.argmin()])


RIDGE_PROBE = Scorer(
    "ridge_probe",
    compute,
    frozenset({"spectrum", "rows"}),
    "leave-one-out accuracy (or R²) of ridge regression",
    True,
    tasks=BOTH,
    invariances=frozenset({"rotation", "scale", "shift"}),
)
