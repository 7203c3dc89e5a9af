"""LogME: the evidence of a Bayesian linear model."""

import jax
import jax.numpy as jnp
import numpy as np

from featalign.scorers.scorer import ALL_TASKS, Scorer, Status
from featalign.statistics.gather import Statistics
from featalign.statistics.spectrum import Spectrum


def compute(statistics: Statistics) -> float | Status:
    """Logarithm of maximum evidence, per row: mean over label columns y of log N(y; 0, I/β + F Fᵀ/α) / N.

    Features are not centred, and all D terms of the determinant count, so that noise with D > N is not rewarded. α and β
    maximise the evidence by the fixed point γ = Σ σ/(σ+t), t = α/β, α = γ/(|w|² + 1e-5), β = (N - γ)/(|y - F w|² + 1e-5), from
    α = β = 1 for each column until t changes by less than 1e-13. Unbounded, larger is better. Cost: O(R) a step and column after the spectrum.
    You et al., "LogME: Practical Assessment of Pre-trained Models for Transfer Learning", ICML 2021.
    """
    assert statistics.spectrum is not None
    return float(np.mean(np.asarray(log_evidence(statistics.spectrum))))


@jax.jit
def log_evidence(spectrum: Spectrum) -> jax.Array:
    """The evidence per row of each label column (K,).

    In the orthonormal basis (1/√N, U) the Gram F Fᵀ is the arrowhead [[N|μ|², cᵀ], [c, Λ]] with c = √(NΛ) Vᵀμ, whose
    resolvent is closed: with s = t + N(|μ⊥|² + t Σ m²/(Λ+t)), log det(F Fᵀ + t) = log s + Σ log(Λ+t). The sums below are
    arranged so that no large terms cancel, whatever the scale.
    """
    count, values, means = spectrum.count, spectrum.eigenvalues, spectrum.mean_projections
    coupling = jnp.sqrt(count * values) * means

    def column(first: jax.Array, projections: jax.Array, outside: jax.Array) -> jax.Array:
        def solve(ratio: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
            """γ, |w|², |y - F w|² and s at t = ratio."""
            shifted = values + ratio
            pivot = ratio + count * (spectrum.mean_remainder + ratio * jnp.sum(means**2 / shifted))
            head = (first - jnp.sum(coupling * projections / shifted)) / pivot
            tail = (projections - coupling * head) / shifted
            residual = ratio**2 * (head**2 + tail @ tail) + outside
            weights = (jnp.sqrt(values) * projections + jnp.sqrt(count) * means * (ratio * head)) / shifted
            size = weights @ weights + count * spectrum.mean_remainder * head**2
            effective = jnp.sum(values / shifted) + count * (spectrum.mean_remainder + ratio**2 * jnp.sum((means / shifted) ** 2)) / pivot
            return effective, size, residual, pivot

        def step(state: tuple) -> tuple:
            alpha, beta, _, iteration = state
            effective, size, residual, _ = solve(alpha / beta)
            new_alpha, new_beta = effective / (size + 1e-5), (count - effective) / (residual + 1e-5)
            change = jnp.abs(new_alpha / new_beta - alpha / beta) / (alpha / beta)
            return new_alpha, new_beta, change, iteration + 1

        start = (jnp.ones(()), jnp.ones(()), jnp.full((), jnp.inf), 0)
        alpha, beta, _, _ = jax.lax.while_loop(lambda state: (state[2] > 1e-13) & (state[3] < 10_000), step, start)
        ratio = alpha / beta
        _, size, residual, pivot = solve(ratio)
        determinant = jnp.log(pivot / ratio) + jnp.sum(jnp.log1p(values / ratio))
        return (count * jnp.log(beta / (2 * jnp.pi)) - determinant - beta * residual - alpha * size) / (2 * count)

    outside = jnp.maximum(spectrum.label_squares - (spectrum.label_projections**2).sum(axis=0), 0.0)
    return jax.vmap(column, in_axes=(0, 1, 0))(jnp.sqrt(count) * spectrum.label_means, spectrum.label_projections, outside)


LOGME = Scorer(
    "logme",
    compute,
    frozenset({"spectrum"}),
    "evidence of a Bayesian linear model, per row",
    larger_is_better=True,
    tasks=ALL_TASKS,
    invariances=frozenset({"rotation"}),
)
