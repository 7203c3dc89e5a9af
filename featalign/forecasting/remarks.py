"""What a user should know of a target or a source beside the forecast.

The remarks are sentences, each with its numbers.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from featalign.scorers.knn import neighbours
from featalign.statistics.collected import Statistics

NEIGHBOURS = 5
CALIBRATED = (100, 400)  # numbers of rows that the shipped study trained with
CALIBRATED_KIND = "image"
FEW = 5
MANY_DEAD = 0.3
NOISY = 0.05
UNANIMOUS_ROWS = 30  # fewer say nothing of the labels


def target_remarks(
    counts: Mapping[str, int], kind: str = CALIBRATED_KIND, *, shipped: bool = True
) -> tuple[str, ...]:
    """Remarks on a target from the number of rows of each class and what a row is.

    `shipped`: forecasts are by the shipped calibration.
    """
    total, found = sum(counts.values()), []
    if kind == "token":
        found.append(
            "words of one sentence fall into several folds, so that scores are somewhat too high; "
            "the order of sources suffers less"
        )
    if shipped and kind != CALIBRATED_KIND:
        found.append(
            f"forecasts were calibrated on {CALIBRATED_KIND}s alone: those for {kind}s are "
            "extrapolated; trust the order before the numbers"
        )
    if total < CALIBRATED[0]:
        found.append(
            f"only {total} rows: every interval is wide, and forecasts were calibrated from "
            f"{CALIBRATED[0]} rows on"
        )
    if total > CALIBRATED[1]:
        found.append(
            f"{total:,} rows are beyond the {CALIBRATED[1]:,} that forecasts were calibrated with: "
            "they are extrapolated"
        )
    small = {name: count for name, count in counts.items() if count < FEW}
    if small:
        named = ", ".join(f"{name} ({count})" for name, count in list(small.items())[:3])
        found.append(
            f"{len(small)} of {len(counts)} classes have fewer than {FEW} rows: "
            f"{named}{', ...' if len(small) > 3 else ''}"
        )
    return tuple(found)


def source_remarks(evidence: Mapping[str, Any], statistics: Statistics) -> tuple[str, ...]:
    """Remarks on a source's features: dead ones, and labels that all neighbours contradict."""
    found = []
    dead = evidence.get("dead_fraction")
    if dead is not None and dead > MANY_DEAD:
        found.append(
            f"{dead:.0%} of the features are zero on every row: the source may get inputs it was "
            "not made for"
        )
    contradicted, unanimous = label_noise(statistics)
    if unanimous >= UNANIMOUS_ROWS and contradicted > NOISY * unanimous:
        share = contradicted / unanimous
        found.append(
            f"labels may be wrong: of {unanimous} rows whose {NEIGHBOURS} nearest neighbours "
            f"agree, {share:.0%} have another label"
        )
    return tuple(found)


def label_noise(statistics: Statistics) -> tuple[int, int]:
    """Two counts of rows by the labels of their nearest neighbours.

    The first is of rows whose neighbours are all of one class that is not their own. The second is
    of rows whose neighbours are all of one class.
    """
    if (
        statistics.rows is None
        or statistics.task != "classification"
        or len(statistics.rows.labels) <= NEIGHBOURS
    ):
        return 0, 0
    labels = statistics.rows.labels
    around = labels[neighbours(statistics, NEIGHBOURS)]
    unanimous = (around == around[:, :1]).all(axis=1)
    return int((unanimous & (around[:, 0] != labels)).sum()), int(unanimous.sum())


def layer_remark(scores: Mapping[str, float], default: str) -> str | None:
    """A remark where another layer has a clearly better linear probe.

    The layer it is compared with is the one that is fine-tuned from. Without such a layer there is
    None.
    """
    if default not in scores or not scores:
        return None
    best = max(scores, key=lambda layer: scores[layer])
    lead = scores[best] - scores[default]
    if best == default or not lead > max(
        0.01, float(np.sqrt(scores[default] * (1 - scores[default])) / 10)
    ):
        return None
    return (
        f"another layer is better: linear probe {scores[best]:.1%} at {best}, "
        f"{scores[default]:.1%} at {default}"
    )
