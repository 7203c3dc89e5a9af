"""One source of a ranking: its rows, with forecasts and verdict where they are wanted."""

import time
from dataclasses import dataclass, replace

from featalign.forecasting.calibration import Calibration
from featalign.forecasting.forecast import make_forecast
from featalign.forecasting.predictors import Short, Situation
from featalign.forecasting.remarks import layer_remark
from featalign.forecasting.verdict import judge
from featalign.jobs.examine import Wanted, examine
from featalign.jobs.given import source_of
from featalign.records.forecast import Forecast, Tier
from featalign.records.ranking import RankingRow
from featalign.session import Session
from featalign.sources.source import Source
from featalign.targets.target import Target


@dataclass(frozen=True, kw_only=True)
class RankSource:
    """A job: the rows of a source, itself or its address, on a target.

    `calibration` is None where no forecast is wanted, and `share`, the part of one training that
    short runs are, where there are none.
    """

    source: Source | str
    target: Target
    wanted: Wanted
    calibration: Calibration | None = None
    share: float | None = None


def rank_source(job: RankSource, session: Session) -> list[RankingRow]:
    """A row for each layer of a source.

    The default layer's has the forecast, where one is wanted.
    """
    start, source = time.perf_counter(), source_of(job.source)
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
            scores=scores,
            warnings=(*found.answer.warnings, *source.remarks(job.target)),
        )
        evidence = found.answer.evidence
        if job.calibration is None or evidence is None or "linear_probe" not in evidence.own:
            rows.append(row)
            continue
        advantage = job.calibration.advantages.get(source.revision)
        row = replace(
            row,
            warnings=(*row.warnings, *found.answer.remarks),
            evidence=replace(evidence, advantage=advantage),
        )
        held.append(_with_forecasts(row, source, job, session, start))
    for row in held:  # last, because it may be told of a better layer
        remark = layer_remark(probes, row.layer)
        rows.append(replace(row, warnings=(*row.warnings, remark)) if remark else row)
    return rows


def _with_forecasts(
    row: RankingRow, source: Source, job: RankSource, session: Session, start: float
) -> RankingRow:
    """The row, which has its evidence, with its forecasts.

    They are from the cache, and with short runs where these are wanted and the source can be
    trained.
    """
    calibration, evidence = job.calibration, row.evidence
    assert calibration is not None
    assert evidence is not None
    situation = Situation(job.target.num_rows, job.target.num_classes)
    forecasts: list[Forecast] = [make_forecast(evidence, situation, calibration)]
    seconds: dict[Tier, float] = {"cache": time.perf_counter() - start}
    if job.share and evidence.capability == "gradients" and source.has_fresh_weights:
        short = _short(source, job.target, job.share, session)
        forecasts.append(make_forecast(evidence, situation, calibration, short))
        seconds["short"] = time.perf_counter() - start - seconds["cache"]
    return replace(
        row,
        forecasts=tuple(forecasts),
        judgement=judge(forecasts[-1], evidence),
        seconds=seconds,
    )


def _short(source: Source, target: Target, share: float, session: Session) -> Short:
    from featalign.jobs.short import short_evidence
    from featalign.training.short import run_steps

    steps = run_steps(len(target), share)
    own, scratch = (
        short_evidence(source, target, arm, steps, session) for arm in ("full", "scratch")
    )
    return Short.of(share, (own.accuracies, own.losses), (scratch.accuracies, scratch.losses))
