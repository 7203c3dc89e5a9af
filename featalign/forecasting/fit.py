"""The fit of a calibration to really trained pairs of source and target."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from featalign.errors import FeatalignError
from featalign.forecasting.calibration import Lines
from featalign.forecasting.forecast import Expected
from featalign.forecasting.line import Line
from featalign.forecasting.logits import logit, share_of
from featalign.forecasting.predictors import (
    accuracy_base,
    accuracy_predictors,
    arm_predictors,
    gain_predictors,
    growth_predictors,
)
from featalign.forecasting.ridge import MIN_GROUPS, fit_line, with_residuals
from featalign.forecasting.situation import Anchor, Short, Situation
from featalign.records.evidence import Capability, Evidence
from featalign.records.forecast import Tier

ARMS = ("probe", "probe_then_full")
NOTHING = Line()  # a line that predicts 0 and takes residuals
BY_GRADIENTS = ("tangent_probe", "tangent_gain")  # scores that need gradients


@dataclass(frozen=True)
class Example:
    """A source on a part of a target, with what was known before training and what came out.

    `dataset` names what the target was made of: it is left out as a whole. `reference_anchor` and
    `reference_evidence` are those of the reference network on the same rows.
    """

    source: str
    target: str
    dataset: str
    situation: Situation
    evidence: Evidence
    accuracy: float
    scratch: float
    noise: float
    arms: Mapping[str, float]
    short: Short | None = None
    anchor: Anchor | None = None
    reference_anchor: Anchor | None = None
    reference_evidence: Evidence | None = None
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

    The mean of all sources is taken on the same targets and sizes. `but` leaves out a data set.
    """
    there = [each for each in examples if each.dataset != but]
    means: dict[tuple[str, int], list[float]] = {}
    for each in there:
        means.setdefault((each.target, each.situation.num_rows), []).append(each.gain)
    found: dict[str, list[float]] = {}
    for each in there:
        group = means[each.target, each.situation.num_rows]
        found.setdefault(each.revision, []).append(each.gain - sum(group) / len(group))
    return {revision: float(np.mean(values)) for revision, values in found.items()}


def with_advantages(examples: Sequence[Example]) -> list[Example]:
    """The examples, each with the advantage that its source has on the other data sets."""
    datasets = {each.dataset for each in examples}
    known = {dataset: advantages(examples, but=dataset) for dataset in datasets}
    return [
        with_advantage(each, known[each.dataset].get(each.revision, math.nan)) for each in examples
    ]


def with_advantage(example: Example, advantage: float) -> Example:
    """The example with the advantage that its source has on other data sets; NaN without any."""
    return replace(example, evidence=replace(example.evidence, advantage=advantage))


def fit_lines(examples: Sequence[Example], capability: Capability, tier: Tier = "cache") -> Lines:
    """The lines for sources of one capability, with what a tier knows; see `make_forecast`.

    With "anchor" the examples have an anchor, with "short" short runs. Raises FeatalignError for
    fewer than three data sets.
    """
    groups, sizes = [each.dataset for each in examples], [each.situation.size for each in examples]
    scratches, accuracies = (
        logit([getattr(each, name) for each in examples]) for name in ("scratch", "accuracy")
    )
    shorts = [each.short if tier == "short" else None for each in examples]
    seen = [(each.evidence, each.situation) for each in examples]
    bases = np.array([accuracy_base(*each) + each[1].shift for each in seen])
    level, corrections = fit_line(
        [accuracy_predictors(*each, short) for each, short in zip(seen, shorts, strict=True)],
        (accuracies - bases).tolist(),
        sizes,
        groups,
    )
    foretold = bases + corrections  # by lines that had not seen the data set
    starts = logit([_anchor(each).accuracy for each in examples]) if tier == "anchor" else None
    leads = [None] * len(examples) if starts is None else (foretold - starts).tolist()
    gain, added = fit_line(
        [
            gain_predictors(*each, capability, short, lead)
            for each, short, lead in zip(seen, shorts, leads, strict=True)
        ],
        (accuracies - scratches).tolist(),
        sizes,
        groups,
    )
    starts = foretold - added if starts is None else starts
    errors = np.array([each.accuracy for each in examples]) - share_of(starts + added)
    expected = [Expected(*pair) for pair in zip(starts.tolist(), added.tolist(), strict=True)]
    growth, drift = _changes(examples, expected)
    return Lines(
        level=level,
        gain=gain,
        accuracy=with_residuals(NOTHING, accuracies - starts - added, sizes, groups),
        scratch=with_residuals(NOTHING, scratches - starts, sizes, groups),
        growth=growth,
        drift=drift,
        order=with_residuals(NOTHING, _within(examples, errors), sizes, groups),
        arms=_arms(examples, capability),
    )


def _anchor(example: Example) -> Anchor:
    if example.anchor is None:
        raise FeatalignError(
            f"examples: expected a training from scratch for each, {example.source} on "
            f"{example.target} has none; leave it out"
        )
    return example.anchor


def _arms(examples: Sequence[Example], capability: Capability) -> dict[str, Line]:
    found: dict[str, Line] = {}
    for arm in ARMS:
        trained = [each for each in examples if arm in each.arms and "full" in each.arms]
        if len({each.dataset for each in trained}) >= MIN_GROUPS:
            found[arm], _ = fit_line(
                [arm_predictors(each.evidence, each.situation, capability) for each in trained],
                [each.arms[arm] - each.arms["full"] for each in trained],
                [each.situation.size for each in trained],
                [each.dataset for each in trained],
            )
    return found


def _changes(examples: Sequence[Example], expected: Sequence[Expected]) -> tuple[Line, Line]:
    """The lines from what is expected at one size to what was measured at another.

    Both are of the same source and target: the log-odds of scratch, and what the source adds.
    """
    together: dict[tuple[str, str], list[int]] = {}
    for place, each in enumerate(examples):
        together.setdefault((each.source, each.target), []).append(place)
    pairs = [pair for places in together.values() for pair in product(places, places)]
    ratios = [abs(examples[b].situation.size - examples[a].situation.size) for a, b in pairs]
    groups = [examples[a].dataset for a, _ in pairs]
    scratches = logit([each.scratch for each in examples])
    added = logit([each.accuracy for each in examples]) - scratches

    def line_of(levels: Sequence[float], measured: np.ndarray) -> Line:
        rows = [
            growth_predictors(examples[a].situation, examples[b].situation.num_rows, levels[a])
            for a, b in pairs
        ]
        changes = [float(measured[b]) - levels[a] for a, b in pairs]
        return fit_line(rows, changes, ratios, groups)[0]

    return (
        line_of([each.scratch for each in expected], scratches),
        line_of([each.added for each in expected], added),
    )


def _within(examples: Sequence[Example], residuals: np.ndarray) -> np.ndarray:
    """Residuals (R,) less their mean on the same target and size.

    They are the errors that are left when sources are compared there.
    """
    places = [(each.target, each.situation.num_rows) for each in examples]
    found = residuals.copy()
    for group in set(places):
        rows = [place for place, each in enumerate(places) if each == group]
        found[rows] -= residuals[rows].mean()
    return found
