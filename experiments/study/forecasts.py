"""How forecasts do on what they were not calibrated on, beside what knows less.

This makes tables of the study's page.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from featalign.forecasting.fit import Example
from featalign.forecasting.predictors import CAPABILITIES
from featalign.forecasting.verdict import judge
from featalign.records.evidence import Capability
from featalign.records.forecast import Forecast
from featalign.study.bootstrap import BootstrapInterval
from featalign.study.calibrate import SHARES, examples_of, left_out, left_out_both, seen_as
from featalign.study.findings import of_source, score, score_names
from featalign.study.forecast_agreement import (
    Judged,
    always_helps,
    guess_of,
    guesses_by,
    judge_guesses,
)

Records = Sequence[Mapping[str, Any]]
Found = Sequence[tuple[Example, Forecast]]
SINGLES = (
    "linear_probe less twin",
    "linear_probe",
    "logme",
    "logme less twin",
    "knn",
    "tangent_gain",
)
HEAD = (
    "| | AUROC of the sign | Brier | error of the gain | coverage of 90% | width | weighted tau "
    "| Kendall tau | regret |"
)
DEFAULT_SHARE = 0.2
ITS_ARM = "*Its arm*: mean accuracy of the arm that the verdict names."


def section(records: Records, evidence: Records, short: Records) -> str:
    """The section on forecasts."""
    examples = examples_of(records, evidence)
    found = list(left_out(examples, lambda each: each.target, "gradients"))
    parts = [
        _introduction(examples),
        _table(examples, found, records, evidence, short),
        _others(examples, found, records, evidence, short),
    ]
    parts.append(verdicts(found) + "\n\nFrom the cache, targets left out. " + ITS_ARM)
    if short:
        parts.append(_shares(records, evidence, short))
    return "\n\n".join(parts)


def _introduction(examples: Sequence[Example]) -> str:
    signs = [
        0 if abs(each.gain) <= each.noise else math.copysign(1, each.gain) for each in examples
    ]
    return f"""## Forecasts

Every target is forecast by a calibration that saw no pair of it: weights, penalties, residuals \
and all. {len(examples)} pairs with evidence of the
first seed, {signs.count(1)} gains and {signs.count(-1)} losses beyond noise; AUROC and Brier \
score are on these, everything else is on all pairs.
Gains and regret are in points. Brackets hold 90% intervals, targets drawn again."""


def _table(
    examples: Sequence[Example], found: Found, records: Records, evidence: Records, short: Records
) -> str:
    lines = [HEAD, "|---" * 9 + "|"]
    lines.append(row("**forecast from the cache**", judged(found)))
    if short:
        some = examples_of(records, evidence, short, share=DEFAULT_SHARE)
        lines.append(
            row(
                f"**with short runs of {DEFAULT_SHARE:g} training**",
                judged(left_out(some, lambda each: each.target, "gradients")),
            )
        )
        if len(some) < len(examples):
            kept = {(each.source, each.target, each.situation) for each in some}
            same = [each for each in examples if (each.source, each.target, each.situation) in kept]
            lines.append(
                row(
                    f"from the cache, the same {len(same)} pairs",
                    judged(left_out(same, lambda each: each.target, "gradients")),
                )
            )
    lines.append(row("always helps", judge_guesses(examples, always_helps(examples))))
    lines.append(
        row(
            "n only",
            judge_guesses(examples, guesses_by(examples, lambda each: each.situation.size)),
        )
    )
    for name, predictor in (
        ("source accuracy", lambda each: _or_nan(of_source(each.source)[0])),
        ("log parameters", lambda each: _or_nan(of_source(each.source)[1])),
        ("mean gain of the source elsewhere", lambda each: _elsewhere(each, examples)),
    ):
        lines.append(row(name, judge_guesses(examples, guesses_by(examples, predictor))))
    singles = {
        name: judge_guesses(
            examples, guesses_by(examples, lambda each, name=name: number_of(each, name))
        )
        for name in score_names(evidence)
    }
    lines += [row(name.replace("_", " "), singles[name]) for name in SINGLES]
    for what, name in _best(singles).items():
        lines.append(
            row(
                f"best single score by {what}, with hindsight: {name.replace('_', ' ')}",
                singles[name],
            )
        )
    return "\n".join(lines)


# what a source of the zoo is taken for
SEEN_AS: dict[Capability, str] = {
    "gradients": "differentiable",
    "twins": "black box",
    "features": "features alone",
}


def _others(
    examples: Sequence[Example], found: Found, records: Records, evidence: Records, short: Records
) -> str:
    lines = ["### Whole sources left out, both, and black boxes", "", HEAD, "|---" * 9 + "|"]
    for capability in CAPABILITIES:
        seen = seen_as(examples, capability)
        for name, left in (
            (
                "targets",
                found
                if capability == "gradients"
                else left_out(seen, lambda each: each.target, capability),
            ),
            ("sources", left_out(seen, lambda each: each.source, capability)),
            ("both", left_out_both(seen, capability)),
        ):
            lines.append(row(f"{SEEN_AS[capability]}, {name} left out", judged(left)))
    if short:
        some = examples_of(records, evidence, short, share=DEFAULT_SHARE)
        for name, left in (
            ("sources", left_out(some, lambda each: each.source, "gradients")),
            ("both", left_out_both(some, "gradients")),
        ):
            lines.append(row(f"with short runs, {name} left out", judged(left)))
    text = """
*Black box*: the zoo's sources as if they were functions: no gradients, no twins of their own, \
compared with fresh networks of the reference
architecture. *Features alone*: nothing to compare with either."""
    return "\n".join([*lines, text])


def verdicts(found: Iterable[tuple[Example, Forecast]]) -> str:
    """What came of each verdict, as a table."""
    arms = {"probe only": "probe", "probe then fine-tune": "probe_then_full", "fine-tune": "full"}
    groups: dict[str, list[Example]] = {}
    for example, forecast in found:
        groups.setdefault(judge(forecast, example.evidence).decision, []).append(example)
    lines = [
        "### What the verdicts were worth",
        "",
        "| verdict | pairs | gains, losses beyond noise | mean gain (points) | its arm | full "
        "fine-tuning | scratch |",
        "|---" * 7 + "|",
    ]
    for name, group in sorted(groups.items(), key=lambda each: -len(each[1])):
        gains = sum(each.gain > each.noise for each in group)
        losses = sum(each.gain < -each.noise for each in group)
        followed = (
            [each.arms[arms[name]] for each in group if arms[name] in each.arms]
            if name in arms
            else []
        )
        own = f"{100 * sum(followed) / len(followed):.1f}%" if followed else ""
        full = [each.arms["full"] for each in group if "full" in each.arms]
        scratch = 100 * sum(each.scratch for each in group) / len(group)
        mean = 100 * sum(each.gain for each in group) / len(group)
        lines.append(
            f"| {name} | {len(group)} | {gains}, {losses} | {mean:+.1f} | {own} | "
            f"{100 * sum(full) / len(full):.1f}% | {scratch:.1f}% |"
        )
    return "\n".join(lines)


def _shares(records: Records, evidence: Records, short: Records) -> str:
    lines = [
        "### How long short runs should be",
        "",
        "| length of a run | trainings spent on a source and scratch " + HEAD[1:],
        "|---" * 10 + "|",
    ]
    pairs = examples_of(records, evidence, short, share=SHARES[0])
    plain = [replace(each, short=None) for each in pairs]
    lines.append(
        row(
            "0 (cache alone) | 0",
            judged(left_out(plain, lambda each: each.target, "gradients")),
        )
    )
    for share in SHARES:
        some = examples_of(records, evidence, short, share=share)
        found = judged(left_out(some, lambda each: each.target, "gradients"))
        lines.append(row(f"{share:g} | {4 * share:.1f}", found))
    text = """
A run is a part of the steps of one training at one learning rate; each half of the rows is \
predicted by a network trained on the other half, from
the source and from scratch, so that a length of 0.3 costs 1.2 trainings (an arm of the study is \
two trainings, one a learning rate; scratch is
shared by sources of one architecture)."""
    return "\n".join([*lines, text])


def judged(found: Iterable[tuple[Example, Forecast]]) -> Judged:
    """All measures of forecasts."""
    pairs = list(found)
    return judge_guesses(
        [example for example, _ in pairs], [guess_of(forecast) for _, forecast in pairs]
    )


def row(name: str, found: Judged) -> str:
    """A line of the table whose head is HEAD."""
    cells = [
        _interval(found.auroc),
        _plain(found.brier, 3),
        _interval(found.error, 1),
        _plain(found.coverage, 2),
        _plain(found.width, 1),
        _interval(found.weighted_tau),
        _plain(found.kendall_tau, 2),
        _interval(found.regret, 1),
    ]
    return f"| {name} | {' | '.join(cells)} |"


def _plain(interval: BootstrapInterval, digits: int) -> str:
    return "-" if math.isnan(interval.value) else f"{interval.value:.{digits}f}"


def _interval(interval: BootstrapInterval, digits: int = 2) -> str:
    if math.isnan(interval.value):
        return "-"
    return f"{interval.value:.{digits}f} ({interval.low:.{digits}f} to {interval.high:.{digits}f})"


def _best(singles: Mapping[str, Judged]) -> dict[str, str]:
    """The best single score by AUROC, by Brier score and by weighted tau."""

    def value(name: str, measure: str, sign: int) -> float:
        found = sign * getattr(singles[name], measure).value
        return -math.inf if math.isnan(found) else found

    return {
        "AUROC": max(singles, key=lambda name: value(name, "auroc", 1)),
        "Brier": max(singles, key=lambda name: value(name, "brier", -1)),
        "weighted tau": max(singles, key=lambda name: value(name, "weighted_tau", 1)),
        "regret": max(singles, key=lambda name: value(name, "regret", -1)),
    }


def number_of(example: Example, name: str) -> float:
    """A score of an example, or a score less the twin's; NaN where there is none."""
    return _or_nan(score(example.evidence, name))


def _elsewhere(example: Example, examples: Sequence[Example]) -> float:
    gains = [
        each.gain
        for each in examples
        if each.source == example.source
        and each.situation.num_rows == example.situation.num_rows
        and each.target != example.target
    ]
    return math.fsum(gains) / len(gains) if gains else math.nan


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
