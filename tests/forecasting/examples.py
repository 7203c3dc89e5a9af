"""Worlds with a known truth.

They are pairs of sources and targets whose accuracy, gain and arms are written down in log-odds,
and calibrations made by hand.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import numpy as np

from featalign.forecasting.calibration import Calibration, Fitted, Lines
from featalign.forecasting.fit import Example
from featalign.forecasting.line import Line
from featalign.forecasting.predictors import CAPABILITIES, LEAD
from featalign.forecasting.situation import Anchor, Short, Situation
from featalign.records.evidence import Evidence

Value = TypeVar("Value")

REFERENCE = "zoo/resnet_noise"
MEASURED = 1000  # measured accuracies are of so many rows
ON_TANGENT, ON_PROBE, ON_SIZE = 0.5, 0.4, -0.2  # what the gain is made of
# accuracy is what the reference reaches, so much of what the discriminants have over that, and more
LEVEL_START, ON_LDA, LEVEL_ON_SIZE = 0.1, 0.6, 0.15
REFERENCE_ON_SIZE = 0.2
GROWTH = REFERENCE_ON_SIZE + LEVEL_ON_SIZE - ON_SIZE  # of scratch, with log n
PROBE_ARM, PROBE_THEN_FULL_ARM = (
    0.5,
    0.01,
)  # the probe loses half of what its linear probe lacks to 0.8; a head beforehand adds a point


def exact(log_odds: float, num_rows: int = MEASURED) -> float:
    """The share of so many rows that has these log-odds, with its half a row more."""
    return ((num_rows + 1) / (1 + math.exp(-log_odds)) - 0.5) / num_rows


def odds(share: float, num_rows: int = MEASURED) -> float:
    """The log-odds of a share of so many rows: the other way round."""
    part = (num_rows * share + 0.5) / (num_rows + 1)
    return math.log(part / (1 - part))


def true_gain(tangent: float, probe: float, size: float) -> float:
    """The gain in log-odds."""
    return ON_TANGENT * tangent + ON_PROBE * probe + ON_SIZE * size


def added(example: Example) -> float:
    """The gain of an example in log-odds."""
    return odds(example.accuracy) - odds(example.scratch)


def world(
    seed: int = 0,
    *,
    targets: int = 8,
    sources: int = 5,
    sizes: tuple[int, ...] = (100, 400, 1600),
    together: int = 1,
    noise: float = 0.04,
    shift: float = 0.0,
    hidden: float = 0.0,
    share: float | None = None,
    anchors: bool = False,
    prefix: str = "target",
) -> list[Example]:
    """Examples of `sources` on `targets`, whose accuracy and gain in log-odds are known.

    The gain is `true_gain`, what a data set of `together` targets does to all (`shift`), and what
    no evidence shows (`hidden`). The accuracy is moved by data sets as much, and scratch is the
    accuracy less the gain. Short runs, where a `share` is given, see the whole gain, with a little
    noise. `anchors` are trainings from scratch that differ from its mean by a little noise.
    """
    random, found = np.random.default_rng(seed), []
    moved, lifted = 0.0, 0.0
    for target in range(targets):
        classes, level = int(random.choice([2, 5, 10])), random.uniform(-1.2, 0.4)
        of_reference: list[Evidence] = []
        if target % together == 0:
            moved, lifted = (shift * random.normal() for _ in range(2))
        for source in range(sources):
            tangent, probe = random.normal(0.2, 0.5, 2)
            discriminants, over_twin = random.normal(0.5, 0.4), random.normal(0.2, 0.3)
            unseen = random.normal()
            family = 0.2 * (
                source % 2
            )  # architectures differ in their tangent probes and not in what scratch reaches
            name = REFERENCE if source == 0 else f"zoo/source {source}"
            for place, size in enumerate(sizes):
                here = Situation(size, classes)
                reference = level + REFERENCE_ON_SIZE * here.size
                gain = true_gain(tangent, probe, here.size) + moved
                gain += hidden * unseen + noise * random.normal()
                accuracy = reference + LEVEL_START + ON_LDA * discriminants
                accuracy += LEVEL_ON_SIZE * here.size + lifted + noise * random.normal()
                own = {
                    "linear_probe": exact(level + probe, size),
                    "knn": exact(level - 0.2, size),
                    "logme": unseen - probe,
                    "lda": exact(reference + discriminants, size),
                    "label_overlap": 0.4,
                    "cka": 0.3,
                    "tangent_probe": exact(reference + family + tangent, size),
                }
                twins = {
                    "linear_probe": exact(level, size),
                    "logme": 0.0,
                    "lda": exact(reference + discriminants - over_twin, size),
                    "tangent_probe": exact(reference + family, size),
                }
                full, scratch = exact(accuracy), exact(accuracy - gain)
                arms = {
                    "full": full,
                    "probe": full - PROBE_ARM * (0.8 - own["linear_probe"]),
                    "probe_then_full": full + PROBE_THEN_FULL_ARM,
                }
                short = anchor = reference_anchor = None
                if share is not None:
                    seen = gain + 0.02 * random.normal()
                    ends = (exact(each, size) for each in (seen - 0.4, -0.4))
                    short = Short(share, next(ends), math.exp(-seen), next(ends), 1.0)
                if anchors:
                    drawn = accuracy - gain + noise * random.normal()
                    anchor = Anchor(exact(drawn), MEASURED)
                    reference_anchor = Anchor(exact(drawn - 0.1), MEASURED)
                evidence = Evidence(
                    capability="gradients", own=own, twins=twins, reference=exact(reference, size)
                )
                if source == 0:
                    of_reference.append(evidence)
                found.append(
                    Example(
                        source=name,
                        target=f"{prefix} {target}",
                        dataset=f"set of {prefix} {target // together}",
                        situation=here,
                        evidence=evidence,
                        accuracy=full,
                        scratch=scratch,
                        noise=noise / 2,  # in accuracy, of which a log-odd is a quarter at most
                        arms=arms,
                        short=short,
                        anchor=anchor,
                        reference_anchor=reference_anchor,
                        reference_evidence=of_reference[place],
                        revision=f"weights of {name}",
                    )
                )
    return found


def there(value: Value | None) -> Value:
    """The value, which is there."""
    assert value is not None
    return value


def lacking(evidence: Evidence, *names: str, twins: tuple[str, ...] = ()) -> Evidence:
    """The evidence without these scores of the source, and without those of its twins."""
    own = {name: value for name, value in evidence.own.items() if name not in names}
    others = {name: value for name, value in evidence.twins.items() if name not in twins}
    return replace(evidence, own=own, twins=others)


def made_line(
    weights: Mapping[str, float],
    *,
    intercept: float = 0.0,
    residuals: tuple[float, ...] = (-0.1, -0.05, 0.0, 0.05, 0.1),
    num_groups: int | None = None,
) -> Line:
    """A line made by hand, whose predictors have means of 0 and whose residuals go with no size.

    Each residual is one data set, unless the number of data sets is said.
    """
    return Line(
        names=tuple(weights),
        weights=tuple(weights.values()),
        means=(0.0,) * len(weights),
        intercept=intercept,
        residuals=residuals,
        num_groups=len(residuals) if num_groups is None else num_groups,
    )


def made_lines(**changes: Line) -> Lines:
    """Lines that say what the evidence says.

    The accuracy is what the linear probe reaches, and the gain what the tangent probe has over its
    twins. With log(size / n) scratch grows by 0.3, and the gain falls by 0.2.
    """
    lines = Lines(
        level=made_line({"linear_probe": 1.0}),
        gain=made_line({"tangent_probe": 1.0, "linear_probe": 0.0}),
        accuracy=made_line({}),
        scratch=made_line({}),
        growth=made_line({"ratio": 0.3}),
        drift=made_line({"ratio": -0.2}, residuals=(0.0,) * 9),
        order=made_line({}, residuals=(-0.02, 0.02)),
        arms={
            "probe": made_line({}, intercept=-0.04),
            "probe_then_full": made_line({}, intercept=0.002),
        },
    )
    return replace(lines, **changes)


def made_calibration(**changes: Line) -> Calibration:
    """One that holds the same lines for every capability.

    Those of sources without gradients go by the linear probe. With an anchor half of the gain is
    what the accuracy has over it, and with short runs of 0.3 what they have over scratch.
    """
    lines = made_lines(**changes)
    wide = tuple(2 * value for value in lines.gain.residuals)
    by_probe = replace(lines, gain=made_line({"linear_probe": 1.0}, residuals=wide))
    blind = replace(by_probe, **changes)
    narrow = tuple(value / 2 for value in lines.gain.residuals)
    by_runs = {"tangent_probe": 0.5, "short accuracy": 0.5}
    short = replace(lines, gain=made_line(by_runs, residuals=narrow))
    by_anchor = {"tangent_probe": 0.5, LEAD: 0.5}
    anchored = replace(lines, gain=made_line(by_anchor, residuals=narrow))
    without = [
        Fitted(capability=each, lines=lines if each == "gradients" else blind)
        for each in CAPABILITIES
    ]
    with_anchor = [
        Fitted(capability=each, tier="anchor", lines=anchored if each == "gradients" else blind)
        for each in CAPABILITIES
    ]
    with_short = [
        Fitted(capability="gradients", tier="short", share=share, lines=some)
        for share, some in ((0.1, lines), (0.3, short))
    ]
    return Calibration(fitted=(*without, *with_anchor, *with_short), provenance={"by": "hand"})
