"""A ranking from a request: one job for each source, and the order of their rows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.forecasting.calibration import Calibration, shipped_calibration
from featalign.forecasting.remarks import target_remarks
from featalign.jobs.examine import EVIDENCE_SCORERS, Wanted
from featalign.jobs.given import name_of
from featalign.jobs.near_copies import near_copy_remarks
from featalign.jobs.rank_source import RankSource, rank_source
from featalign.records.ranking import Ranking, RankingRow
from featalign.records.request import Request
from featalign.session import Session
from featalign.sources.source import Source
from featalign.statistics.folds import check_enough_groups
from featalign.targets.leaks import leak_remarks
from featalign.targets.target import Target

ORDER, REGRESSION_ORDER = "linear_probe", "ridge_probe"  # they order where there is no forecast
MapJobs = Callable[[Callable[..., Any], Iterable[Any], Session], Iterator[Any]]


def order_of(target: Target) -> str:
    """The scorer that orders sources where there is no forecast."""
    return REGRESSION_ORDER if target.task == "regression" else ORDER


def is_forecast_wanted(target: Target, asked: bool | None, by_default: bool) -> bool:
    """Whether there will be a forecast.

    Raises FeatalignError where one is asked for and the target has no classes to tell apart.
    """
    classes = target.task == "classification" and len(np.unique(target.labels)) > 1
    if asked and not classes:
        raise FeatalignError(
            f"forecast: expected a target with classes to tell apart, {target.name} has none; "
            "leave effort and forecast out"
        )
    return classes and by_default if asked is None else asked


def ranked(
    request: Request,
    sources: Sequence[Source | str],
    target: Target,
    calibration: Calibration | None,
    session: Session,
    map_jobs: MapJobs,
) -> Ranking:
    """The ranking of sources on a target; `map_jobs` is that of an engine.

    `calibration` is None where no forecast is wanted. Raises FeatalignError when no source could be
    scored.
    """
    check_enough_groups(target.in_folds)
    order = order_of(target)
    needed = (order, *(EVIDENCE_SCORERS if request.forecast else ()))
    missing = [name for name in needed if name not in request.scorers]
    wanted = Wanted(
        scorers=tuple(dict.fromkeys((*missing, *request.scorers))),
        layers=request.layers,
        intervals=request.intervals,
        evidence=request.forecast,
    )
    jobs = [
        RankSource(
            source=each,
            target=target,
            wanted=wanted,
            calibration=calibration,
            share=request.share if request.forecast and request.effort == "short" else None,
        )
        for each in sources
    ]
    rows: list[RankingRow] = []
    failures: dict[str, str] = {}
    origins: dict[str, Source | str] = {}
    for job, found in zip(jobs, map_jobs(rank_source, jobs, session), strict=True):
        if isinstance(found, FeatalignError):
            failures[name_of(job.source)] = str(found)
        else:
            rows.extend(found)
            origins |= {row.source: job.source for row in found}
    if not rows:
        raise FeatalignError(
            "; ".join(
                reason if reason.startswith(name) else f"{name}: {reason}"
                for name, reason in failures.items()
            )
        )
    ordered, ordered_by = in_order(rows, order)
    return Ranking(
        target=target.name,
        num_rows=target.num_rows,
        num_classes=target.num_classes,
        task=target.task,
        ordered_by=ordered_by,
        rows=ordered,
        failures=failures,
        target_warnings=(
            *target.remarks,
            *leak_remarks(target),
            *near_copy_remarks(origins[ordered[0].source], ordered[0].layer, target, session),
            *(_remarks(target, calibration) if request.forecast else ()),
        ),
    )


def _remarks(target: Target, calibration: Calibration | None) -> tuple[str, ...]:
    numbers = np.bincount(target.labels).tolist()
    counts = dict(zip(target.class_names, numbers, strict=False))
    shipped = calibration is shipped_calibration()
    return target_remarks(counts, target.kind, shipped=shipped)


def in_order(rows: Sequence[RankingRow], order: str) -> tuple[tuple[RankingRow, ...], str]:
    """Rows best first, and what made the order.

    The forecast accuracy makes the order where there are forecasts and one layer a source;
    elsewhere a score does.
    """
    sources = {row.source for row in rows}
    by_forecast = len(sources) == len(rows) and any(row.forecasts for row in rows)

    def place(row: RankingRow) -> tuple[bool, float, bool, float, str]:
        expected = -row.accuracy.value if by_forecast and row.accuracy is not None else 0.0
        result = row.scores[order]
        return (
            by_forecast and row.accuracy is None,
            expected,
            not result.ok,
            -result.value if result.ok else 0.0,
            row.source,
        )

    return tuple(sorted(rows, key=place)), "forecast" if by_forecast else order
