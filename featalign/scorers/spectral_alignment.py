"""Spectral alignment: the error of ridge regression on new rows that the spectrum predicts."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from featalign.arrays import check_features, check_labels
from featalign.errors import FeatalignError
from featalign.records.score import ScoreResult, Status
from featalign.scorers.label_overlap import can_share, label_shares
from featalign.scorers.scorer import ALL_TASKS, Scorer, evaluate
from featalign.statistics.collected import Statistics
from featalign.statistics.gather import gather
from featalign.statistics.precision import double_precision
from featalign.statistics.spectrum import Spectrum

RELATIVE_RIDGES = tuple(float(10.0**power) for power in np.arange(-6, 4.25, 0.25))
SMALLER_RIDGES = (1e-14, 1e-12, 1e-10, 1e-8, 1e-7)  # these serve a note alone
FALLS, NOTHING = 0.01, 1e-6  # the least relative fall, and the least error, that are worth a note


def compute(statistics: Statistics) -> float | ScoreResult | Status:
    """Predicted error of ridge regression on the labels at the target's own N.

    It is the mean squared error over the variance of the labels, in [0, 1]. Smaller is better; 1
    means that the mean does as well.

    The theory is that of kernel regression. With eigenvalues η_k, power c_k of the labels in
    direction k and power σ² outside all of them,

        E(P) = [Σ c_k κ²/(η_k + κ)² + σ²] / (1 - γ),
        κ = ridge + (κ/P) Σ η_k/(η_k + κ),  γ = (1/P) Σ η_k²/(η_k + κ)²

    (κ over P in the papers' notation). η and c belong to the population; with those of the sample
    in their place the theory would predict 0 wherever D >= N. Both sums are instead estimated
    consistently at each ridge ℓ, from the eigenvalues e_k (of Zᵀ Z / n, zeros included, n = N - 1)
    and the shares s_k of the labels: 1/κ = mean 1/(e_k + ℓ), 1 - γ = (mean 1/(e_k + ℓ))² / mean
    1/(e_k + ℓ)² at P = n, and the bracket is Σ s_k (e_k + ℓ)⁻² / mean (e_k + ℓ)⁻². At P = n that is
    the generalised cross-validation error n RSS / tr(I - H)². Noise is part of the bracket and
    needs no estimate of its own. The ridge is the best of 1e-6 ... 1e4 times the mean eigenvalue
    and infinity. A note says where a smaller one errs less, which happens where a few columns of
    huge scale hide the others. Bordelon, Canatar and Pehlevan, "Spectrum Dependent Learning Curves
    in Kernel Regression and Wide Neural Networks", ICML 2020; Canatar et al., "A Spectral Theory of
    Neural Prediction and Alignment", NeurIPS 2023. The estimates are from Jacot et al., "Kernel
    Alignment Risk Estimator", NeurIPS 2020.
    """
    status = _unfit(statistics)
    if status is not None:
        return status
    (value,), (falls,) = _errors(statistics, np.array([statistics.num_rows]))
    note = "a ridge below the smallest of those tried errs less" if falls else ""
    return ScoreResult(float(value), note=note)


def spectral_curve(
    features: object, labels: object, sizes: Sequence[int] | None = None
) -> dict[int, float]:
    """The predicted error by number of training rows.

    `spectral_alignment` is the point of this curve at N. `sizes` are at least 2, and by default
    about ten up to N. Beyond N the curve extrapolates and sees no direction that N rows do not
    show. Errors are mean squared errors over the variance of the labels, at the best ridge for each
    size; the mean of the labels achieves 1. Raises FeatalignError for shapes or sizes that cannot
    be used, and where `spectral_alignment` has no value.

    >>> import numpy as np
    >>> labels = np.arange(60) % 3
    >>> features = np.random.default_rng(0).normal(size=(60, 5)) + 2 * np.eye(3, 5)[labels]
    >>> curve = spectral_curve(features, labels, [10, 60])
    >>> 1 > curve[10] > curve[60] > 0
    True
    """
    rows = check_features(features)
    default = np.unique(np.geomspace(2, max(2, len(rows)), 10).astype(int)).tolist()
    wanted = default if sizes is None else [int(size) for size in sizes]
    if not wanted or min(wanted) < 2:
        raise FeatalignError(
            f"sizes: expected numbers of rows of at least 2, got {wanted}; one row shows no "
            "direction"
        )
    statistics = gather(rows, check_labels(labels, len(rows)), SPECTRAL_ALIGNMENT.needs)
    with double_precision():
        result = evaluate(SPECTRAL_ALIGNMENT, statistics)
        if not result.ok:
            raise FeatalignError(
                "features, labels: expected data with a spectral alignment; it has none: "
                f"{result.status.explanation}"
            )
        return dict(zip(wanted, _errors(statistics, np.array(wanted))[0].tolist(), strict=True))


def _unfit(statistics: Statistics) -> Status | None:
    spectrum = statistics[Spectrum]
    if statistics.num_rows < 3:
        return Status.TOO_FEW_ROWS
    if spectrum.is_constant:
        return Status.CONSTANT
    return None if can_share(spectrum, statistics.task) else Status.UNDEFINED


def _errors(statistics: Statistics, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Predicted errors at numbers of rows (S,), and whether a ridge below all tried ones errs less.

    The mean takes up one of the rows.
    """
    spectrum = statistics[Spectrum]
    shares = label_shares(spectrum, statistics.task)
    degrees = statistics.num_rows - 1.0
    errors = _curve(spectrum.eigenvalues, shares, degrees, sizes - 1.0)
    smaller, tried = np.split(np.asarray(errors), [len(SMALLER_RIDGES)])
    least = np.minimum(tried.min(axis=0), 1.0)
    return least, (smaller.min(axis=0) < (1 - FALLS) * least) & (least > NOTHING)


@jax.jit
def _curve(
    eigenvalues: jax.Array,
    shares: jax.Array | np.ndarray,
    count: float,
    sizes: jax.Array | np.ndarray,
) -> jax.Array:
    """Errors (L, S) at each ridge, smaller ones first, and size; infinite where there is none."""
    values = eigenvalues / eigenvalues[0]
    others = jnp.maximum(count - len(values), 0.0)  # the number of directions without variance
    rank = (values > 0).sum()
    # where the features span all directions, only rounding would be left outside of them
    outside = jnp.where(rank < count, jnp.maximum(1 - shares.sum(), 0.0), 0.0)
    # with N <= D the last of the R = N directions is that of the mean
    present = jnp.arange(len(values)) < count
    average = values.sum() / rank

    def at(relative: jax.Array) -> jax.Array:
        """Errors (S,) at one ridge, infinite where no positive ridge fits so few rows."""
        ridge = relative * average
        shrink = jnp.where(present, ridge / (values + ridge), 0.0)  # ℓ/(e + ℓ)
        first, second = (shrink.sum() + others) / count, ((shrink**2).sum() + others) / count
        bracket = ((shares * shrink**2).sum() + outside) / second
        used = count * (1 - first)  # Σ η/(η + κ)
        variance = count * (1 - first**2 / second) / sizes
        return jnp.where(
            (sizes >= used) & (variance < 1),
            bracket / jnp.where(variance < 1, 1 - variance, 1.0),
            jnp.inf,
        )

    return jax.lax.map(at, jnp.asarray(SMALLER_RIDGES + RELATIVE_RIDGES))


SPECTRAL_ALIGNMENT = Scorer(
    "spectral_alignment",
    compute,
    frozenset({Spectrum}),
    "predicted error of ridge regression (1: the mean does as well)",
    False,
    ALL_TASKS,
    invariances=frozenset({"rotation", "scale", "shift"}),
)
