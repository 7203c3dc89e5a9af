"""What no forecast can know: noise, another training as a guess, and where errors come from."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from experiments.forecasts.tables import Found
from featalign.forecasting.fit import Example
from featalign.forecasting.logits import logit
from featalign.study.agreement import ranking_agreement
from featalign.study.ground_truth import Pair, reliabilities
from featalign.wilson import NORMAL

PARTS: Mapping[str, Callable[[Example], object]] = {
    "data set": lambda each: each.dataset,
    "target": lambda each: each.target,
    "source": lambda each: each.source,
}
LEAST = 1e-3  # deviations, in log-odds, whose logarithm is optimised


def ceiling(examples: Sequence[Example], pairs: Sequence[Pair]) -> str:
    """What a forecast of the true values could reach, beside which every figure stands."""
    deviations = np.array([each.noise for each in examples]) / NORMAL
    error = 100 * float(deviations.mean()) * math.sqrt(2 / math.pi)
    replicated = [each for each in pairs if len(each.seeds) > 1]
    ceilings = [each.kendall_ceiling for each in reliabilities(replicated).values()]
    tau = float(np.nanmean(ceilings)) if ceilings else math.nan
    return f"""*Noise*: a forecast that knew every true gain would be off by {error:.1f} points \
(seeds, and the drawing of test rows), and a Kendall tau above {tau:.2f} cannot be expected where \
two seeds were trained ({len(ceilings)} targets and sizes)."""


def second_training(found: Found, pairs: Sequence[Pair]) -> str:
    """How well a whole training of every source orders the next one, beside forecasts of it.

    It is on the targets and sizes where at least three sources were trained with two seeds.
    """
    orders = {
        (each.source, each.target, each.situation.num_rows): forecast.accuracy.value
        for each, forecast in found
    }
    datasets = {each.target: each.dataset for each, _ in found}
    groups: dict[tuple[str, int], list[Pair]] = {}
    for pair in pairs:
        if len(pair.accuracies) == 2 and (pair.source, pair.target, pair.size) in orders:
            groups.setdefault((pair.target, pair.size), []).append(pair)
    kept = {place: some for place, some in groups.items() if len(some) > 2}
    told: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for (target, size), some in kept.items():
        forecasts = [orders[each.source, target, size] for each in some]
        for this, other in ((0, 1), (1, 0)):
            measured = [each.accuracies[this] for each in some]
            guesses = {"training": [each.accuracies[other] for each in some]}
            for name, guess in (guesses | {"forecast": forecasts}).items():
                agreed = ranking_agreement(guess, measured)
                by_dataset = told.setdefault(name, {}).setdefault(datasets[target], [])
                by_dataset.append((agreed.weighted_tau, 100 * agreed.regret))
    means = {
        name: np.mean([np.nanmean(values, axis=0) for values in by_dataset.values()], axis=0)
        for name, by_dataset in told.items()
    }
    return f"""*Training everything once more*: where two seeds of three sources or more were \
trained ({len(kept)} targets and sizes), all of one seed's trainings order those of the other with \
a weighted tau of {means["training"][0]:.2f} and a regret of {means["training"][1]:.1f} points. \
The forecast from the cache orders the same trainings with {means["forecast"][0]:.2f} and \
{means["forecast"][1]:.1f}."""


def components(found: Found) -> str:
    """Where the errors of forecasts come from, in log-odds of the gain and of both arms."""
    examples = [each for each, _ in found]
    measured = {
        "accuracy": logit([each.accuracy for each in examples]),
        "scratch": logit([each.scratch for each in examples]),
    }
    told = {
        "accuracy": logit([each.accuracy.value for _, each in found]),
        "scratch": logit([each.scratch_accuracy.value for _, each in found]),
    }
    errors = {name: measured[name] - told[name] for name in measured}
    errors["gain"] = errors["accuracy"] - errors["scratch"]
    names = (*PARTS, "rest")
    lines = [
        "| deviation of errors between | " + " | ".join(names) + " |",
        "|---" * (len(names) + 1) + "|",
    ]
    for name in ("gain", "accuracy", "scratch"):
        cells = [f"{each:.2f}" for each in deviations(examples, errors[name])]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    text = """
Deviations are in log-odds, by maximum likelihood; the rest is the noise of training and what is \
peculiar to a pair. Near 50%, 0.1 is 2.5 points."""
    return "\n".join([*lines, text])


def deviations(examples: Sequence[Example], errors: np.ndarray) -> np.ndarray:
    """The deviations of independent normal parts of errors (R,): one for each of PARTS, and a rest.

    They maximise the likelihood of errors ~ N(mean, Σ_k d_k² Z_k Z_kᵀ + d² I), where Z_k says which
    rows share a data set, a target or a source.
    """
    shared = []
    for part in PARTS.values():
        names = np.array([str(part(each)) for each in examples])
        shared.append((names[:, None] == names[None, :]).astype(np.float64))
    ones = np.ones(len(errors))

    def loss(logs: np.ndarray) -> float:
        *parts, rest = np.exp(2 * logs)
        covariance = rest * np.eye(len(errors))
        for variance, each in zip(parts, shared, strict=True):
            covariance += variance * each
        factor = cho_factor(covariance, lower=True)
        mean = ones @ cho_solve(factor, errors) / (ones @ cho_solve(factor, ones))
        off = errors - mean
        determinant = 2 * float(np.log(np.diag(factor[0])).sum())
        return determinant + float(off @ cho_solve(factor, off))

    start = np.full(len(PARTS) + 1, math.log(float(errors.std()) / 2 + LEAST))
    bounds = [(math.log(LEAST), 3.0)] * len(start)
    return np.exp(minimize(loss, start, method="L-BFGS-B", bounds=bounds).x)
