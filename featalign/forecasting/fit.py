"""From really trained pairs to a calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from featalign.forecasting.calibration import MIN_GROUPS, Line, fit_line, with_residuals
from featalign.forecasting.forecast import Forecast, within_headroom
from featalign.forecasting.predictors import (
    ADVANTAGE,
    Kind,
    Short,
    Situation,
    arm_predictors,
    drift_predictors,
    gain_predictors,
    scratch_base,
    scratch_predictors,
)

ARMS = ("probe", "probe_then_full")
NOTHING = Line((), (), (), 0.0, (), 0.0, 0.0)  # predicts 0, and takes residuals
WITHOUT_TWIN = (
    "tangent_probe",
    "tangent_gain",
    "curve sizes",
    "source curve",
    "twin curve",
)  # what a black box has not


@dataclass(frozen=True)
class Example:
    """A source on a part of a target.

    It holds what was known before training and what came out after it.
    """

    source: str
    target: str
    situation: Situation
    evidence: Mapping[str, Any]
    accuracy: float
    scratch: float
    noise: float
    arms: Mapping[str, float]
    short: Short | None = None
    revision: str = ""

    @property
    def gain(self) -> float:
        """Accuracy of the best transfer arm less that of scratch."""
        return self.accuracy - self.scratch


def as_black_box(example: Example, reference: Mapping[str, Any] | None) -> Example:
    """The example as if its source were a black box.

    It has no gradients, and the twins of a reference network. Without a reference it is features
    alone.
    """
    kept = {
        name: value
        for name, value in example.evidence.items()
        if name not in WITHOUT_TWIN and not name.startswith(("twin ", "reference "))
    }
    twins = {
        name: value
        for name, value in (reference or {}).items()
        if name.startswith(("twin ", "reference ")) and name != "twin curve"
    }
    return replace(example, evidence=kept | twins, short=None)


def advantages(examples: Sequence[Example], *, but: str | None = None) -> dict[str, float]:
    """The mean gain of each source, by revision, less that of all sources.

    The mean of all is over the same targets and sizes. `but` leaves out a target.
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
        replace(each, evidence={**each.evidence, ADVANTAGE: known[each.target].get(each.revision)})
        for each in examples
    ]


def fit_lines(examples: Sequence[Example], kind: Kind) -> dict[str, Line]:
    """The lines of one kind of source; see `make_forecast`.

    Raises FeatalignError for fewer than three targets.
    """
    groups, sizes = [each.target for each in examples], [each.situation.size for each in examples]
    gains, scratches, accuracies = (
        np.array([getattr(each, name) for each in examples])
        for name in ("gain", "scratch", "accuracy")
    )
    bases = np.array([scratch_base(each.evidence, kind, each.short) for each in examples])
    correction, corrections = fit_line(
        [scratch_predictors(each.evidence, each.situation, kind) for each in examples],
        (scratches - bases).tolist(),
        sizes,
        groups,
    )
    expected_scratch = np.clip(bases + corrections, 0, 1)
    raw, raw_gains = fit_line(
        [gain_predictors(each.evidence, each.situation, kind, each.short) for each in examples],
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
    lines = {
        "gain": with_residuals(raw, gains - expected, sizes),
        "scratch": with_residuals(correction, scratches - expected_scratch, sizes),
        "accuracy": with_residuals(NOTHING, accuracies - expected_scratch - expected, sizes),
        "drift": _drift(examples, expected),
        "order": with_residuals(
            NOTHING,
            _within(
                gains - expected, [(each.target, each.situation.num_rows) for each in examples]
            ),
            sizes,
        ),
    }
    for arm in ARMS:
        trained = [each for each in examples if arm in each.arms and "full" in each.arms]
        if len({each.target for each in trained}) >= MIN_GROUPS:
            lines[f"{arm} less full"], _ = fit_line(
                [arm_predictors(each.evidence, each.situation, kind) for each in trained],
                [each.arms[arm] - each.arms["full"] for each in trained],
                [each.situation.size for each in trained],
                [each.target for each in trained],
            )
    return lines


def with_residuals_of(
    lines: Mapping[str, Line], found: Sequence[tuple[Example, Forecast]]
) -> dict[str, Line]:
    """The lines with the errors of these forecasts as their residuals.

    The forecasts are of sources that no line was fitted on.
    """
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
    return {
        **lines,
        **{
            name: with_residuals(lines[name], residuals, sizes)
            for name, residuals in errors.items()
        },
    }


def _within(residuals: np.ndarray, groups: Sequence[tuple[str, int]]) -> np.ndarray:
    """Residuals (R,) less their mean on the same target and size.

    That is what is left of an error when sources are compared there.
    """
    found = residuals.copy()
    for group in set(groups):
        rows = [place for place, each in enumerate(groups) if each == group]
        found[rows] -= residuals[rows].mean()
    return found


def _drift(examples: Sequence[Example], gains: np.ndarray) -> Line:
    """How a predicted gain (R,) changes to the measured gain at each size.

    The predictions were left out of their own target. Both gains are of the same source and target.
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
