"""One source on a target: scores of its layers, the forecast, and the verdict."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from featalign.arrays import Labels
from featalign.embeddings.store import Embedding, Store
from featalign.evidence.embedded import embedded, keep_to_limit, layer_names
from featalign.evidence.known import known_evidence
from featalign.evidence.scoring import collect, scored
from featalign.evidence.short import short_evidence
from featalign.evidence.tangent import tangent_evidence
from featalign.forecasting.calibration import Calibration
from featalign.forecasting.forecast import Forecast, Tier, make_forecast
from featalign.forecasting.predictors import ADVANTAGE, Short, Situation
from featalign.forecasting.remarks import layer_remark, source_remarks
from featalign.forecasting.verdict import judge
from featalign.progress import Report
from featalign.ranking import RankingRow
from featalign.scorers.scorer import Scorer
from featalign.sources.source import Source
from featalign.statistics.collected import Statistics
from featalign.statistics.source_outputs import SourceOutputs
from featalign.targets.target import Target

SOURCE_NEEDS = frozenset({"source_probabilities", "source_logits"})
FORECAST_SCORERS = (
    "linear_probe",
    "knn",
    "logme",
    "lda",
    "label_overlap",
    "cka",
    "tangent_probe",
    "tangent_gain",
    "dead_fraction",
)


@dataclass(frozen=True)
class Plan:
    """What to do with every source: see `featalign.rank`.

    `short_steps` is the length of short runs, 0 for none.
    """

    target: Target
    store: Store
    scorers: tuple[Scorer, ...]
    layers: Sequence[str] | str | None
    seed: int
    batch_size: int
    intervals: bool
    calibration: Calibration | None
    short_steps: int = 0
    share: float = 0.0


def rank_layers(source: Source, plan: Plan, report: Report) -> Iterator[RankingRow]:
    """A row for each layer of a source.

    The default layer's has the forecast, where one is wanted.
    """
    target, store = plan.target, plan.store
    shown = wanted = layer_names(source, plan.layers)
    if (
        source.logits_layer is not None
        and shown
        and any(scorer.needs & SOURCE_NEEDS for scorer in plan.scorers)
    ):
        wanted = tuple(
            dict.fromkeys((*shown, source.logits_layer))
        )  # from the same pass of the source
    start = time.perf_counter()
    embeddings = embedded(
        source, target, wanted, store, dtype="float32", batch_size=plan.batch_size, report=report
    )
    logits = embeddings.get(source.logits_layer) if source.logits_layer is not None else None
    outputs = (
        None
        if logits is None
        else SourceOutputs(lambda: (rows for _, rows in logits.blocks()), are_logits=True)
    )
    tangents = any("tangent" in scorer.needs for scorer in plan.scorers)
    probes: dict[str, float] = {}
    held: list[RankingRow] = []
    for layer, embedding in embeddings.items():
        if layer == source.logits_layer and layer not in shown:
            continue
        settings: dict[str, Any] = {
            "seed": plan.seed,
            "batch_size": plan.batch_size,
            "report": report,
        }
        tangent = tangent_evidence(source, target, layer, store, **settings) if tangents else None
        keep_to_limit(store, [each.key for each in embeddings.values()])
        labels, rows = (
            Labels(target.labels, target.class_names),
            (features for _, features in embedding.blocks()),
        )
        statistics = collect(
            rows,
            labels,
            plan.scorers,
            seed=plan.seed,
            outputs=outputs,
            intervals=plan.intervals,
            tangent=tangent,
        )
        scores = scored(statistics, plan.scorers, intervals=plan.intervals)
        failure = (
            (f"no tangent scores: {tangent.failure}",)
            if tangent is not None and tangent.failure
            else ()
        )
        warnings = (*_warnings(embedding), *source.remarks(target), *failure)
        row = RankingRow(source.name, layer, embedding.num_features, scores, warnings=warnings)
        if "linear_probe" in scores and scores["linear_probe"].ok:
            probes[layer] = scores["linear_probe"].value
        if plan.calibration is not None and layer == source.default_layer and layer in probes:
            row = _forecast(row, source, statistics, plan, plan.calibration, start, report)
            held.append(row)
        else:
            yield row
    for row in held:  # last, because it may be told of a better layer
        remark = layer_remark(probes, row.layer)
        yield replace(row, warnings=(*row.warnings, remark)) if remark else row


def _forecast(
    row: RankingRow,
    source: Source,
    statistics: Statistics,
    plan: Plan,
    calibration: Calibration,
    start: float,
    report: Report,
) -> RankingRow:
    """The row with its forecasts.

    They are from the cache, and with short runs where these are wanted and the source can be
    trained.
    """
    target, situation = plan.target, Situation(plan.target.num_rows, plan.target.num_classes)
    settings: dict[str, Any] = {"seed": plan.seed, "batch_size": plan.batch_size, "report": report}
    evidence = known_evidence(
        source, target, row.layer, row.scores, statistics, plan.store, **settings
    )
    if (advantage := calibration.advantages.get(source.revision)) is not None:
        evidence[ADVANTAGE] = advantage
    forecasts: list[Forecast] = [make_forecast(evidence, situation, calibration)]
    seconds: dict[Tier, float] = {"cache": time.perf_counter() - start}
    differentiable = source.differentiable if plan.short_steps else None
    if (
        differentiable is not None
        and differentiable.initialise is not None
        and forecasts[0].kind == "differentiable"
    ):
        own, scratch = (
            short_evidence(source, target, arm, plan.short_steps, plan.store, report=report)
            for arm in ("full", "scratch")
        )
        found = Short.of(
            plan.share, (own.accuracies, own.losses), (scratch.accuracies, scratch.losses)
        )
        forecasts.append(make_forecast(evidence, situation, calibration, found))
        seconds["short"] = time.perf_counter() - start - seconds["cache"]
    remarks = source_remarks(evidence, statistics)
    return replace(
        row,
        forecasts=tuple(forecasts),
        judgement=judge(forecasts[-1], evidence),
        warnings=(*row.warnings, *remarks),
        evidence=evidence,
        seconds=seconds,
    )


def in_order(rows: Sequence[RankingRow], order: str) -> tuple[tuple[RankingRow, ...], str]:
    """Rows best first, and what made the order.

    The order is by the forecast accuracy where there are forecasts and one layer a source, else by
    a score.
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


def _warnings(embedding: Embedding) -> tuple[str, ...]:
    survey = embedding.survey
    if survey is None:
        return ()
    counts = (
        ("not finite", survey.nonfinite_count),
        ("too large for the type they are kept in", survey.overflow_count),
    )
    return tuple(f"{count} values are {what}" for what, count in counts if count)
