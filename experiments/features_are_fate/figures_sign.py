"""The argument about distances at a glance.

It shows the sign of the gain over the number of rows, and everything a distance knows.
"""

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.features_are_fate import theory
from experiments.features_are_fate.figures_linear import BLACK, BLUE, COLOURS, NOISE, ORANGE, RED

LAW = {
    "kl (nats)": "KL divergence (nats)",
    "js (bits)": "JS divergence (bits)",
    "squared 2-wasserstein": "squared 2-Wasserstein",
    "squared mmd": "squared MMD × 10⁷",
}
SAMPLED = ("psi", "ks", "sliced_wasserstein", "mmd", "proxy_a_distance")


def sign_and_distance(results: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(9, 8.2), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(1.6, 1, 1))
    _gains(top, results)
    law = results["distances"]["law"]
    for colour, (name, label) in zip(COLOURS, LAW.items(), strict=False):
        value = law[name] * (1e7 if name == "squared mmd" else 1)
        middle.plot([0.1, 2], [value, value], color=colour, lw=2, label=f"{label} = {value:.2f}")
    middle.set(
        yscale="log",
        ylim=(0.1, 100),
        ylabel="distance of the laws\nof (x, y)",
        title="the exact distances do not know n",
    )
    middle.legend(frameon=False, ncols=2, fontsize=8, loc="upper right")
    samples = results["distances"]["samples"]
    ratios = [float(ratio) for ratio in samples]
    for colour, name in zip(COLOURS, SAMPLED, strict=False):
        apart, same = (
            np.array([samples[ratio][label][name] for ratio in samples])
            for label in ("45 degrees", "same law")
        )
        bottom.plot(ratios, apart, "o-", color=colour, lw=1.4, ms=4, label=name.replace("_", " "))
        bottom.plot(ratios, same, "x--", color=colour, lw=1, ms=5)
    bottom.set(
        yscale="symlog",
        xlabel="target rows per dimension γ = n/d",
        ylabel="estimate from samples",
        title="estimates from n rows: at θ = 45° (●) the same as at θ = 0 (×), where both have one "
        "law",
    )
    bottom.set_yscale("symlog", linthresh=1e-3)
    bottom.legend(frameon=False, ncols=3, fontsize=8)
    return figure


def _gains(axes: Any, results: dict[str, Any]) -> None:
    flips = results["slices"]["flips"]["0.5"]["theory"]
    dense = np.linspace(0.1, 2, 1200)
    expected = np.array([theory.linear_transfer_gain(math.pi / 4, ratio, NOISE) for ratio in dense])
    axes.fill_between(dense, -1, 1, where=expected > 0, color=BLUE, alpha=0.12, lw=0)
    axes.fill_between(dense, -1, 1, where=expected <= 0, color=RED, alpha=0.12, lw=0)
    axes.plot(dense, expected, color=BLACK, lw=1.2, label="theory")
    cells = results["slices"]["cells"]
    place = list(results["slices"]["flips"]).index("0.5")
    means, errors = (
        np.array([cell[name][place] for cell in cells.values()])
        for name in ("linear transfer gain", "error")
    )
    axes.errorbar(
        [float(ratio) for ratio in cells],
        means,
        2 * errors,
        fmt="o",
        ms=4,
        lw=0.8,
        color=BLUE,
        label="gradient descent",
    )
    forecasts = results["distances"]["overlap"]["cells"]
    axes.plot(
        [float(ratio) for ratio in forecasts],
        [cell["forecast"] for cell in forecasts.values()],
        "x",
        ms=6,
        color=ORANGE,
        label="label overlap and the scratch curve",
    )
    axes.axhline(0, color="0.4", lw=0.8)
    for flip in flips:
        axes.annotate(
            f"{flip:.3f}",
            (flip, 0),
            (flip, -0.46),
            ha="center",
            fontsize=9,
            arrowprops={"arrowstyle": "-", "lw": 0.7},
        )
    axes.set(
        ylim=(-0.55, 0.8),
        ylabel="gain of transfer over scratch",
        title="θ = 45°, σ = 0.2: the sign flips three times as the target grows",
    )
    axes.legend(frameon=False, loc="upper right")
