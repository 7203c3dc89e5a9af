"""What screening costs and what it loses.

That is the regret of the pick against the trainings spent, replayed from the study's records.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from featalign.forecasting.fit import Example
from featalign.records.forecast import Forecast
from featalign.screening import FOLDS, RUNGS
from featalign.study.calibrate import examples_of, left_out, of_dataset

Records = Sequence[Mapping[str, Any]]
Place = tuple[str, int]
Curve = list[tuple[float, float]]  # trainings spent, regret in points


def section(records: Records, evidence: Records, short: Records, folder: Path) -> str:
    """The section on screening; writes screening.png."""
    curves = replay(records, evidence, short)
    _figure(curves).savefig(folder / "screening.png", dpi=110)
    lines = [
        "## Screening",
        "",
        "| way | trainings spent | regret of the pick (points) |",
        "|---|---|---|",
    ]
    for name, curve in curves.items():
        for spent, regret in curve:
            lines.append(f"| {name} | {spent:.1f} | {regret:.1f} |")
    text = """
Replayed from the records, means over targets and sizes: the regret is the best accuracy there \
less that of the source that would be picked,
trained by its best arm. *Train everything* picks by the validation accuracy of the first seed's \
`full` arm. *Successive halving* runs all sources
for a tenth of a training, the better half for a fifth, and so on, and picks by held-out accuracy. \
*From the forecast* begins with the better half by
the forecast from the cache and goes on by the forecast with short runs, which are of source and \
scratch, so that each costs twice as much. Each row
is the pick after another round.

![regret against the trainings spent](screening.png)"""
    return "\n".join([*lines, text])


def replay(records: Records, evidence: Records, short: Records) -> dict[str, Curve]:
    """Regret and cost of each way, mean over targets and sizes."""
    plain = {share: examples_of(records, evidence, short, share=share) for share in RUNGS}
    cache = [each.__class__(**{**vars(each), "short": None}) for each in plain[RUNGS[0]]]
    forecasts: dict[float, dict[tuple[str, Place], Forecast]] = {
        0.0: _by_pair(left_out(cache, of_dataset, "gradients"))
    }
    for share in RUNGS:
        forecasts[share] = _by_pair(left_out(plain[share], of_dataset, "gradients", "short"))
    validated = {
        (each["source"], (each["target"], each["size"])): max(
            run["validation_accuracy"] for run in each["runs"]
        )
        for each in sorted(records, key=lambda each: -each["seed"])
        if each["arm"] == "full"
    }
    groups: dict[Place, list[Example]] = {}
    for each in cache:
        groups.setdefault(_place(each), []).append(each)
    runs = {
        share: {(each.source, _place(each)): each for each in some} for share, some in plain.items()
    }
    curves: dict[str, list[Curve]] = {}
    for place, group in groups.items():
        truth = {each.source: each.accuracy for each in group}
        if len(truth) < 4:
            continue
        best = max(truth.values())
        regret = lambda name, best=best, truth=truth: 100 * (best - truth[name])  # noqa: E731

        singles = {
            "pick by LogME": {each.source: _or(each.evidence.own.get("logme")) for each in group},
            "pick by the linear probe": {
                each.source: _or(each.evidence.own.get("linear_probe")) for each in group
            },
            "pick by the forecast": {
                name: forecasts[0.0][name, place].accuracy.value for name in truth
            },
        }
        for name, values in singles.items():
            curves.setdefault(name, []).append([(0.0, regret(pick(values)))])
        everything = pick({name: validated[name, place] for name in truth})
        curves.setdefault("train everything", []).append([(2.0 * len(truth), regret(everything))])
        left, spent, curve, before = list(truth), 0.0, [], 0.0
        for share in RUNGS:
            spent += (
                FOLDS * (share - before) * len(left)
            )  # a longer run goes on from the shorter one
            values = {name: runs[share][name, place].short for name in left}
            scores = {
                name: (found.accuracy - 1e-3 * found.loss) if found else -math.inf
                for name, found in values.items()
            }
            curve.append((spent, regret(pick(scores))))
            left, before = (
                sorted(left, key=lambda name: -scores[name])[: max(1, math.ceil(len(left) / 2))],
                share,
            )
        curves.setdefault("successive halving", []).append(curve)
        start = singles["pick by the forecast"]
        left, spent, before = (
            sorted(truth, key=lambda name: -start[name])[: max(1, math.ceil(len(truth) / 2))],
            0.0,
            0.0,
        )
        curve = [(0.0, regret(pick(start)))]
        for share in RUNGS:
            spent += 2 * FOLDS * (share - before) * len(left)
            scores = {name: forecasts[share][name, place].accuracy.value for name in left}
            curve.append((spent, regret(pick(scores))))
            left, before = (
                sorted(left, key=lambda name: -scores[name])[: max(1, math.ceil(len(left) / 2))],
                share,
            )
        curves.setdefault("successive halving from the forecast", []).append(curve)
    return {
        name: [
            tuple(np.mean([each[step] for each in some], axis=0)) for step in range(len(some[0]))
        ]
        for name, some in curves.items()
    }


def pick(values: Mapping[str, float]) -> str:
    """The name with the largest value."""
    return max(values, key=lambda name: values[name])


def _by_pair(found: Any) -> dict[tuple[str, Place], Forecast]:
    return {(example.source, _place(example)): forecast for example, forecast in found}


def _place(example: Example) -> Place:
    return example.target, example.situation.num_rows


def _or(value: float | None) -> float:
    return -math.inf if value is None else value


def _figure(curves: Mapping[str, Curve]) -> Figure:
    figure = Figure(figsize=(7, 3.8), layout="constrained")
    axes = figure.subplots()
    markers = iter("osD^vP")
    for name, curve in curves.items():
        spent, regret = zip(*curve, strict=True)
        axes.plot(spent, regret, marker=next(markers), ms=5, lw=1.4, label=name)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_xlabel("trainings spent (one learning rate of one arm; 0: the cache alone)")
    axes.set_ylabel("regret of the pick (points)")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=8)
    return figure
