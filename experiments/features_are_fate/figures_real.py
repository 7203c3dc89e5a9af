"""Figures of rectified networks, and of real ones against the study."""

import math
from typing import Any

import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from experiments.features_are_fate import theory
from experiments.features_are_fate.figures_linear import (
    BLACK,
    BLUE,
    COLOURS,
    GREEN,
    NOISE,
    ORANGE,
    RED,
    SKY,
)
from experiments.features_are_fate.study import HARMFUL

Results = dict[str, Any]


def relu(results: Results) -> Figure:
    found = results["relu"]
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    transfers = [cell for name, cell in found["cells"].items() if "ablated" in name]
    sizes = list(found["lines"])
    for colour, rows in ((ORANGE, sizes[0]), (BLUE, sizes[-1])):
        errors = [cell["transfer error"][rows] for cell in transfers]
        for whose, filled in (("student", True), ("source", False)):
            outside = [cell[f"outside the {whose}'s neurons"] for cell in transfers]
            label = f"n = {rows}, outside the {whose}'s neurons"
            left.plot(
                outside,
                errors,
                "o",
                ms=6,
                color=colour,
                mfc=colour if filled else "none",
                label=label,
            )
    left.plot([0, 0.85], [0, 0.85], color="0.5", lw=0.8, ls="--")
    left.set(
        xlabel="part of the target outside the learned features",
        ylabel="error of linear transfer",
        title="shares of E f²",
    )
    left.legend(frameon=False, fontsize=8)
    rows = [int(each) for each in found["lines"]]
    scratch = np.mean(
        [
            [cell["error"][str(each)] for each in rows]
            for name, cell in found["cells"].items()
            if "scratch" in name
        ],
        axis=0,
    )
    right.loglog(
        rows, scratch, "o-", color=BLACK, label=f"scratch, n^{found['scratch exponent']:.2f}"
    )
    fractions = sorted({name.split()[-1] for name in found["cells"] if "ablated" in name})
    for colour, fraction in zip(COLOURS, fractions, strict=False):
        parts = [
            cell for name, cell in found["cells"].items() if name.endswith(f"ablated {fraction}")
        ]
        errors = np.mean(
            [[cell["transfer error"][str(each)] for each in rows] for cell in parts], axis=0
        )
        right.loglog(
            rows,
            errors,
            "s--",
            ms=3.5,
            lw=1,
            color=colour,
            label=f"linear transfer, {float(fraction):.0%} ablated",
        )
    right.set(
        xlabel="target rows n",
        ylabel="error, share of E f²",
        title="scratch passes the floors one by one",
        ylim=(5e-5, 1),
    )
    right.legend(frameon=False, fontsize=8, loc="lower left", ncols=2)
    return figure


def before_and_after(results: Results) -> Figure:
    pairs = results["real networks"]["pairs"]
    shown = (
        ("hoyer", "sparsity of a row (Hoyer)"),
        ("rankme", "effective rank (RankMe)"),
        ("label_overlap", "label overlap"),
    )
    figure = Figure(figsize=(11, 3.9), layout="constrained")
    for axes, (name, label) in zip(figure.subplots(1, 3), shown, strict=True):
        for harmful, colour, marker, what in (
            (False, BLUE, "o", "honest sources"),
            (True, RED, "x", "harmful sources"),
        ):
            chosen = [
                each for pair, each in pairs.items() if (pair.split()[0] in HARMFUL) == harmful
            ]
            before, after = ([each[who][name] for each in chosen] for who in ("twin", "source"))
            axes.plot(before, after, marker, ms=4.5, color=colour, alpha=0.7, label=what)
        low, high = (
            min(axes.get_xlim()[0], axes.get_ylim()[0]),
            max(axes.get_xlim()[1], axes.get_ylim()[1]),
        )
        axes.plot([low, high], [low, high], color="0.5", lw=0.8)
        axes.set(xlabel="before pretraining (random twin)", ylabel="after pretraining", title=label)
    figure.axes[0].legend(frameon=False)
    return figure


def predictors(results: Results) -> Figure:
    found = results["study"]["predictors"]
    figure = Figure(figsize=(10, 0.235 * len(found) + 1.3), layout="constrained")
    colours = dict(
        zip(
            dict.fromkeys(each["group"] for each in found),
            (BLUE, BLACK, ORANGE, SKY, GREEN),
            strict=False,
        )
    )
    measures = (
        ("auroc", "AUROC of the sign beyond noise", 0.5),
        ("spearman", "Spearman with the gain", 0),
        ("kendall within", "Kendall with the gain,\nwithin target and n", 0),
    )
    for axes, (name, label, chance) in zip(
        figure.subplots(1, 3, sharey=True), measures, strict=True
    ):
        for row, each in enumerate(found):
            value, low, high = (math.nan if number is None else number for number in each[name])
            axes.plot([low, high], [row, row], color=colours[each["group"]], lw=1.6)
            axes.plot(value, row, "o", ms=4.5, color=colours[each["group"]])
        axes.axvline(chance, color="0.5", lw=0.8)
        axes.set_xlabel(label)
        axes.grid(axis="y", lw=0.3)
    first = figure.axes[0]
    first.set_yticks(
        range(len(found)), [each["name"].replace("_", " ") for each in found], fontsize=8
    )
    first.set_ylim(len(found) - 0.5, -0.5)
    handles = [
        first.plot([], [], "o-", color=colour, label=group)[0] for group, colour in colours.items()
    ]
    figure.legend(handles=handles, loc="outside upper center", ncols=5, frameon=False, fontsize=9)
    return figure


def question(results: Results) -> Figure:
    """Efficiency over the size of the target and the overlap, in theory and study.

    It is the share of scratch's error that transfer takes off.
    """
    figure = Figure(figsize=(10.5, 4.3), layout="constrained")
    left, right = figure.subplots(1, 2)
    norm = Normalize(-0.5, 0.5)
    overlaps, ratios = np.linspace(0, 1, 201), np.geomspace(0.05, 2, 200)
    image = left.pcolormesh(
        overlaps,
        ratios,
        np.clip(_efficiency(overlaps, ratios), -0.5, 0.5),
        cmap="RdBu",
        norm=norm,
        rasterized=True,
    )
    left.contour(
        overlaps, ratios, _efficiency(overlaps, ratios), levels=[0], colors="black", linewidths=1
    )
    left.set(
        yscale="log",
        xlabel="overlap cos²θ of the target with the learned feature",
        ylabel="rows per dimension γ = n/d",
    )
    left.set_title("theory: the better of linear transfer and\nfine-tuning, σ = 0.2", fontsize=10)
    pairs = results["study"]["pairs"]
    random = np.random.default_rng(0)
    sizes = np.array([pair["n"] for pair in pairs]) * np.exp(random.uniform(-0.4, 0.4, len(pairs)))
    overlap, efficiency = (
        np.array([pair[name] for pair in pairs]) for name in ("overlap", "efficiency")
    )
    clear = np.array([pair["sign"] != 0 for pair in pairs])
    for chosen, edge, size in ((~clear, "0.75", 16), (clear, "black", 30)):
        right.scatter(
            overlap[chosen],
            sizes[chosen],
            c=efficiency[chosen],
            cmap="RdBu",
            norm=norm,
            s=size,
            edgecolors=edge,
            linewidths=0.6,
        )
    ticks = sorted({pair["n"] for pair in pairs})
    right.set(
        yscale="log",
        xlabel="label overlap of the source's features with the target",
        ylabel="target rows n (spread a little)",
    )
    right.set_yticks(ticks, [str(tick) for tick in ticks], minor=False)
    right.set_yticks([], minor=True)
    right.set_title(
        f"study: {len(pairs)} pairs of a zoo source and a target\n(black rim: beyond noise)",
        fontsize=10,
    )
    bar = figure.colorbar(image, ax=[left, right], extend="both")
    bar.set_label("share of the error from scratch that transfer takes off")
    return figure


def _efficiency(overlaps: np.ndarray, ratios: np.ndarray) -> np.ndarray:
    """1 - R_transfer / R_scratch (ratios, overlaps) of the better arm."""

    def of(ratio: float, overlap: float) -> float:
        scratch, angle = theory.scratch_risk(ratio, NOISE), math.acos(math.sqrt(overlap))
        best = max(
            theory.linear_transfer_gain(angle, ratio, NOISE), theory.fine_tuning_gain(angle, ratio)
        )
        return best / scratch if math.isfinite(scratch) else 1.0

    return theory.on_grid(of, ratios, overlaps)
