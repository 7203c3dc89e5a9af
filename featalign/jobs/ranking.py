"""A ranking from a request: one job for each source, and the order of their rows."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.forecasting.calibration import Calibration, shipped_calibration
from featalign.forecasting.comparison import ties_of
from featalign.forecasting.remarks import balance_remarks, metric_remarks, target_remarks
from featalign.forecasting.shift import Shift
from featalign.jobs.examine import EVIDENCE_SCORERS, Wanted
from featalign.jobs.given import name_of
from featalign.jobs.making import making_of
from featalign.jobs.near_copies import near_copy_remarks
from featalign.jobs.rank_source import RankSource, rank_source
from featalign.jobs.shift import shift_of
from featalign.log import LOGGER
from featalign.metrics import ACCURACY, default_metric, metric_for
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


def is_forecast_wanted(
    target: Target, asked: bool | None, by_default: bool, metric: str | None = None
) -> bool:
    """Whether there will be a forecast.

    Raises FeatalignError where one is asked for and the target has no classes to tell apart, or the
    metric is not accuracy, of which alone there is a calibration.
    """
    if metric_for(target.task, metric).name != ACCURACY and target.task == "classification":
        if asked:
            raise FeatalignError(
                f"metric: expected 'accuracy' beside a forecast, got {metric!r}; forecasts are of "
                "accuracy alone, so leave effort and forecast out, or metric"
            )
        return False
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
    judge = metric_for(target.task, request.metric)
    order = order_of(target)
    needed = (order, *(EVIDENCE_SCORERS if request.forecast else ()))
    missing = [name for name in needed if name not in request.scorers]
    wanted = Wanted(
        scorers=tuple(dict.fromkeys((*missing, *request.scorers))),
        layers=request.layers,
        intervals=request.intervals,
        evidence=request.forecast,
        metric=None if judge.name == default_metric(target.task) else judge.name,
    )
    shift = shift_of(target, session) if request.forecast else None
    jobs = [
        RankSource(
            source=each,
            target=target,
            wanted=wanted,
            calibration=calibration,
            effort=request.effort,
            share=request.share,
            shift=shift,
        )
        for each in sources
    ]
    rows: list[RankingRow] = []
    failures: dict[str, str] = {}
    origins: dict[str, Source | str] = {}
    start = time.perf_counter()
    found_by_job = zip(jobs, map_jobs(rank_source, jobs, session), strict=True)
    for place, (job, found) in enumerate(found_by_job, 1):
        name, failed = name_of(job.source), isinstance(found, FeatalignError)
        end = time.perf_counter()
        state = "failed" if failed else "done"
        LOGGER.info("%s: %s, %.1f s (%d of %d)", name, state, end - start, place, len(jobs))
        start = end
        if failed:
            failures[name] = str(found)
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
            *balance_remarks(_counts(target)),
            *(_remarks(target, calibration, shift) if request.forecast else ()),
            *metric_remarks(judge.name, default_metric(target.task)),
        ),
        ties=()
        if calibration is None or ordered_by != "forecast"
        else ties_of(ordered, calibration, target.num_rows),
        metric=judge.name,
        made=making_of(request, calibration),
    )


def _counts(target: Target) -> dict[str, int]:
    """The number of rows of each class by its name; empty without classes."""
    if not target.class_names:
        return {}
    return dict(zip(target.class_names, np.bincount(target.labels).tolist(), strict=False))


def _remarks(
    target: Target, calibration: Calibration | None, shift: Shift | None
) -> tuple[str, ...]:
    shipped = calibration is shipped_calibration()
    kind = "grouped token" if target.kind == "token" and target.groups else target.kind
    told = target_remarks(_counts(target), kind, shipped=shipped)
    shifted = None if shift is None else shift.remark()
    return told if shifted is None else (shifted, *told)


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
