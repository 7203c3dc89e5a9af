"""Findings of a study as tables and figures."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from featalign.errors import FeatalignError
from featalign.records.interval import percent, points
from featalign.study.agreement import MEASURES
from featalign.study.agreement_summary import ScoreSummary
from featalign.study.bootstrap import BootstrapInterval
from featalign.study.findings import BASELINES, Finding, Findings, without_nan

SHOWN = (
    "weighted_tau",
    "kendall_tau",
    "spearman",
    "pearson",
    "regret",
    "best_in_top_3",
)  # the rest is in the JSON


def print_summaries(summaries: Sequence[ScoreSummary], console: Console) -> None:
    """Print the means over targets with their intervals, and then every target."""
    console.print(_means_table(summaries))
    table = Table(title="on each target")
    for column in ("target", "score", "sources", *(name.replace("_", " ") for name in SHOWN)):
        table.add_column(
            column,
            justify="left" if column in ("target", "score") else "right",
            no_wrap=column in ("target", "score"),
        )
    for summary in summaries:
        for each in summary.settings:
            setting = " ".join(
                str(part) for part in asdict(each.setting).values() if part is not None
            )
            numbers = [_plain(getattr(each.agreement, name)) for name in SHOWN]
            table.add_row(setting, summary.score, str(each.agreement.num_scored), *numbers)
    console.print(table)


def summaries_record(summaries: Sequence[ScoreSummary]) -> list[dict[str, Any]]:
    """Summaries as plain data, null where a number is undefined."""
    found = []
    for summary in summaries:
        settings = [
            asdict(each.setting) | {name: getattr(each.agreement, name) for name in MEASURES}
            for each in summary.settings
        ]
        means = {name: asdict(mean) for name, mean in summary.means.items()}
        found.append(
            {
                "score": summary.score,
                "settings": list(map(without_nan, settings)),
                "means": without_nan(means),
            }
        )
    return found


def print_findings(findings: Findings, console: Console) -> None:
    """Print counts, gains by target and size, and the agreement of scores."""
    gains, losses, neither = findings.signs
    arms = ", ".join(f"{count} {name}" for name, count in findings.arms.items())
    console.print(
        f"{findings.num_records} records: {arms}\n{len(findings.pairs)} pairs of a source and a "
        f"part of a target ({findings.arm} arm against "
        f"scratch): {gains} gains, {losses} losses beyond noise, {neither} neither",
        highlight=False,
    )
    console.print(places_table(findings))
    if findings.scores:
        console.print(_means_table([each.summary for each in findings.scores], findings.scores))


def places_table(findings: Findings) -> Table:
    """One line for each target and size."""
    names = sorted({name for place in findings.places for name in place.arms})
    table = Table(title="mean accuracy over sources, gain over scratch in points")
    for column in (
        "target",
        "n",
        "sources",
        "scratch",
        *names,
        "gain",
        "gains",
        "losses",
        "neither",
        "reliability",
        "tau at most",
        "caught up at",
    ):
        table.add_column(
            column.replace("_", " "),
            justify="left" if column == "target" else "right",
            no_wrap=column == "target",
        )
    for place in findings.places:
        trusted = place.reliability
        table.add_row(
            place.target,
            str(place.size),
            str(place.num_sources),
            percent(place.scratch),
            *(percent(place.arms[name]) if name in place.arms else "" for name in names),
            points(place.gain),
            *map(str, place.signs),
            _plain(trusted.coefficient) if trusted else "",
            _plain(trusted.kendall_ceiling) if trusted else "",
            "" if math.isnan(reached := findings.catches_up(place.target)) else f"{reached:.0f}",
        )
    return table


def _means_table(summaries: Sequence[ScoreSummary], findings: Sequence[Finding] = ()) -> Table:
    table = Table(
        title="agreement with measured accuracies: mean over targets and 90% interval, targets "
        "drawn again"
    )
    shown = ("weighted_tau", "kendall_tau", "regret", "best_in_top_3") if findings else SHOWN
    for column in (
        "score",
        "targets",
        *(name.replace("_", " ") for name in shown),
        *(["AUROC of the sign"] if findings else []),
    ):
        table.add_column(
            column, justify="left" if column == "score" else "right", no_wrap=column == "score"
        )
    areas = {each.score: each.auroc for each in findings}
    for summary in (
        sorted(summaries, key=lambda each: -_or(each.means["weighted_tau"].value, -9.0))
        if findings
        else summaries
    ):
        numbers = [_interval(summary.means[name]) for name in shown]
        more = [_interval(areas[summary.score])] if findings else []
        table.add_row(summary.score, str(summary.means["weighted_tau"].num_groups), *numbers, *more)
    return table


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


def _interval(interval: BootstrapInterval) -> str:
    if math.isnan(interval.value):
        return "-"
    return f"{interval.value:.2f}" + (
        "" if math.isnan(interval.low) else f"\n{interval.low:.2f} to {interval.high:.2f}"
    )


def _plain(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _or(value: float, other: float) -> float:
    return other if math.isnan(value) else value
