"""Worlds with a known truth.

They are pairs of sources and targets whose gain, scratch and arms are written down, and
calibrations made by hand.
"""

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from featalign.forecasting.calibration import Calibration, Fitted, Line, Lines
from featalign.forecasting.fit import Example
from featalign.forecasting.predictors import CAPABILITIES, Short, Situation
from featalign.records.evidence import Evidence

REFERENCE = "zoo/resnet_noise"
ON_TANGENT, ON_PROBE, ON_SIZE = 0.5, 0.3, -0.05  # what the gain is made of
SCRATCH_ON_SIZE, SCRATCH_START = (
    0.04,
    0.02,
)  # what training from scratch adds to what the twins reach
PROBE_ARM, PROBE_THEN_FULL_ARM = (
    0.5,
    0.01,
)  # the probe loses half of what its linear probe lacks to 0.8; a head beforehand adds a point


def true_gain(tangent: float, probe: float, size: float) -> float:
    return ON_TANGENT * tangent + ON_PROBE * probe + ON_SIZE * size


def world(
    seed: int = 0,
    *,
    targets: int = 8,
    sources: int = 5,
    sizes: tuple[int, ...] = (100, 400, 1600),
    noise: float = 0.01,
    shift: float = 0.0,
    hidden: float = 0.0,
    share: float | None = None,
    prefix: str = "target",
) -> list[Example]:
    """Examples of `sources` on `targets`, whose gain is known.

    It is `true_gain`, what a target does to all (`shift`), and what no evidence shows (`hidden`).
    Short runs, where a `share` is given, see the whole gain, with a little noise.
    """
    random, found = np.random.default_rng(seed), []
    for target in range(targets):
        classes, level, moved = (
            int(random.choice([2, 5, 10])),
            random.uniform(0.3, 0.5),
            shift * random.normal(),
        )
        for source in range(sources):
            tangent, probe = random.normal(0.05, 0.1), random.normal(0.05, 0.1)
            logme, lda, unseen = random.normal(size=3)
            family = 0.05 * (
                source % 2
            )  # architectures differ in their tangent probes and not in what scratch reaches
            for size in sizes:
                situation = Situation(size, classes)
                reference = level + 0.05 * situation.size
                scratch = (
                    reference
                    + SCRATCH_START
                    + SCRATCH_ON_SIZE * situation.size
                    + noise * random.normal()
                )
                gain = (
                    true_gain(tangent, probe, situation.size)
                    + moved
                    + hidden * unseen
                    + noise * random.normal()
                )
                own = {
                    "linear_probe": level + probe,
                    "knn": level - 0.05,
                    "logme": logme,
                    "lda": 0.1 * lda,
                    "label_overlap": level,
                    "cka": 0.3,
                    "tangent_probe": reference + family + tangent,
                }
                twins = {
                    "linear_probe": level,
                    "logme": 0.0,
                    "lda": 0.0,
                    "tangent_probe": reference + family,
                }
                evidence = Evidence(
                    capability="gradients", own=own, twins=twins, reference=reference
                )
                full = scratch + gain
                arms = {
                    "full": full,
                    "probe": full - PROBE_ARM * (0.8 - own["linear_probe"]),
                    "probe_then_full": full + PROBE_THEN_FULL_ARM,
                }
                short = None
                if share is not None:
                    seen = gain + 0.005 * random.normal()
                    short = Short(share, 0.4 + seen, math.exp(-seen), 0.4, 1.0)
                name = REFERENCE if source == 0 else f"zoo/source {source}"
                found.append(
                    Example(
                        name,
                        f"{prefix} {target}",
                        situation,
                        evidence,
                        full,
                        scratch,
                        2 * noise,
                        arms,
                        short,
                        f"weights of {name}",
                    )
                )
    return found


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
) -> Line:
    """A line made by hand, whose predictors have means of 0 and whose residuals go with no size."""
    return Line(
        tuple(weights),
        tuple(weights.values()),
        (0.0,) * len(weights),
        intercept,
        residuals,
        0.0,
        0.0,
    )


def made_lines(**changes: Line) -> Lines:
    """Lines that say what the evidence says.

    The gain is what the tangent probe says, scratch is what the twins reach, and the gain falls by
    0.05 log(size / n).
    """
    lines = Lines(
        gain=made_line({"tangent_probe": 1.0, "linear_probe": 0.0}),
        scratch=made_line({}),
        accuracy=made_line({}),
        drift=made_line({"ratio": -0.05}, residuals=(0.0,) * 9),
        order=made_line({}, residuals=(-0.02, 0.02)),
        arms={
            "probe": made_line({}, intercept=-0.04),
            "probe_then_full": made_line({}, intercept=0.002),
        },
    )
    return replace(lines, **changes)


def made_calibration(**changes: Line) -> Calibration:
    """One that holds the same lines for every capability.

    Those of sources without gradients go by the linear probe.
    """
    lines = made_lines(**changes)
    wide = tuple(2 * value for value in lines.gain.residuals)
    by_probe = replace(lines, gain=made_line({"linear_probe": 1.0}, residuals=wide))
    blind = replace(by_probe, **changes)
    narrow = tuple(value / 2 for value in lines.gain.residuals)
    by_runs = {"tangent_probe": 0.5, "short accuracy": 0.5}
    short = replace(lines, gain=made_line(by_runs, residuals=narrow))
    without = [
        Fitted(capability=each, lines=lines if each == "gradients" else blind)
        for each in CAPABILITIES
    ]
    with_short = [
        Fitted(capability="gradients", share=share, lines=some)
        for share, some in ((0.1, lines), (0.3, short))
    ]
    return Calibration(fitted=(*without, *with_short), provenance={"by": "hand"})
