"""PACTran-Gaussian: a PAC-Bayes bound on the loss of a linear head."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from featalign.records.score import Status
from featalign.scorers.logistic import clean_start, minimise, with_intercept
from featalign.scorers.scorer import Influenced, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.rows import Rows
from featalign.statistics.spectrum import Spectrum

PENALTY_FACTOR = 1.0
MAX_ROWS = 5000
MAX_STEPS = 500
GAP = 1e-13
ZERO_GAP, ZERO_ERROR = 1e-4, 0.03
ALLOWED_ERROR = 1e-4


def compute(statistics: Statistics) -> Influenced | Status:
    """PAC-Bayes bound of a linear head with a Gaussian prior and posterior.

    It is L(W) + |W|²/(2λσ²) + KD/(2λ) log(1 + λσ²/(KD) tr ∇²L(W)).

    L is the mean cross-entropy of softmax(W x + b), where x are the centred features (N, D) and K
    is the number of classes. W and the free b minimise the first two terms; λσ² = N, and the
    prior's variance is σ² = 1/D. This is the minimum over isotropic posteriors of expected loss (to
    second order) + KL / λ. The value is an error: at least 0, and smaller is better. It depends on
    the scale of the features. Ding et al., "PACTran: PAC-Bayesian Metrics for Estimating the
    Transferability of Pretrained Models to Classification Tasks", ECCV 2022. Its code sums the
    second derivatives over rows where the loss is a mean, adds those of b, starts at random, stops
    after 100 steps, and prints a grid of N/λσ² and σ². Here the trace is that of L in W, the start
    is zero, and λσ² and σ² are in the middle of that grid. The fit goes on until the loss is within
    1e-13 of its minimum; where 500 steps leave the value wrong by 1e-4, the score is a status. The
    interval holds W fixed in the trace. Beyond 5000 rows the bound is that of a seeded sample.
    """
    fitted = _bound(statistics, gap=GAP, allowed_error=ALLOWED_ERROR)
    if isinstance(fitted, Status):
        return fitted
    value, share, losses, traces = fitted
    return Influenced(
        value,
        lambda: (
            np.asarray(losses)
            + share
            * np.asarray(traces)
            / max(float(np.asarray(traces).mean()), np.finfo(float).tiny)
        ),
    )


def permuted(relabelled: Sequence[Statistics]) -> list[float]:
    """The values for several orders of the labels, from fits that end sooner.

    The values spread far more than these fits are off.
    """
    bounds = [
        _bound(statistics, gap=ZERO_GAP, allowed_error=ZERO_ERROR) for statistics in relabelled
    ]
    return [float("nan") if isinstance(bound, Status) else bound[0] for bound in bounds]


def _bound(
    statistics: Statistics, *, gap: float, allowed_error: float
) -> tuple[float, float, jax.Array, jax.Array] | Status:
    """The bound, its change with a relative change of the trace, and the rows' losses and traces.

    Losses and traces are (M,).
    """
    rows, spectrum = statistics[Rows], statistics[Spectrum]
    prior = PENALTY_FACTOR * len(rows.labels)
    # these units of features and weights give the loss a curvature of about 1
    unit = 1 / np.sqrt(float(spectrum.eigenvalues[0]) / statistics.num_rows + 1 / prior)
    if (
        spectrum.basis_is_left
    ):  # N coordinates in place of D: the bound is the same in any orthonormal basis
        scaled = np.asarray(spectrum.basis)[rows.numbers] * (
            unit * np.sqrt(np.asarray(spectrum.eigenvalues))
        )
    else:
        scaled = (rows.features.astype(np.float64) - np.asarray(spectrum.mean)) * unit
    fitted = _fitted(
        jnp.asarray(scaled),
        jnp.asarray(rows.labels),
        unit**2 / prior,
        gap,
        num_classes=statistics.num_classes,
    )
    loss, trace, left, imbalance = (float(value) for value in fitted[:4])
    losses, traces = fitted[4:]
    weight, ratio = (
        statistics.num_classes / (2 * prior),
        prior / (statistics.num_classes * statistics.num_features) * trace / unit**2,
    )
    # with the slopes out of balance, the trace of a nearly perfect fit is wrong by about as much
    if not left + weight * imbalance * ratio / (1 + ratio) <= allowed_error:
        return Status.NOT_CONVERGED
    return loss + weight * float(np.log1p(ratio)), weight * ratio / (1 + ratio), losses, traces


@partial(jax.jit, static_argnames=("num_classes",))
def _fitted(
    features: jax.Array,
    labels: jax.Array,
    penalty: jax.Array | float,
    gap: float,
    *,
    num_classes: int,
) -> tuple[Any, ...]:
    """The least loss with penalty/2 |W|², and what tells how good it is.

    After it come the trace of the loss's second derivatives in W, how far from the least the loss
    may be, and the slope's share. Then come the loss and the trace of each row (M,). The slope's
    share, in [0, 1], compares the slope that is left with that of the penalty alone. It is 0 where
    both parts of the loss balance.
    """
    count, width = features.shape
    rows = with_intercept(features)
    members = jax.nn.one_hot(labels, num_classes, dtype=rows.dtype)
    shrinkage = penalty * (jnp.arange(width + 1) < width)[None, :, None]
    weights = jnp.full((count, 1), 1 / count)
    start = clean_start(rows, members, weights)
    fitted = minimise(rows, members, weights, penalty, start=start, gap=gap, max_steps=MAX_STEPS)
    parameters = fitted.parameters[:, 0]
    logits = rows @ parameters
    shares = jax.nn.softmax(logits)
    slope = rows.T @ (shares - members) / count + shrinkage[0] * parameters
    losses = -(jax.nn.log_softmax(logits) * members).sum(axis=1)
    loss = losses.mean() + (shrinkage[0] * parameters**2).sum() / 2
    traces = (shares * (1 - shares)).sum(axis=1) * (features**2).sum(axis=1)
    trace = traces.mean()
    left, pull = jnp.linalg.norm(slope), jnp.linalg.norm(shrinkage[0] * parameters)
    gap = left**2 / (2 * penalty)  # the loss is strongly convex
    return (
        loss,
        trace,
        gap,
        left / jnp.maximum(jnp.maximum(left, pull), jnp.finfo(rows.dtype).tiny),
        losses,
        traces,
    )


PACTRAN = Scorer(
    "pactran",
    compute,
    frozenset({Spectrum, Rows}),
    "PAC-Bayes bound on the loss of a linear head",
    False,
    invariances=frozenset({"rotation", "shift"}),
    max_rows=MAX_ROWS,
    permuted=permuted,
)
