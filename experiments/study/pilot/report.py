"""Records and evidence as a table, a figure and a text."""

import itertools
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import kendalltau, weightedtau

from experiments.study.pilot.grid import RATES, SCRATCH_SEEDS, SIZES, TARGETS, architecture, stand_ins

PREDICTORS = {
    "activations, difference to the twin": lambda e: e["source activations"] - e["twin activations"],
    "gradients, difference": lambda e: e["source gradients"] - e["twin gradients"],
    "both, difference (`tangent_gain`)": lambda e: e["source both"] - e["twin both"],
    "activations": lambda e: e["source activations"],
    "gradients": lambda e: e["source gradients"],
    "both (`tangent_probe`)": lambda e: e["source both"],
    "linear probe": lambda e: e["source linear_probe"],
    "linear probe, difference": lambda e: e["source linear_probe"] - e["twin linear_probe"],
    "kNN": lambda e: e["source knn"],
    "kNN, difference": lambda e: e["source knn"] - e["twin knn"],
    "LogME": lambda e: e["source logme"],
    "LogME, difference": lambda e: e["source logme"] - e["twin logme"],
}
Pair = tuple[str, str, int]


def truth(records: list[dict[str, Any]]) -> dict[Pair, tuple[float, float]]:
    """Accuracy from the source and mean accuracy from scratch, for each pair of which all networks are trained; rates are chosen by validation."""
    arms = defaultdict(dict)
    for record in records:
        arms[record["source"], record["target"], record["size"], record["twin"]][record["rate"]] = record
    best = {
        arm: min(runs.values(), key=lambda run: (-run["validation"]["accuracy"], run["validation"]["loss"]))["test"]["accuracy"]
        for arm, runs in arms.items()
        if set(runs) == set(RATES)
    }
    found = {}
    for source, target, size, twin in best:
        scratch = [best.get((stand_ins()[architecture(source)], target, size, seed)) for seed in SCRATCH_SEEDS]
        if twin is None and all(value is not None for value in scratch):
            found[source, target, size] = best[source, target, size, None], float(np.mean([value for value in scratch if value is not None]))
    return found


def area(values: np.ndarray, positive: np.ndarray) -> float:
    """The area under the ROC curve: how often a positive one is above a negative one."""
    pairs = [np.sign(first - second) for first, second in itertools.product(values[positive], values[~positive])]
    return float(np.mean(pairs) / 2 + 0.5) if pairs else float("nan")


def write_report(records: list[dict[str, Any]], evidence: list[dict[str, Any]], folder: Path) -> None:
    """README.md and gain.png of what is stored."""
    arms, known = truth(records), {(each["source"], each["target"], each["size"]): each for each in evidence}
    pairs = sorted(set(arms) & set(known))
    if not pairs:
        raise SystemExit("pilot: no pair has both trained networks and evidence; run `train` and `evidence` first")
    gains = np.array([arms[pair][0] - arms[pair][1] for pair in pairs])
    lines = [*_head(pairs, gains, len(records)), *_table(pairs, gains, arms, known), *_by_target(pairs, gains, arms, known)]
    conclusion = folder / "conclusion.md"
    if conclusion.exists():
        lines += ["", conclusion.read_text(encoding="utf-8").strip()]
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _figure(pairs, gains, known).savefig(folder / "gain.png", dpi=110)


def _head(pairs: list[Pair], gains: np.ndarray, count: int) -> list[str]:
    targets, sizes, rates = len({pair[1] for pair in pairs}), " and ".join(map(str, SIZES)), " and ".join(f"{rate:g}" for rate in RATES)
    negative, worse, better = (int(some.sum()) for some in (gains < 0, gains < -0.02, gains > 0.02))
    return [
        "# Do gradients tell the gain of fine-tuning over training from scratch?",
        "",
        f"{len(pairs)} pairs of a zoo source and a part of a target ({targets} targets, n = {sizes}), {count} networks really trained:",
        f"300 steps of AdamW in batches of 32, learning rates {rates}, the better by validation on a fifth of the rows. The gain is the test",
        f"accuracy (up to 500 rows) from the source less the mean of {len(SCRATCH_SEEDS)} networks of its architecture from scratch. It is",
        f"negative in {negative} pairs; beyond 2 points it is negative in {worse} and positive in {better}.",
        "",
        "`python -m experiments.study.pilot report` made this page from `records.jsonl` and `evidence.jsonl`.",
        "",
        "![gain against evidence](gain.png)",
        "",
    ]


def _table(pairs: list[Pair], gains: np.ndarray, arms: dict, known: dict) -> list[str]:
    lines = [
        "AUROC is of the sign of the gain over all pairs. Kendall and weighted tau and the regret of the top pick are between sources",
        "on one target and size, of the accuracy from the source, averaged.",
        "",
        "| evidence | AUROC, n = 100 | n = 400 | both | where the gain exceeds 2 points | Kendall tau | weighted tau | regret (points) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, predict in PREDICTORS.items():
        values = np.array([predict(known[pair]) for pair in pairs])
        sizes = np.array([pair[2] for pair in pairs])
        large = np.abs(gains) > 0.02
        areas = [area(values[sizes == size], gains[sizes == size] > 0) for size in SIZES] + [
            area(values, gains > 0),
            area(values[large], gains[large] > 0),
        ]
        taus, weighted, regrets = _ranking(pairs, values, arms)
        cells = [*(f"{value:.2f}" for value in areas), f"{np.nanmean(taus):.2f}", f"{np.nanmean(weighted):.2f}", f"{100 * np.mean(regrets):.1f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def _groups(pairs: list[Pair]) -> dict[tuple[str, int], list[int]]:
    groups = defaultdict(list)
    for place, (_, target, size) in enumerate(pairs):
        groups[target, size].append(place)
    return {group: places for group, places in groups.items() if len(places) > 2}


def _ranking(pairs: list[Pair], values: np.ndarray, arms: dict) -> tuple[list[float], list[float], list[float]]:
    taus, weighted, regrets = [], [], []
    for places in _groups(pairs).values():
        accuracies = np.array([arms[pairs[place]][0] for place in places])
        taus.append(_tau(kendalltau, values[places], accuracies))
        weighted.append(_tau(weightedtau, values[places], accuracies))
        regrets.append(float(accuracies.max() - accuracies[values[places].argmax()]))
    return taus, weighted, regrets


def _tau(measure: Callable, values: np.ndarray, accuracies: np.ndarray) -> float:
    return float(measure(values, accuracies)[0])


def _by_target(pairs: list[Pair], gains: np.ndarray, arms: dict, known: dict) -> list[str]:
    shown = ("activations, difference to the twin", "both, difference (`tangent_gain`)", "both (`tangent_probe`)", "linear probe")
    lines = ["", "Per target and size: mean gain in points, share of negative pairs, AUROC of the sign, Kendall tau.", ""]
    lines.append("| target | n | mean gain | negative | " + " | ".join(f"{name}: AUROC, tau" for name in shown) + " |")
    lines.append("|---|---|---|---|" + "---|" * len(shown))
    for (target, size), places in sorted(_groups(pairs).items(), key=lambda item: (TARGETS.index(item[0][0]), item[0][1])):
        accuracies = np.array([arms[pairs[place]][0] for place in places])
        cells = []
        for name in shown:
            values = np.array([PREDICTORS[name](known[pairs[place]]) for place in places])
            cells.append(f"{area(values, gains[places] > 0):.2f}, {_tau(kendalltau, values, accuracies):.2f}")
        lines.append(f"| {target} | {size} | {100 * gains[places].mean():+.1f} | {(gains[places] < 0).mean():.0%} | {' | '.join(cells)} |")
    return lines


def _figure(pairs: list[Pair], gains: np.ndarray, known: dict) -> Figure:
    names = ("activations, difference to the twin", "gradients, difference", "both, difference (`tangent_gain`)")
    figure = Figure(figsize=(11, 4), layout="constrained")
    for axes, name in zip(figure.subplots(1, 3, sharey=True), names, strict=True):
        values = np.array([PREDICTORS[name](known[pair]) for pair in pairs])
        for size, colour in zip(SIZES, ("tab:blue", "tab:orange"), strict=True):
            chosen = np.array([pair[2] == size for pair in pairs])
            axes.scatter(100 * values[chosen], 100 * gains[chosen], s=12, color=colour, label=f"n = {size}", alpha=0.7)
        axes.axhline(0, color="0.6", lw=0.8)
        axes.axvline(0, color="0.6", lw=0.8)
        axes.set_title(name.replace("`", ""), fontsize=10)
        axes.set_xlabel("evidence (points)")
    figure.axes[0].set_ylabel("gain over scratch, really trained (points)")
    figure.axes[0].legend(frameon=False)
    return figure
