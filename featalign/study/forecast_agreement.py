"""How forecasts, and simpler guesses, agree with the results on targets they had not seen."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from featalign.forecasting.calibration import fit_line
from featalign.forecasting.fit import Example
from featalign.records.forecast import Forecast
from featalign.study.agreement import gain_agreement, ranking_agreement, sign_agreement
from featalign.study.bootstrap import BootstrapInterval, bootstrap_interval

RESAMPLES = 200


@dataclass(frozen=True)
class Guess:
    """A guess about a pair before training.

    It has a place in an order of sources, a probability of a gain, and a gain with its interval.
    """

    order: float
    probability: float = math.nan
    gain: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Judged:
    """Agreement over all pairs, with intervals that draw targets.

    Signs are those beyond noise; gains and regret are in percentage points.
    """

    auroc: BootstrapInterval
    balanced_accuracy: BootstrapInterval
    brier: BootstrapInterval
    error: BootstrapInterval
    coverage: BootstrapInterval
    width: BootstrapInterval
    weighted_tau: BootstrapInterval
    kendall_tau: BootstrapInterval
    regret: BootstrapInterval


def guess_of(forecast: Forecast) -> Guess:
    """The guess of a forecast, which orders sources by the expected accuracy."""
    gain = forecast.gain
    return Guess(
        forecast.accuracy.value,
        1 - forecast.negative_transfer_probability,
        gain.value,
        gain.low,
        gain.high,
    )


def judge_guesses(
    examples: Sequence[Example], guesses: Sequence[Guess], *, num_resamples: int = RESAMPLES
) -> Judged:
    """All measures of guesses about examples, NaN where the guesses say nothing of it."""
    by_target: dict[str, list[int]] = {}
    for place, each in enumerate(examples):
        by_target.setdefault(each.target, []).append(place)
    gains, noise = (
        np.array([each.gain for each in examples]),
        np.array([each.noise for each in examples]),
    )
    table = {
        field.name: np.array([getattr(guess, field.name) for guess in guesses])
        for field in fields(Guess)
    }
    orders = {
        target: _order(examples, table["order"], places) for target, places in by_target.items()
    }

    def over(statistic: Callable[[list[int]], float]) -> BootstrapInterval:
        def pooled(groups: Sequence[list[int]]) -> float:
            return statistic([place for group in groups for place in group])

        return bootstrap_interval(list(by_target.values()), pooled, num_resamples=num_resamples)

    def mean_of(name: str, scale: float = 1.0) -> BootstrapInterval:
        values = [
            scale * found for order in orders.values() if not math.isnan(found := order[name])
        ]
        return bootstrap_interval(
            values, lambda some: math.fsum(some) / len(some), num_resamples=num_resamples
        )

    chances = not np.isnan(table["probability"]).any()
    evidence = table["probability"] if chances else table["order"]

    def sign(name: str) -> Callable[[list[int]], float]:
        return lambda some: getattr(
            sign_agreement(evidence[some], gains[some], noise[some], probabilities=chances), name
        )

    def gain(name: str, scale: float = 100.0) -> Callable[[list[int]], float]:
        def measured(some: list[int]) -> float:
            if np.isnan(table["low"][some]).any():
                return math.nan
            return scale * getattr(
                gain_agreement(
                    table["gain"][some], table["low"][some], table["high"][some], gains[some]
                ),
                name,
            )

        return measured

    return Judged(
        over(sign("auroc")),
        over(sign("balanced_accuracy")),
        over(sign("brier")),
        over(gain("mean_absolute_error")),
        over(gain("coverage", 1.0)),
        over(gain("mean_width")),
        mean_of("weighted_tau"),
        mean_of("kendall_tau"),
        mean_of("regret", 100.0),
    )


def _order(
    examples: Sequence[Example], order: np.ndarray, places: Sequence[int]
) -> Mapping[str, float]:
    """The mean measures of the order over the sizes of one target."""
    sizes: dict[int, list[int]] = {}
    for place in places:
        sizes.setdefault(examples[place].situation.num_rows, []).append(place)
    found = [
        ranking_agreement(order[some], [examples[place].accuracy for place in some])
        for some in sizes.values()
        if len(some) > 2
    ]
    means = {}
    for name in ("weighted_tau", "kendall_tau", "regret"):
        values = [value for each in found if not math.isnan(value := getattr(each, name))]
        means[name] = math.fsum(values) / len(values) if values else math.nan
    return means


Predictor = Callable[[Example], float]


def guesses_by(
    examples: Sequence[Example],
    predictor: Predictor,
    order: Predictor | None = None,
    *,
    known: Sequence[Example] | None = None,
) -> list[Guess]:
    """The guesses of a line on a single number, fitted on the other targets.

    Sources are ordered by the number itself, or by another one. The line is fitted on these
    examples, or on others that are `known`. NaN counts as the mean of the others.
    """
    found = [Guess(math.nan)] * len(examples)
    for target in dict.fromkeys(each.target for each in examples):
        others = [each for each in (examples if known is None else known) if each.target != target]
        line, _ = fit_line(
            [{"number": predictor(each)} for each in others],
            [each.gain for each in others],
            [each.situation.size for each in others],
            [each.target for each in others],
        )
        for place, each in enumerate(examples):
            if each.target == target:
                value, size = line.predict({"number": predictor(each)}), each.situation.size
                interval = line.interval(value, size)
                chance = 1 - line.probability_below(value, 0.0, size)
                found[place] = Guess(
                    (order or predictor)(each), chance, value, interval.low, interval.high
                )
    return found


def always_helps(examples: Sequence[Example]) -> list[Guess]:
    """The guess that transfer always helps: a gain is certain, and all sources are alike."""
    return [Guess(0.0, 1.0) for _ in examples]
