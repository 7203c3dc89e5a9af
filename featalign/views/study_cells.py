"""Findings of a study, laid out: gains by target and size, and how scores agree with accuracies."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from featalign.study.agreement import MEASURES
from featalign.study.agreement_summary import ScoreSummary
from featalign.study.findings import Finding, Findings, without_nan
from featalign.views.cells import Cell, Column, Note, Sheet, Table, rows_of, words
from featalign.views.numbers import (
    bootstrap_cell,
    count_cell,
    number_cell,
    points_cell,
    share_cell,
)

SHOWN = (
    "weighted_tau",
    "kendall_tau",
    "spearman",
    "pearson",
    "regret",
    "best_in_top_3",
)  # the rest is in the JSON
WITH_SIGNS = ("weighted_tau", "kendall_tau", "regret", "best_in_top_3")
SCORE = Column(key="score", title="score", align="left")


def summaries_sheet(summaries: Sequence[ScoreSummary]) -> Sheet:
    """The means over targets with their intervals, and then every target."""
    columns = (
        Column(key="target", title="target", align="left"),
        SCORE,
        Column(key="sources", title="sources", priority=1),
        *(_measure(name, place) for place, name in enumerate(SHOWN)),
    )
    rows = []
    for summary in summaries:
        for each in summary.settings:
            setting = " ".join(
                str(part) for part in asdict(each.setting).values() if part is not None
            )
            numbers = [number_cell(getattr(each.agreement, name)) for name in SHOWN]
            sources = count_cell(each.agreement.num_scored)
            rows.append((words(setting), words(summary.score), sources, *numbers))
    every = Table(name="targets", title="on each target", columns=columns, rows=rows_of(rows))
    means = means_table(summaries)
    return Sheet(blocks=(means, every), whole=means)


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


def findings_sheet(findings: Findings) -> Sheet:
    """Counts, gains by target and size, and the agreement of scores."""
    gains, losses, neither = findings.signs
    arms = ", ".join(f"{count} {name}" for name, count in findings.arms.items())
    counted = Note(text=f"{findings.num_records} records: {arms}")
    pairs = Note(
        text=f"{len(findings.pairs)} pairs of a source and a part of a target ({findings.arm} arm "
        f"against scratch): {gains} gains, {losses} losses beyond noise, {neither} neither"
    )
    places = places_table(findings)
    if not findings.scores:
        return Sheet(blocks=(counted, pairs, places), whole=places)
    means = means_table([each.summary for each in findings.scores], findings.scores)
    return Sheet(blocks=(counted, pairs, places, means), whole=places)


def places_table(findings: Findings) -> Table:
    """One line for each target and size."""
    names = sorted({name for place in findings.places for name in place.arms})
    columns = (
        Column(key="target", title="target", align="left"),
        Column(key="size", title="n"),
        Column(key="num_sources", title="sources", priority=1),
        Column(key="scratch", title="scratch"),
        *(Column(key=name, title=name.replace("_", " "), priority=4) for name in names),
        Column(key="gain", title="gain"),
        Column(key="gains", title="gains", priority=2),
        Column(key="losses", title="losses", priority=2),
        Column(key="neither", title="neither", priority=3),
        Column(key="reliability", title="reliability", priority=6),
        Column(key="tau_at_most", title="tau at most", priority=7),
        Column(key="caught_up_at", title="caught up at", priority=5),
    )
    rows = []
    for place in findings.places:
        trusted, reached = place.reliability, findings.catches_up(place.target)
        ceilings = (trusted.coefficient, trusted.kendall_ceiling) if trusted else (math.nan,) * 2
        rows.append(
            (
                words(place.target),
                count_cell(place.size),
                count_cell(place.num_sources),
                share_cell(place.scratch),
                *(share_cell(place.arms[name]) if name in place.arms else Cell() for name in names),
                points_cell(place.gain),
                *map(count_cell, place.signs),
                *(number_cell(value, missing="-" if trusted else "") for value in ceilings),
                number_cell(reached, 0, missing=""),
            )
        )
    title = "mean accuracy over sources, gain over scratch in points"
    return Table(name="places", title=title, columns=columns, rows=rows_of(rows))


def means_table(summaries: Sequence[ScoreSummary], findings: Sequence[Finding] = ()) -> Table:
    """The agreement of each score with accuracies, and with the sign of the gain if given."""
    shown = WITH_SIGNS if findings else SHOWN
    areas = {each.score: each.auroc for each in findings}
    sign = Column(key="auroc", title="AUROC of the sign")
    columns = (
        SCORE,
        Column(key="targets", title="targets", priority=1),
        *(_measure(name, place) for place, name in enumerate(shown)),
        *((sign,) if findings else ()),
    )
    rows = [
        (
            words(summary.score),
            count_cell(summary.means["weighted_tau"].num_groups),
            *(bootstrap_cell(summary.means[name]) for name in shown),
            *((bootstrap_cell(areas[summary.score]),) if findings else ()),
        )
        for summary in (sorted(summaries, key=_by_tau) if findings else summaries)
    ]
    title = (
        "agreement with measured accuracies: mean over targets and 90% interval, targets drawn "
        "again"
    )
    return Table(name="agreement", title=title, columns=columns, rows=rows_of(rows))


def _by_tau(summary: ScoreSummary) -> float:
    tau = summary.means["weighted_tau"].value
    return math.inf if math.isnan(tau) else -tau


def _measure(name: str, place: int) -> Column:
    return Column(key=name, title=name.replace("_", " "), priority=place)
