"""LogME: the evidence of a Bayesian linear model."""

import jax
import jax.numpy as jnp
import numpy as np

from featalign.records.score import ScoreResult, Status
from featalign.scorers.scorer import ALL_TASKS, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.spectrum import Spectrum

FIXED_POINT_STEPS, MAX_STEPS = 200, 1000
SHORTFALL = 0.1
_Pair = tuple[jax.Array, jax.Array]


def compute(statistics: Statistics) -> float | ScoreResult | Status:
    """The logarithm of the maximum evidence per row, averaged over label columns y.

    It is the mean of log N(y; 0, I/β + F Fᵀ/α) / N. Features are not centred, and all D terms of
    the determinant count, so that noise with D > N is not rewarded. For each column α and β are the
    fixed point of γ = Σ σ/(σ+t), t = α/β, α = γ/(|w|² + 1e-5), β = (N - γ)/(|y - F w|² + 1e-5) that
    is reached from α = β = 1. It is a maximum of N evidence - 1e-5 (α + β)/2. The steps may go
    round in a circle. Where t still changes by more than 1e-13 after 200 steps, bisection finds the
    next root in their direction; where there is none, the score is a status. A note says when the
    value is below the evidence without features, because the published constants 1e-5 then hold the
    weights down. The value is unbounded; larger is better. After the spectrum it costs O(R) a step
    and column. You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer
    Learning", ICML 2021.
    """
    if not float(statistics.activity.largest) > 0:
        return Status.UNDEFINED
    values, settled, alone = (np.asarray(part) for part in log_evidence(statistics[Spectrum]))
    if not settled.all():
        return Status.NOT_CONVERGED
    value, without = float(values.mean()), float(alone.mean())
    if not SHORTFALL < without - value < np.inf:
        return value
    note = f"below the {without:.3g} without features: scale them to about 1"
    return ScoreResult(value, note=note)


@jax.jit
def log_evidence(spectrum: Spectrum) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The evidence per row of each label column (K,), whether its fit ended, and without features.

    In the orthonormal basis (1/√N, U) the Gram F Fᵀ is the arrowhead [[N|μ|², cᵀ], [c, Λ]] with c =
    √(NΛ) Vᵀμ, whose resolvent has a closed form. With s = t + N(|μ⊥|² + t Σ m²/(Λ+t)), log det(F Fᵀ
    + t) = log s + Σ log(Λ+t). The sums below are arranged so that no large terms cancel, whatever
    the scale.
    """
    count, values, means = spectrum.count, spectrum.eigenvalues, spectrum.mean_projections
    coupling = jnp.sqrt(count * values) * means

    live = values > 0
    empty = jnp.maximum(count - 1 - live.sum(), 0.0)  # the number of directions without variance

    def column(first: jax.Array, projections: jax.Array, outside: jax.Array) -> _Pair:
        def solve(ratio: jax.Array) -> tuple[jax.Array, ...]:
            """γ, N - γ, |w|², |y - F w|² and s at t = ratio."""
            shifted = values + ratio
            pivot = ratio + count * (spectrum.mean_remainder + ratio * jnp.sum(means**2 / shifted))
            head = (first - jnp.sum(coupling * projections / shifted)) / pivot
            tail = (projections - coupling * head) / shifted
            residual = ratio**2 * (head**2 + tail @ tail) + outside
            weights = (
                jnp.sqrt(values) * projections + jnp.sqrt(count) * means * (ratio * head)
            ) / shifted
            size = weights @ weights + count * spectrum.mean_remainder * head**2
            effective = (
                jnp.sum(values / shifted)
                + count
                * (spectrum.mean_remainder + ratio**2 * jnp.sum((means / shifted) ** 2))
                / pivot
            )
            free = jnp.sum(jnp.where(live, ratio / shifted, 0.0))
            left = empty + free + ratio * (1 + jnp.sum((coupling / shifted) ** 2)) / pivot
            return effective, left, size, residual, pivot

        def precisions(ratio: jax.Array) -> _Pair:
            effective, left, size, residual, _ = solve(ratio)
            return effective / (size + 1e-5), left / (residual + 1e-5)

        def follow(ratio: jax.Array) -> jax.Array:
            alpha, beta = precisions(ratio)
            return alpha / beta

        def step(state: tuple) -> tuple:
            """A step of the fixed point; after 200 steps, a stride to the root or a bisection."""
            ratio, near, far, rises, _, taken = state
            following, iterates = follow(ratio), taken < FIXED_POINT_STEPS
            rises = jnp.where(iterates, following > ratio, rises)
            passed = (following > ratio) != rises
            near, far = jnp.where(passed, near, ratio), jnp.where(passed, ratio, far)
            between = jnp.sqrt(near) * jnp.sqrt(far)
            tried = jnp.where(jnp.isnan(far), near * jnp.where(rises, 2.0, 0.5), between)
            moved, width = jnp.abs(following - ratio) / ratio, jnp.abs(far - near) / near
            change = jnp.where(iterates, moved, width)
            return jnp.where(iterates, following, tried), near, far, rises, change, taken + 1

        def goes_on(state: tuple) -> jax.Array:
            return ~(state[4] <= 1e-13) & (state[5] < MAX_STEPS)

        one, unknown = jnp.ones(()), jnp.full((), jnp.nan)
        start = (one, one, unknown, jnp.zeros((), bool), unknown, 0)
        ratio = jax.lax.while_loop(goes_on, step, start)[0]
        alpha, beta = precisions(ratio)
        ended = jnp.abs(alpha / beta - ratio) < 1e-8 * ratio
        ratio = alpha / beta
        _, _, size, residual, pivot = solve(ratio)
        determinant = jnp.log(pivot / ratio) + jnp.sum(jnp.log1p(values / ratio))
        misfit = beta * residual + alpha * size
        evidence = count * jnp.log(beta / (2 * jnp.pi)) - determinant - misfit
        return evidence / (2 * count), ended

    outside = jnp.maximum(spectrum.label_squares - (spectrum.label_projections**2).sum(axis=0), 0.0)
    firsts = jnp.sqrt(count) * spectrum.label_means
    found, ended = jax.vmap(column, in_axes=(0, 1, 0))(firsts, spectrum.label_projections, outside)
    squares = (firsts**2 + spectrum.label_squares) / count
    alone = jnp.where(squares > 0, -(jnp.log(2 * jnp.pi * squares) + 1) / 2, -jnp.inf)
    return found, ended, alone


LOGME = Scorer(
    "logme",
    compute,
    frozenset({Spectrum}),
    "evidence of a Bayesian linear model, per row",
    larger_is_better=True,
    tasks=ALL_TASKS,
    invariances=frozenset({"rotation"}),
)
