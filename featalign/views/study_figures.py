"""Findings of a study as figures."""

import math
from pathlib import Path

from matplotlib.figure import Figure

from featalign.errors import FeatalignError
from featalign.study.findings import BASELINES, Findings


def save_figures(findings: Findings, folder: Path) -> list[Path]:
    """Save two pictures of a study in a folder.

    gain.png shows the gain against n on each target, agreement.png the scores beside baselines.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        figures = {"gain.png": gain_figure(findings)}
        if findings.scores:
            figures["agreement.png"] = agreement_figure(findings)
        for name, figure in figures.items():
            figure.savefig(folder / name, dpi=110)
    except OSError as error:
        raise FeatalignError(
            f"output: no figures can be written to {folder} ({error.strerror}); choose another "
            "place"
        ) from error
    return [folder / name for name in figures]


def gain_figure(findings: Findings) -> Figure:
    """The gain over scratch of every source against the number of rows, one panel a target.

    The mean is in black.
    """
    targets = sorted({place.target for place in findings.places})
    columns = min(4, len(targets))
    rows = -(-len(targets) // columns)
    figure = Figure(figsize=(3.1 * columns, 2.5 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes in panels.flat[len(targets) :]:
        axes.set_visible(False)
    for axes, target in zip(panels.flat, targets, strict=False):
        here = [pair for pair in findings.pairs if pair.target == target]
        for source in sorted({pair.source for pair in here}):
            line = sorted((pair.size, 100 * pair.gain) for pair in here if pair.source == source)
            axes.plot(
                *zip(*line, strict=True), color="tab:blue", lw=0.8, alpha=0.5, marker="o", ms=2
            )
        means = sorted(
            (place.size, 100 * place.gain) for place in findings.places if place.target == target
        )
        axes.plot(*zip(*means, strict=True), color="black", lw=1.8, marker="o", ms=3)
        axes.axhline(0, color="0.5", lw=0.8)
        axes.set_xscale("log")
        axes.set_xticks(
            sizes := sorted({pair.size for pair in findings.pairs}), [str(size) for size in sizes]
        )
        axes.minorticks_off()
        axes.set_title(target.replace("_", " "), fontsize=9)
    figure.supxlabel("rows of the target", fontsize=9)
    figure.supylabel("gain over scratch (points)", fontsize=9)
    return figure


def agreement_figure(findings: Findings) -> Figure:
    """The agreement of every score, beside the baselines.

    It shows the mean weighted tau over targets with its interval, and the AUROC of the sign.
    """
    ordered = sorted(
        findings.scores, key=lambda each: _or(each.summary.means["weighted_tau"].value, -9.0)
    )
    figure = Figure(figsize=(9, 0.6 + 0.19 * len(ordered)), layout="constrained")
    for axes, name in zip(
        figure.subplots(1, 2, sharey=True),
        ("weighted tau", "AUROC of the sign beyond noise"),
        strict=True,
    ):
        for place, each in enumerate(ordered):
            mean = each.summary.means["weighted_tau"] if name == "weighted tau" else each.auroc
            blind = each.score in BASELINES
            axes.plot(
                [mean.low, mean.high],
                [place, place],
                color="tab:orange" if blind else "tab:blue",
                lw=1.5,
            )
            axes.plot(mean.value, place, "o", color="tab:orange" if blind else "tab:blue", ms=3.5)
        axes.axvline(0 if name == "weighted tau" else 0.5, color="0.5", lw=0.8)
        axes.set_xlabel(name)
        axes.set_yticks(
            range(len(ordered)), [each.score.replace("_", " ") for each in ordered], fontsize=7
        )
    return figure


def _or(value: float, other: float) -> float:
    return other if math.isnan(value) else value
