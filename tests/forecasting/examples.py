"""Worlds with a known truth.

They are pairs of sources and targets whose gain, scratch and arms are written down, and
calibrations made by hand.
"""

import math
from collections.abc import Mapping

import numpy as np

from featalign.forecasting.calibration import Calibration, Line
from featalign.forecasting.fit import Example
from featalign.forecasting.predictors import Short, Situation

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
                evidence = {
                    "linear_probe": level + probe,
                    "twin linear_probe": level,
                    "knn": level - 0.05,
                    "logme": logme,
                    "twin logme": 0.0,
                    "lda": 0.1 * lda,
                    "twin lda": 0.0,
                    "label_overlap": level,
                    "cka": 0.3,
                    "tangent_probe": reference + family + tangent,
                    "twin tangent_probe": reference + family,
                    "reference tangent_probe": reference,
                }
                full = scratch + gain
                arms = {
                    "full": full,
                    "probe": full - PROBE_ARM * (0.8 - evidence["linear_probe"]),
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


def made_lines(**changes: Line) -> dict[str, Line]:
    """Lines that say what the evidence says.

    The gain is what the tangent probe says, scratch is what the twins reach, and the gain falls by
    0.05 log(size / n).
    """
    lines = {
        "gain": made_line({"tangent_probe": 1.0, "linear_probe": 0.0}),
        "scratch": made_line({}),
        "accuracy": made_line({}),
        "drift": made_line({"ratio": -0.05}, residuals=(0.0,) * 9),
        "order": made_line({}, residuals=(-0.02, 0.02)),
        "probe less full": made_line({}, intercept=-0.04),
        "probe_then_full less full": made_line({}, intercept=0.002),
    }
    return lines | changes


def made_calibration(**changes: Line) -> Calibration:
    """One that holds the same lines for every kind.

    Those of a black box and of features alone go by the linear probe.
    """
    lines = made_lines(**changes)
    wide = tuple(2 * value for value in lines["gain"].residuals)
    blind = lines | {"gain": made_line({"linear_probe": 1.0}, residuals=wide)} | changes
    short = lines | {
        "gain": made_line(
            {"tangent_probe": 0.5, "short accuracy": 0.5},
            residuals=tuple(value / 2 for value in lines["gain"].residuals),
        )
    }
    return Calibration(
        {
            "differentiable": lines,
            "black box": blind,
            "features alone": blind,
            "short 0.1": lines,
            "short 0.3": short,
        },
        {"by": "hand"},
    )
