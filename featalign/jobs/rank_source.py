"""One source of a ranking: its rows, with forecasts and verdict where they are wanted."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from featalign.forecasting.calibration import Calibration
from featalign.forecasting.forecast import make_forecast
from featalign.forecasting.remarks import layer_remark
from featalign.forecasting.shift import Shift
from featalign.forecasting.situation import Short, Situation
from featalign.forecasting.verdict import judge
from featalign.jobs.examine import Wanted, examine
from featalign.jobs.given import source_of
from featalign.records.evidence import Evidence
from featalign.records.forecast import Forecast, Tier
from featalign.records.ranking import RankingRow
from featalign.records.request import Effort
from featalign.session import Session
from featalign.sources.source import Source
from featalign.targets.target import Target


@dataclass(frozen=True, kw_only=True)
class RankSource:
    """A job: the rows of a source, given as itself or by its address, on a target.

    `calibration` is None where no forecast is wanted. `effort` says what may be trained for it, and
    `share` how long short runs are as a part of one training. `shift` is that of the held-out rows.
    """

    source: Source | str
    target: Target
    wanted: Wanted
    calibration: Calibration | None = None
    effort: Effort = "cache"
    share: float = 0.0
    shift: Shift | None = None


def rank_source(job: RankSource, session: Session) -> list[RankingRow]:
    """A row for each layer of a source; that of the default layer has the forecast, if wanted."""
    start = time.perf_counter()
    session.let_go()  # before another one may be built
    source = source_of(job.source)
    session.hold(source.model)
    rows: list[RankingRow] = []
    probes: dict[str, float] = {}
    held: list[RankingRow] = []
    for found in examine(source, job.target, job.wanted, session):
        scores = found.answer.scores
        if "linear_probe" in scores and scores["linear_probe"].ok:
            probes[found.layer] = scores["linear_probe"].value
        row = RankingRow(
            source=source.name,
            layer=found.layer,
            num_features=found.num_features,
            key=found.key,
            scores=scores,
            warnings=(*found.answer.warnings, *source.remarks(job.target)),
        )
        evidence = found.answer.evidence
        if job.calibration is None or evidence is None or "linear_probe" not in evidence.own:
            rows.append(row)
            continue
        evidence = replace(evidence, advantage=job.calibration.advantages.get(source.revision))
        forecasts: list[Forecast] = []
        seconds: dict[Tier, float] = {}
        for tier, forecast in _forecasts(source, evidence, job.calibration, job, session):
            forecasts.append(forecast)
            seconds[tier] = time.perf_counter() - start - sum(seconds.values())
        row = replace(
            row,
            warnings=(*row.warnings, *found.answer.remarks, *_untrained(job, forecasts)),
            evidence=evidence,
            forecasts=tuple(forecasts),
            judgement=judge(forecasts[-1], evidence, job.target.num_rows),
            seconds=seconds,
        )
        held.append(row)
    for row in held:  # these come last, because a remark may name a better layer
        remark = layer_remark(probes, row.layer)
        rows.append(replace(row, warnings=(*row.warnings, remark)) if remark else row)
    return rows


def _forecasts(
    source: Source,
    evidence: Evidence,
    calibration: Calibration,
    job: RankSource,
    session: Session,
) -> Iterator[tuple[Tier, Forecast]]:
    """The forecast from the cache, and then one with what is trained for it, where that can be."""
    shift = 0.0 if job.shift is None else job.shift.clear
    situation = Situation(job.target.num_rows, job.target.num_classes, shift)
    yield "cache", make_forecast(evidence, situation, calibration)
    if job.effort == "anchor":
        from featalign.jobs.anchor import anchor_of, can_be_anchored

        if can_be_anchored(source, job.target):
            anchor = anchor_of(source, job.target, session)
            yield "anchor", make_forecast(evidence, situation, calibration, anchor=anchor)
    gradients = evidence.capability == "gradients" and source.can_be_reinitialised
    if job.effort == "short" and gradients:
        short = _short(source, job.target, job.share, session)
        yield "short", make_forecast(evidence, situation, calibration, short=short)


def _untrained(job: RankSource, forecasts: Sequence[Forecast]) -> tuple[str, ...]:
    """What to say where something was to be trained for a forecast, and nothing could be."""
    if job.effort == "cache" or len(forecasts) > 1:
        return ()
    lacks = {
        "anchor": "there is no network to train from scratch",
        "short": "short runs need gradients and fresh weights",
    }
    return (f"the forecast is from the cache alone: {lacks[job.effort]}",)


def _short(source: Source, target: Target, share: float, session: Session) -> Short:
    from featalign.jobs.short import short_evidence
    from featalign.training.short import run_steps

    steps = run_steps(len(target), share)
    own, scratch = (
        short_evidence(source, target, arm, steps, session) for arm in ("full", "scratch")
    )
    return Short.of(share, (own.accuracies, own.losses), (scratch.accuracies, scratch.losses))
