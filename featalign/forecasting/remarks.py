"""What a user should know of a target or a source beside the forecast.

The remarks are sentences, each with its numbers.
"""

import math
from collections.abc import Mapping

CALIBRATED = (100, 400)  # numbers of rows that the shipped study trained with
CALIBRATED_KIND = "image"
FEW = 5
BALANCED = 5  # to 1: the ratio of class sizes beyond which accuracy hides a class


def target_remarks(
    counts: Mapping[str, int], kind: str = CALIBRATED_KIND, *, shipped: bool = True
) -> tuple[str, ...]:
    """Remarks on a target from the number of rows of each class and what a row is.

    `shipped` says that forecasts use the shipped calibration.
    """
    total, found = sum(counts.values()), []
    if kind == "token":
        found.append(
            "words of one sentence fall into several folds, so that scores are somewhat too high; "
            "the order of sources suffers less"
        )
    kind = kind.removeprefix("grouped ")  # a group keeps the words of a sentence together
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


def balance_remarks(counts: Mapping[str, int]) -> tuple[str, ...]:
    """A remark where the largest class has more than five times the rows of the smallest.

    >>> balance_remarks({"ham": 90, "spam": 10})[0][:58]
    'classes are unbalanced: ham has 90 rows, spam 10 (9 to 1);'
    >>> balance_remarks({"ham": 50, "spam": 10})
    ()
    """
    occurring = {name: count for name, count in counts.items() if count}
    if not occurring:
        return ()
    most, least = (choose(occurring, key=lambda name: occurring[name]) for choose in (max, min))
    ratio = occurring[most] / occurring[least]
    if ratio <= BALANCED:
        return ()
    share = occurring[most] / sum(occurring.values())
    return (
        f"classes are unbalanced: {most} has {occurring[most]} rows, {least} {occurring[least]} "
        f"({ratio:.3g} to 1); who always says {most} is right in {share:.0%} of rows, so look at "
        "another metric too: balanced_accuracy, macro_f1 or average_precision",
    )


def metric_remarks(metric: str, default: str) -> tuple[str, ...]:
    """What another metric than the default changes: the probes, and that there is no forecast."""
    if metric == default:
        return ()
    forecast = "" if default != "accuracy" else "; there is no forecast, which is of accuracy alone"
    return (
        f"linear_probe, ridge_probe and tangent scores are {metric}, all other scores what they "
        f"always are{forecast}",
    )


def layer_remark(scores: Mapping[str, float], default: str) -> str | None:
    """A remark where another layer has a clearly better linear probe.

    The other layer is compared with the default one, from which fine-tuning starts. The remark is
    None where no layer is clearly better.
    """
    if default not in scores or not scores:
        return None
    best = max(scores, key=lambda layer: scores[layer])
    lead = scores[best] - scores[default]
    if best == default or not lead > max(
        0.01, math.sqrt(scores[default] * (1 - scores[default])) / 10
    ):
        return None
    return (
        f"another layer is better: linear probe {scores[best]:.1%} at {best}, "
        f"{scores[default]:.1%} at {default}"
    )
