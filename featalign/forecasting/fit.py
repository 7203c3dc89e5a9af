"""The fit of a calibration to really trained pairs of source and target."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from featalign.forecasting.calibration import MIN_GROUPS, Line, Lines, fit_line, with_residuals
from featalign.forecasting.forecast import within_headroom
from featalign.forecasting.predictors import (
    Short,
    Situation,
    arm_predictors,
    drift_predictors,
    gain_predictors,
    scratch_base,
    scratch_predictors,
)
from featalign.records.evidence import Capability, Evidence
from featalign.records.forecast import Forecast

ARMS = ("probe", "probe_then_full")
NOTHING = Line((), (), (), 0.0, (), 0.0, 0.0)  # a line that predicts 0 and takes residuals
BY_GRADIENTS = ("tangent_probe", "tangent_gain")  # scores that need gradients


@dataclass(frozen=True)
class Example:
    """A source on a part of a target, with what was known before training and what came out."""

    source: str
    target: str
    situation: Situation
    evidence: Evidence
    accuracy: float
    scratch: float
    noise: float
    arms: Mapping[str, float]
    short: Short | None = None
    revision: str = ""

    @property
    def gain(self) -> float:
        """The accuracy of the best transfer arm less that of scratch."""
        return self.accuracy - self.scratch


def without_gradients(example: Example, reference: Evidence | None) -> Example:
    """The example as if its source had no gradients.

    The source is then compared with the twins of a reference network, whose evidence is given, or
    with nothing.
    """
    own = {name: value for name, value in example.evidence.own.items() if name not in BY_GRADIENTS}
    found = Evidence(capability="features", own=own)
    if reference is not None:
        found = replace(
            found,
            capability="twins",
            twins=reference.twins,
            reference=reference.reference,
            compared_with="a reference architecture",
        )
    return replace(example, evidence=found, short=None)


def advantages(examples: Sequence[Example], *, but: str | None = None) -> dict[str, float]:
    """The mean gain of each source, by revision, less that of all sources.

    The mean of all sources is taken on the same targets and sizes. `but` leaves out a target.
    """
    there = [each for each in examples if each.target != but]
    means: dict[tuple[str, int], list[float]] = {}
    for each in there:
        means.setdefault((each.target, each.situation.num_rows), []).append(each.gain)
    found: dict[str, list[float]] = {}
    for each in there:
        group = means[each.target, each.situation.num_rows]
        found.setdefault(each.revision, []).append(each.gain - sum(group) / len(group))
    return {revision: float(np.mean(values)) for revision, values in found.items()}


def with_advantages(examples: Sequence[Example]) -> list[Example]:
    """The examples, each with the advantage that its source has on the other targets."""
    known = {
        target: advantages(examples, but=target) for target in {each.target for each in examples}
    }
    return [
        with_advantage(each, known[each.target].get(each.revision, math.nan)) for each in examples
    ]


def with_advantage(example: Example, advantage: float) -> Example:
    """The example with the advantage that its source has on other targets; NaN without any."""
    return replace(example, evidence=replace(example.evidence, advantage=advantage))


def fit_lines(examples: Sequence[Example], capability: Capability) -> Lines:
    """The lines for sources of one capability; see `make_forecast`.

    Raises FeatalignError for fewer than three targets.
    """
    groups, sizes = [each.target for each in examples], [each.situation.size for each in examples]
    gains, scratches, accuracies = (
        np.array([getattr(each, name) for each in examples])
        for name in ("gain", "scratch", "accuracy")
    )
    bases = np.array([scratch_base(each.evidence, capability, each.short) for each in examples])
    correction, corrections = fit_line(
        [scratch_predictors(each.evidence, each.situation, capability) for each in examples],
        (scratches - bases).tolist(),
        sizes,
        groups,
    )
    expected_scratch = np.clip(bases + corrections, 0, 1)
    raw, raw_gains = fit_line(
        [
            gain_predictors(each.evidence, each.situation, capability, each.short)
            for each in examples
        ],
        gains.tolist(),
        sizes,
        groups,
    )
    expected = np.array(
        [
            within_headroom(gain, scratch)
            for gain, scratch in zip(raw_gains, expected_scratch, strict=True)
        ]
    )
    places = [(each.target, each.situation.num_rows) for each in examples]
    arms: dict[str, Line] = {}
    for arm in ARMS:
        trained = [each for each in examples if arm in each.arms and "full" in each.arms]
        if len({each.target for each in trained}) >= MIN_GROUPS:
            arms[arm], _ = fit_line(
                [arm_predictors(each.evidence, each.situation, capability) for each in trained],
                [each.arms[arm] - each.arms["full"] for each in trained],
                [each.situation.size for each in trained],
                [each.target for each in trained],
            )
    return Lines(
        gain=with_residuals(raw, gains - expected, sizes),
        scratch=with_residuals(correction, scratches - expected_scratch, sizes),
        accuracy=with_residuals(NOTHING, accuracies - expected_scratch - expected, sizes),
        drift=_drift(examples, expected),
        order=with_residuals(NOTHING, _within(gains - expected, places), sizes),
        arms=arms,
    )


def with_residuals_of(lines: Lines, found: Sequence[tuple[Example, Forecast]]) -> Lines:
    """The lines with the errors of these forecasts, for sources that no line was fitted on."""
    sizes = [example.situation.size for example, _ in found]
    errors = {
        "gain": np.array([example.gain - forecast.gain.value for example, forecast in found]),
        "scratch": np.array(
            [example.scratch - forecast.scratch_accuracy.value for example, forecast in found]
        ),
        "accuracy": np.array(
            [example.accuracy - forecast.accuracy.value for example, forecast in found]
        ),
    }
    errors["order"] = _within(
        errors["gain"], [(example.target, example.situation.num_rows) for example, _ in found]
    )
    changed = {
        name: with_residuals(getattr(lines, name), residuals, sizes)
        for name, residuals in errors.items()
    }
    return replace(lines, **changed)


def _within(residuals: np.ndarray, groups: Sequence[tuple[str, int]]) -> np.ndarray:
    """Residuals (R,) less their mean on the same target and size.

    They are the errors that are left when sources are compared there.
    """
    found = residuals.copy()
    for group in set(groups):
        rows = [place for place, each in enumerate(groups) if each == group]
        found[rows] -= residuals[rows].mean()
    return found


def _drift(examples: Sequence[Example], gains: np.ndarray) -> Line:
    """The line from a predicted gain at one size to the measured gain at another.

    Both gains are of the same source and target. The model that predicted a gain (R,) had not seen
    its target.
    """
    together: dict[tuple[str, str], list[int]] = {}
    for place, each in enumerate(examples):
        together.setdefault((each.source, each.target), []).append(place)
    pairs = [pair for places in together.values() for pair in product(places, places)]
    rows = [
        drift_predictors(
            examples[a].evidence, examples[a].situation, gains[a], examples[b].situation.num_rows
        )
        for a, b in pairs
    ]
    changes = [examples[b].gain - float(gains[a]) for a, b in pairs]
    return fit_line(
        rows, changes, [abs(row["ratio"]) for row in rows], [examples[a].target for a, _ in pairs]
    )[0]
