"""Ridge probe: leave-one-out accuracy of ridge regression on the labels."""

import jax
import jax.numpy as jnp
import numpy as np

from featalign.scorers.scorer import ALL_TASKS, Influenced, RowMean, Scorer, Status
from featalign.statistics.gather import Statistics, label_columns
from featalign.statistics.spectrum import Spectrum

RELATIVE_PENALTIES = tuple(float(10.0**power) for power in np.arange(-4, 3.5, 0.5))


def compute(statistics: Statistics) -> RowMean | Influenced | Status:
    """Leave-one-out accuracy of ridge regression on the one-hot labels; R² (mean over columns) for float targets.

    For several labels a row the mean share of labels that are right, where a prediction above ½ means yes.

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
    spectrum, features = statistics.spectrum, statistics.rows.features
    directions = statistics.once("left vectors", lambda: left_vectors(spectrum, jnp.asarray(features)))
    predictions = np.asarray(_leave_one_out(spectrum, directions, targets, jnp.asarray(RELATIVE_PENALTIES)))
    if statistics.task == "classification":
        return RowMean((predictions.argmax(axis=1) == statistics.rows.labels).astype(np.float64), hits=True)
    if statistics.task == "multilabel":
        return RowMean(((predictions > 0.5) == statistics.rows.labels).mean(axis=1))
    return explained(statistics.rows.labels, predictions)


def explained(targets: np.ndarray, predictions: np.ndarray) -> Influenced | Status:
    """R² of predictions (M, K), mean over columns: 1 - Σ (y - ŷ)² / Σ (y - ȳ)²."""
    squares, errors = (targets - targets.mean(axis=0)) ** 2, (targets - predictions) ** 2
    if not (targets.max(axis=0) > targets.min(axis=0)).all():
        return Status.UNDEFINED
    missed, present = errors.mean(axis=0), squares.mean(axis=0)
    return Influenced(float((1 - missed / present).mean()), lambda: (missed / present**2 * squares - errors / present).mean(axis=1))


@jax.jit
def left_vectors(spectrum: Spectrum, features: jax.Array) -> jax.Array:
    """Rows of U (M, R); compiled."""
    return spectrum.left_vectors(features)


@jax.jit
def _leave_one_out(spectrum: Spectrum, directions: jax.Array, targets: jax.Array, relative_penalties: jax.Array) -> jax.Array:
    """Leave-one-out predictions (M, K) under the best penalty."""
    values = spectrum.eigenvalues
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
    tasks=ALL_TASKS,
    invariances=frozenset({"rotation", "scale", "shift"}),
)
