"""Records and evidence as a table, a figure and a text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from featalign.errors import FeatalignError
from featalign.study.agreement import ranking_agreement, sign_agreement
from featalign.study.grid import Grid
from featalign.study.ground_truth import Pair, ground_truth

Evidence = Mapping[str, Any]
SHOWN = (
    "both, difference (`tangent_gain`)",
    "activations, difference to the twin",
    "both (`tangent_probe`)",
    "linear probe",
)


# what is said of it -> the number of the source, and whether that of its twins is taken off
PREDICTORS: dict[str, tuple[str, bool]] = {
    "activations, difference to the twin": ("tangent_activations", True),
    "gradients, difference": ("tangent_gradients", True),
    "both, difference (`tangent_gain`)": ("tangent_probe", True),
    "linear probe, difference": ("linear_probe", True),
    "kNN, difference": ("knn", True),
    "LogME, difference": ("logme", True),
    "activations": ("tangent_activations", False),
    "gradients": ("tangent_gradients", False),
    "both (`tangent_probe`)": ("tangent_probe", False),
    "linear probe": ("linear_probe", False),
    "kNN": ("knn", False),
    "LogME": ("logme", False),
}


def predict(name: str, known: Sequence[Evidence]) -> np.ndarray:
    """The predictor for each pair."""
    score, less_twin = PREDICTORS[name]
    return np.array(
        [each["own"][score] - (each["twins"][score] if less_twin else 0.0) for each in known]
    )


def write_report(
    grid: Grid,
    records: Sequence[Mapping[str, Any]],
    evidence: Sequence[Mapping[str, Any]],
    folder: Path,
) -> None:
    """README.md and gain.png of what is stored, for the pairs that have both."""
    names = {name for name, _ in PREDICTORS.values()}
    complete = [
        each
        for each in evidence
        if names <= set(each["evidence"]["own"]) and names <= set(each["evidence"]["twins"])
    ]
    by_pair = {
        (each["source"], each["target"], each["size"]): each["evidence"] for each in complete
    }
    pairs = [
        pair
        for pair in ground_truth(records, arm="full")
        if (pair.source, pair.target, pair.size) in by_pair
    ]
    if not pairs:
        raise FeatalignError(
            "pilot: expected pairs with both trained networks and evidence, found none; see the "
            "commands in __main__.py"
        )
    known = [by_pair[pair.source, pair.target, pair.size] for pair in pairs]
    lines = [*_head(grid, pairs), *_table(pairs, known), *_by_target(pairs, known)]
    conclusion = folder / "conclusion.md"
    if conclusion.exists():
        lines += ["", conclusion.read_text(encoding="utf-8").strip()]
    (folder / "README.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _figure(pairs, known).savefig(folder / "gain.png", dpi=110)


def _head(grid: Grid, pairs: Sequence[Pair]) -> list[str]:
    sizes, targets = sorted({pair.size for pair in pairs}), {pair.target for pair in pairs}
    signs = [pair.sign for pair in pairs]
    seeds = sorted({len(pair.seeds) for pair in pairs})
    return [
        "# Do gradients tell the gain of fine-tuning over training from scratch?",
        "",
        f"{len(pairs)} pairs of a zoo source and a part of a target ({len(targets)} targets, n = "
        f"{' and '.join(map(str, sizes))}), really",
        f"trained: {grid.min_steps} steps of AdamW in batches of {grid.batch_size} at learning "
        f"rates {' and '.join(map(str, grid.learning_rates))},",
        "the better by validation on a fifth of the rows, all parameters from the source's weights "
        "against the same architecture from fresh ones.",
        "A source on the data it was pretrained on is no pair.",
        f"The gain is the difference of test accuracies (up to {grid.max_test} rows), the mean "
        "over the seeds",
        f"({' or '.join(map(str, seeds))} a pair), which draw rows, batches and fresh weights. "
        "Beyond noise (90%) it is",
        f"positive in {signs.count(1)} pairs and negative in {signs.count(-1)}; {signs.count(0)} "
        "are neither.",
        "",
        "`python -m experiments.study.pilot` made this page from the records and the evidence (of "
        "seed 0) that ship in",
        "`featalign/forecasting/calibration/`.",
        "",
        "![gain against evidence](gain.png)",
        "",
    ]


def _table(pairs: Sequence[Pair], known: Sequence[Evidence]) -> list[str]:
    sizes = sorted({pair.size for pair in pairs})
    lines = [
        "AUROC is of the sign of the gain, on signs beyond noise but for one column. Kendall tau, "
        "weighted tau and the regret of the top pick are",
        "between sources on one target and size, of the accuracy reached from the source, averaged "
        "over targets and sizes.",
        "",
        "| evidence | "
        f"{' | '.join(f'AUROC, n = {size} ({_losses(pairs, size)} losses)' for size in sizes)} | "
        f"both ({_losses(pairs)}) | all signs "
        "| Kendall tau | weighted tau | regret (points) |",
        "|---|" + "---|" * (len(sizes) + 5),
    ]
    for name in PREDICTORS:
        values = predict(name, known)
        areas = [_area(pairs, values, [pair.size == size for pair in pairs]) for size in sizes] + [
            _area(pairs, values)
        ]
        areas.append(_area(pairs, values, noise=False))
        found = [
            ranking_agreement(values[places], np.array([pairs[place].accuracy for place in places]))
            for places in _groups(pairs).values()
        ]
        taus, weighted, regrets = (
            np.nanmean([getattr(each, measure) for each in found])
            for measure in ("kendall_tau", "weighted_tau", "regret")
        )
        cells = ["-" if np.isnan(area) else f"{area:.2f}" for area in areas]
        lines.append(
            f"| {name} | {' | '.join(cells)} | {taus:.2f} | {weighted:.2f} | {100 * regrets:.1f} |"
        )
    return lines


def _losses(pairs: Sequence[Pair], size: int | None = None) -> int:
    return sum(pair.sign < 0 for pair in pairs if size in (None, pair.size))


def _area(
    pairs: Sequence[Pair],
    values: np.ndarray,
    chosen: Sequence[bool] | None = None,
    *,
    noise: bool = True,
) -> float:
    places = [place for place in range(len(pairs)) if chosen is None or chosen[place]]
    gains, noises = (
        [pairs[place].gain for place in places],
        [pairs[place].noise * noise for place in places],
    )
    return sign_agreement(values[places], gains, noises).auroc


def _groups(pairs: Sequence[Pair]) -> dict[tuple[str, int], list[int]]:
    groups: dict[tuple[str, int], list[int]] = {}
    for place, pair in enumerate(pairs):
        groups.setdefault((pair.target, pair.size), []).append(place)
    return {group: places for group, places in groups.items() if len(places) > 2}


def _by_target(pairs: Sequence[Pair], known: Sequence[Evidence]) -> list[str]:
    lines = [
        "",
        "Per target and size: mean gain in points, pairs with a gain, a loss and neither; then "
        "AUROC of the sign beyond noise (a dash without both",
        "signs), Kendall and weighted tau.",
        "",
        "| target | n | mean gain | gain, loss, neither | " + " | ".join(SHOWN) + " |",
        "|---|---|---|---|" + "---|" * len(SHOWN),
    ]
    for (target, size), places in sorted(_groups(pairs).items()):
        here = [pairs[place] for place in places]
        signs, cells = [pair.sign for pair in here], []
        for name in SHOWN:
            values = predict(name, [known[place] for place in places])
            area, found = (
                _area(here, values),
                ranking_agreement(values, np.array([pair.accuracy for pair in here])),
            )
            cells.append(
                f"{'-' if np.isnan(area) else f'{area:.2f}'}, {found.kendall_tau:.2f}, "
                f"{found.weighted_tau:.2f}"
            )
        mean, counts = (
            100 * np.mean([pair.gain for pair in here]),
            f"{signs.count(1)}, {signs.count(-1)}, {signs.count(0)}",
        )
        lines.append(f"| {target} | {size} | {mean:+.1f} | {counts} | {' | '.join(cells)} |")
    return lines


def _figure(pairs: Sequence[Pair], known: Sequence[Evidence]) -> Figure:
    names = (
        "activations, difference to the twin",
        "gradients, difference",
        "both, difference (`tangent_gain`)",
    )
    figure = Figure(figsize=(11, 4), layout="constrained")
    gains, sizes = np.array([pair.gain for pair in pairs]), np.array([pair.size for pair in pairs])
    clear = np.array([pair.sign != 0 for pair in pairs])
    for axes, name in zip(figure.subplots(1, 3, sharey=True), names, strict=True):
        values = predict(name, known)
        for size, colour in zip(
            sorted(set(sizes)), ("tab:blue", "tab:orange", "tab:green"), strict=False
        ):
            for chosen, filled in (
                ((sizes == size) & clear, True),
                ((sizes == size) & ~clear, False),
            ):
                label = f"n = {size}" if filled else None
                axes.scatter(
                    100 * values[chosen],
                    100 * gains[chosen],
                    s=12,
                    c=colour if filled else "none",
                    edgecolors=colour,
                    lw=0.6,
                    label=label,
                )
        axes.axhline(0, color="0.6", lw=0.8)
        axes.axvline(0, color="0.6", lw=0.8)
        axes.set_title(name.replace("`", ""), fontsize=10)
        axes.set_xlabel("evidence (points)")
    figure.axes[0].set_ylabel("gain over scratch, really trained (points)")
    figure.axes[0].legend(frameon=False, title="filled: beyond noise", title_fontsize=8, fontsize=8)
    return figure
