"""How forecasts, and simpler guesses, agree with the results on targets they had not seen."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from featalign.forecasting.fit import Example
from featalign.forecasting.ridge import fit_line
from featalign.records.forecast import Forecast
from featalign.records.interval import Interval
from featalign.study.agreement import interval_agreement, ranking_agreement, sign_agreement
from featalign.study.bootstrap import BootstrapInterval, bootstrap_interval

RESAMPLES = 200
COMPARED = ("auroc", "brier", "error", "weighted_tau", "regret")
Groups = Sequence[list[int]]
Measure = Callable[[Groups], float]


@dataclass(frozen=True, kw_only=True)
class Guess:
    """A guess about a pair before training.

    It has a place in an order of sources, a probability of a gain, and a gain, an accuracy and an
    accuracy from scratch with their intervals, as far as it says anything of them.
    """

    order: float
    probability: float = math.nan
    gain: Interval | None = None
    accuracy: Interval | None = None
    scratch: Interval | None = None


@dataclass(frozen=True)
class Judged:
    """Agreement over all pairs, with intervals that draw data sets.

    Signs are those beyond noise; errors, widths and regret are in percentage points. `error`,
    `coverage` and `width` are of the gain.
    """

    auroc: BootstrapInterval
    balanced_accuracy: BootstrapInterval
    brier: BootstrapInterval
    error: BootstrapInterval
    coverage: BootstrapInterval
    width: BootstrapInterval
    accuracy_error: BootstrapInterval
    accuracy_coverage: BootstrapInterval
    scratch_error: BootstrapInterval
    scratch_coverage: BootstrapInterval
    weighted_tau: BootstrapInterval
    kendall_tau: BootstrapInterval
    regret: BootstrapInterval


def guess_of(forecast: Forecast) -> Guess:
    """The guess of a forecast, which orders sources by the expected accuracy."""
    return Guess(
        order=forecast.accuracy.value,
        probability=1 - forecast.negative_transfer_probability,
        gain=forecast.gain,
        accuracy=forecast.accuracy,
        scratch=forecast.scratch_accuracy,
    )


def judge_guesses(
    examples: Sequence[Example], guesses: Sequence[Guess], *, num_resamples: int = RESAMPLES
) -> Judged:
    """All measures of guesses about examples, NaN where the guesses say nothing of it."""
    groups = list(_by_dataset(examples).values())
    found = {
        name: bootstrap_interval(groups, measure, num_resamples=num_resamples)
        for name, measure in _measures(examples, guesses).items()
    }
    return Judged(**found)


def compare_guesses(
    examples: Sequence[Example],
    guesses: Sequence[Guess],
    others: Sequence[Guess],
    names: Sequence[str] = COMPARED,
    *,
    num_resamples: int = RESAMPLES,
) -> dict[str, BootstrapInterval]:
    """What measures of guesses are less those of others, on the same data sets drawn again.

    A difference whose interval does not hold 0 is one that other data sets should show too.
    """
    groups = list(_by_dataset(examples).values())
    ours, theirs = _measures(examples, guesses), _measures(examples, others)

    def less(name: str) -> Measure:
        return lambda some: ours[name](some) - theirs[name](some)

    return {
        name: bootstrap_interval(groups, less(name), num_resamples=num_resamples) for name in names
    }


def _by_dataset(examples: Sequence[Example]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, each in enumerate(examples):
        found.setdefault(each.dataset, []).append(place)
    return found


def _measures(examples: Sequence[Example], guesses: Sequence[Guess]) -> dict[str, Measure]:
    """A function of groups of places, those of some data sets, for each field of `Judged`."""
    noise = np.array([each.noise for each in examples])
    truths = {
        name: np.array([getattr(each, name) for each in examples])
        for name in ("gain", "accuracy", "scratch")
    }
    probability = np.array([each.probability for each in guesses])
    order = np.array([each.order for each in guesses])
    chances = not np.isnan(probability).any()
    told = probability if chances else order
    orders = {
        places[0]: _order(examples, order, places) for places in _by_dataset(examples).values()
    }

    def sign(name: str) -> Measure:
        def measured(groups: Groups) -> float:
            some = _joined(groups)
            gains = truths["gain"][some]
            found = sign_agreement(told[some], gains, noise[some], probabilities=chances)
            return getattr(found, name)

        return measured

    def interval(name: str, measure: str, scale: float = 100.0) -> Measure:
        stated = [getattr(each, name) for each in guesses]
        if None in stated:
            return lambda groups: math.nan
        ends = np.array([(each.value, each.low, each.high) for each in stated])

        def measured(groups: Groups) -> float:
            some = _joined(groups)
            value, low, high = ends[some].T
            return scale * getattr(
                interval_agreement(value, low, high, truths[name][some]), measure
            )

        return measured

    def mean_of(name: str, scale: float = 1.0) -> Measure:
        def measured(groups: Groups) -> float:
            values = [scale * orders[places[0]][name] for places in groups]
            finite = [value for value in values if not math.isnan(value)]
            return math.fsum(finite) / len(finite) if finite else math.nan

        return measured

    return {
        "auroc": sign("auroc"),
        "balanced_accuracy": sign("balanced_accuracy"),
        "brier": sign("brier"),
        "error": interval("gain", "mean_absolute_error"),
        "coverage": interval("gain", "coverage", 1.0),
        "width": interval("gain", "mean_width"),
        "accuracy_error": interval("accuracy", "mean_absolute_error"),
        "accuracy_coverage": interval("accuracy", "coverage", 1.0),
        "scratch_error": interval("scratch", "mean_absolute_error"),
        "scratch_coverage": interval("scratch", "coverage", 1.0),
        "weighted_tau": mean_of("weighted_tau"),
        "kendall_tau": mean_of("kendall_tau"),
        "regret": mean_of("regret", 100.0),
    }


def _joined(groups: Groups) -> list[int]:
    return [place for group in groups for place in group]


def _order(
    examples: Sequence[Example], order: np.ndarray, places: Sequence[int]
) -> Mapping[str, float]:
    """The mean measures of the order over the targets and sizes of one data set."""
    groups: dict[tuple[str, int], list[int]] = {}
    for place in places:
        each = examples[place]
        groups.setdefault((each.target, each.situation.num_rows), []).append(place)
    found = [
        ranking_agreement(order[some], [examples[place].accuracy for place in some])
        for some in groups.values()
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
    """The guesses of a line on a single number, fitted on the other data sets.

    Sources are ordered by the number itself, or by another one. The line is fitted on these
    examples, or on others that are `known`. NaN counts as the mean of the others.
    """
    found = [Guess(order=math.nan)] * len(examples)
    for dataset in dict.fromkeys(each.dataset for each in examples):
        beside = examples if known is None else known
        others = [each for each in beside if each.dataset != dataset]
        line, _ = fit_line(
            [{"number": predictor(each)} for each in others],
            [each.gain for each in others],
            [each.situation.size for each in others],
            [each.dataset for each in others],
        )
        for place, each in enumerate(examples):
            if each.dataset == dataset:
                value, size = line.predict({"number": predictor(each)}), each.situation.size
                found[place] = Guess(
                    order=(order or predictor)(each),
                    probability=1 - line.probability_below(value, 0.0, size),
                    gain=line.interval(value, size),
                )
    return found


def always_helps(examples: Sequence[Example]) -> list[Guess]:
    """The guess that transfer always helps: a gain is certain, and all sources are alike."""
    return [Guess(order=0.0, probability=1.0) for _ in examples]
