"""What knows less than a forecast: guesses from one number, or from nothing."""

import math
from collections.abc import Mapping, Sequence

from experiments.forecasts.tables import row, shown
from featalign.forecasting.fit import Example
from featalign.study.findings import of_source, score
from featalign.study.forecast_agreement import (
    COMPARED,
    Guess,
    always_helps,
    compare_guesses,
    guesses_by,
    judge_guesses,
)

SINGLES = (
    "linear_probe less twin",
    "tangent_gain",
    "lda less twin",
    "logme less twin",
    "linear_probe",
    "lda",
    "logme",
    "knn",
)
DIGITS = {"auroc": 3, "brier": 3, "error": 1, "weighted_tau": 2, "regret": 1}
BETTER_IF_LESS = ("brier", "error", "regret")


def simple_guesses(examples: Sequence[Example]) -> dict[str, list[Guess]]:
    """Guesses of the same pairs, each from a line on one number, fitted on other data sets."""
    found = {
        "always helps": always_helps(examples),
        "n only": guesses_by(examples, lambda each: each.situation.size),
        "the source's mean gain elsewhere": guesses_by(
            examples, lambda each: gain_elsewhere(each, examples)
        ),
        "accuracy of the source (a static list)": guesses_by(
            examples, lambda each: _or_nan(of_source(each.source)[0])
        ),
        "log parameters": guesses_by(examples, lambda each: _or_nan(of_source(each.source)[1])),
    }
    for name in SINGLES:
        found[name.replace("_", " ")] = guesses_by(
            examples, lambda each, name=name: number_of(each, name)
        )
    return found


def gain_elsewhere(example: Example, examples: Sequence[Example]) -> float:
    """The mean gain of the same source on other data sets; NaN where it was on no other."""
    gains = [
        each.gain
        for each in examples
        if each.source == example.source and each.dataset != example.dataset
    ]
    return math.fsum(gains) / len(gains) if gains else math.nan


def rows(examples: Sequence[Example], guesses: Mapping[str, list[Guess]]) -> list[str]:
    """A line of the table for each simple guess."""
    return [row(name, judge_guesses(examples, found)) for name, found in guesses.items()]


def comparison(
    examples: Sequence[Example], forecast: Sequence[Guess], guesses: Mapping[str, list[Guess]]
) -> str:
    """The forecast less each simple guess, paired over data sets, as a table."""
    titles = ("AUROC", "Brier", "error of the gain", "weighted tau", "regret")
    lines = ["| the forecast less | " + " | ".join(titles) + " |", "|---" * 6 + "|"]
    for name, found in guesses.items():
        differences = compare_guesses(examples, forecast, found)
        cells = []
        for measure in COMPARED:
            each = differences[measure]
            better = each.high < 0 if measure in BETTER_IF_LESS else each.low > 0
            told = shown(each, DIGITS[measure])
            cells.append(f"**{told}**" if better else told)
        lines.append(f"| {name} | {' | '.join(cells)} |")
    text = """
Each number is a difference on the same pairs, data sets drawn again together. It is bold where \
the forecast is better and the interval does not hold 0."""
    return "\n".join([*lines, text])


def number_of(example: Example, name: str) -> float:
    """A score of an example, or a score less the twin's; NaN where there is none."""
    return _or_nan(score(example.evidence, name))


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
