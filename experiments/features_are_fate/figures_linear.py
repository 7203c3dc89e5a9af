"""Figures of the linear theory and its simulation.

Colours are of Okabe and Ito, which colour-blind readers can tell apart.
"""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from experiments.features_are_fate import theory
from experiments.features_are_fate.phase import cell_name

BLUE, ORANGE, GREEN, RED, PURPLE, SKY, BLACK = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#000000",
)
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, SKY)
NOISE, LINEAR = 0.2, "linear transfer 1e-05"
Results = dict[str, Any]


def of_phase(results: Results) -> tuple[list[float], list[float], np.ndarray]:
    """Noises, ratios, and angles in degrees of the phase stage."""
    names = [name.split() for name in results["phase"]["cells"]]
    noises, ratios = (
        sorted({float(name[1]) for name in names}),
        sorted({float(name[3]) for name in names}),
    )
    return noises, ratios, np.degrees(results["phase"]["angles"])


def phase_gains(results: Results, kind: str, noise: float) -> np.ndarray:
    """Simulated gains (ratios, angles)."""
    _, ratios, _ = of_phase(results)
    cells = [results["phase"]["cells"][cell_name(noise, ratio)] for ratio in ratios]
    return np.array([cell["scratch"] - np.array(cell[kind]) for cell in cells])


def sparsification(results: Results) -> Figure:
    found = results["sparsification"]
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    for name, colour in (("first", BLUE), ("second", ORANGE), ("median", GREEN)):
        left.semilogy(
            found["steps"],
            found[name],
            color=colour,
            lw=2,
            label=f"{name} of 500" if name == "median" else name,
        )
    left.set(
        xlabel="gradient step of pretraining",
        ylabel="singular value of the first layer",
        title="one feature grows, the rest stay",
    )
    left.legend(frameon=False, title="singular value")
    right.semilogy(found["steps"], np.maximum(found["loss"], 1e-12), color=BLACK, lw=2)
    right.set(
        xlabel="gradient step of pretraining",
        ylabel="loss on the source",
        title="the source is learned",
    )
    return figure


def phase_diagrams(results: Results) -> Figure:
    noises, ratios, degrees = of_phase(results)
    figure = Figure(figsize=(11, 2.9 * len(noises) + 0.6), layout="constrained")
    grid = np.atleast_2d(figure.subplots(len(noises), 4, sharex=True, sharey=True))
    image = None
    for place, (row, noise) in enumerate(zip(grid, noises, strict=True)):
        linear = theory.on_grid(
            lambda ratio, angle, noise=noise: theory.linear_transfer_gain(
                math.radians(angle), ratio, noise
            ),
            ratios,
            degrees,
        )
        tuned = theory.on_grid(
            lambda ratio, angle: theory.fine_tuning_gain(math.radians(angle), ratio),
            ratios,
            degrees,
        )
        panels = (
            ("linear transfer: theory", linear),
            ("linear transfer: descent", phase_gains(results, LINEAR, noise)),
            ("fine-tuning: theory", tuned),
            ("fine-tuning: descent", phase_gains(results, "fine-tuning", noise)),
        )
        for column, (axes, (title, values)) in enumerate(zip(row, panels, strict=True)):
            shown = np.clip(np.nan_to_num(values, posinf=9), -0.8, 0.8)
            image = axes.pcolormesh(
                degrees,
                ratios,
                shown,
                cmap="RdBu",
                norm=Normalize(-0.8, 0.8),
                shading="nearest",
                rasterized=True,
            )
            if column < 2:
                _zero_of_linear(axes, noise)
            else:
                axes.plot([60, 60], [min(ratios), 1], color=BLACK, lw=1.2)
            axes.set_title(title if place == 0 else "", fontsize=10)
            axes.set_xlabel("angle θ (degrees)" if place == len(noises) - 1 else "")
        row[0].set_ylabel(f"σ = {noise:g}\nrows per dimension γ = n/d")
    assert image is not None
    bar = figure.colorbar(image, ax=grid, shrink=0.8, extend="both")
    bar.set_label("gain over scratch (blue: transfer helps)")
    return figure


def _zero_of_linear(axes: Axes, noise: float) -> None:
    """The line between gain and loss."""
    ratios = np.linspace(0.02, 2, 400)
    floors = np.array([theory.scratch_risk(ratio, noise) for ratio in ratios])
    inside = (floors > 0) & (floors <= 1)
    angles = np.where(inside, np.degrees(np.arcsin(np.sqrt(np.clip(floors, 0, 1)))), np.nan)
    low, high = axes.get_xlim(), axes.get_ylim()
    axes.plot(angles, ratios, color=BLACK, lw=1.2)
    axes.set(xlim=low, ylim=high)


def slices(results: Results) -> Figure:
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    cells = results["slices"]["cells"]
    ratios = np.array([float(ratio) for ratio in cells])
    dense = np.linspace(0.05, 2, 800)
    for place, (share, colour) in enumerate(zip(results["slices"]["flips"], COLOURS, strict=False)):
        angle = float(share) * math.pi / 2
        left.plot(
            dense,
            [theory.linear_transfer_gain(angle, ratio, NOISE) for ratio in dense],
            color=colour,
            lw=1.4,
        )
        means, errors = (
            np.array([cell[name][place] for cell in cells.values()])
            for name in ("linear transfer gain", "error")
        )
        left.errorbar(
            ratios,
            means,
            2 * errors,
            fmt="o",
            ms=3,
            color=colour,
            lw=0.8,
            label=f"θ = {math.degrees(angle):g}°",
        )
    left.axhline(0, color="0.5", lw=0.8)
    left.set(
        ylim=(-1, 1),
        xlabel="rows per dimension γ = n/d",
        ylabel="gain over scratch",
        title="linear transfer, σ = 0.2",
    )
    left.legend(frameon=False, loc="upper right")
    noises, all_ratios, degrees = of_phase(results)
    gains = phase_gains(results, "fine-tuning", noises[-1])
    shown = [ratio for ratio in (0.2, 0.4, 0.6, 0.8, 1.5) if ratio in all_ratios] or all_ratios
    for ratio, colour in zip(shown, COLOURS, strict=False):
        right.plot(
            degrees,
            [theory.fine_tuning_gain(math.radians(each), ratio) for each in degrees],
            color=colour,
            lw=1.4,
        )
        right.plot(
            degrees,
            gains[all_ratios.index(ratio)],
            "o",
            ms=3.5,
            color=colour,
            label=f"γ = {ratio:g}",
        )
    right.axhline(0, color="0.5", lw=0.8)
    right.axvline(60, color="0.5", lw=0.8, ls=":")
    right.set(
        xlabel="angle θ (degrees)",
        ylabel="gain over scratch",
        title=f"fine-tuning, σ = {noises[-1]:g}",
    )
    right.legend(frameon=False)
    return figure


def decay(results: Results) -> Figure:
    found = results["decay"]
    ratios = np.array([float(ratio) for ratio in found["cells"]])
    risks = np.array([cell["risks"] for cell in found["cells"].values()])
    figure = Figure(figsize=(7.5, 3.8), layout="constrained")
    axes = figure.subplots()
    greys = np.linspace(0.75, 0.3, len(found["decays"]))
    for column, (weight, grey) in enumerate(zip(found["decays"], greys, strict=True)):
        if weight:
            axes.plot(
                ratios,
                risks[:, column],
                color=str(grey),
                lw=1,
                marker=".",
                label=f"weight decay {weight:g}",
            )
    axes.plot(
        ratios, risks[:, found["decays"].index(0.0)], "o", color=RED, ms=5, label="no weight decay"
    )
    axes.plot(
        ratios,
        [found["best"][str(ratio)] for ratio in ratios],
        "o",
        color=BLUE,
        ms=5,
        label="best of these",
    )
    dense = np.concatenate([np.linspace(0.05, 0.985, 200), np.linspace(1.015, 2, 200)])
    plain = np.array([theory.scratch_risk(ratio, NOISE) for ratio in dense])
    plain[199] = np.nan
    axes.plot(dense, plain, color=RED, lw=1.4)
    axes.plot(dense, [theory.tuned_decay_risk(ratio, NOISE) for ratio in dense], color=BLUE, lw=1.4)
    axes.set(
        ylim=(0, 1.1),
        xlabel="rows per dimension γ = n/d",
        ylabel="risk from scratch",
        title="double descent, ended by weight decay (σ = 0.2)",
    )
    axes.legend(frameon=False, fontsize=8, ncols=2)
    return figure


def finite_source(results: Results) -> Figure:
    cells = results["finite source"]["cells"]
    degrees = (
        np.degrees(results["phase"]["angles"])
        if "phase" in results
        else np.arange(len(next(iter(cells.values()))["simulated"]))
    )
    shares = sorted({name.split()[0] for name in cells}, key=float)
    figure = Figure(figsize=(5 * len(shares), 3.6), layout="constrained")
    for axes, share in zip(
        np.atleast_1d(figure.subplots(1, len(shares), sharey=True)), shares, strict=True
    ):
        for colour, (name, cell) in zip(
            COLOURS, [item for item in cells.items() if item[0].split()[0] == share], strict=False
        ):
            axes.plot(degrees, cell["published"], color=colour, lw=1, ls="--")
            axes.plot(degrees, cell["scaled"], color=colour, lw=1.4)
            axes.errorbar(
                degrees,
                cell["simulated"],
                2 * np.array(cell["error"]),
                fmt="o",
                ms=3,
                color=colour,
                lw=0.8,
                label=f"γ = {name.split()[1]}",
            )
        axes.axhline(0, color="0.5", lw=0.8)
        axes.set(
            xlabel="angle θ (degrees)", title=f"pretrained on γ_s = {share} rows per dimension"
        )
        axes.legend(frameon=False, title="solid: with the scale c\ndashed: as published")
    figure.axes[0].set_ylabel("gain of fine-tuning over scratch")
    return figure
