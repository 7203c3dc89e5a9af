"""The ranking: one row per source and layer, best first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from featalign.arrays import Task
from featalign.metrics import MetricName
from featalign.records.evidence import Evidence
from featalign.records.feature_map import FeatureMap
from featalign.records.forecast import Forecast, Tier, Verdict
from featalign.records.interval import Interval
from featalign.records.making import Making
from featalign.records.plain import IN_MEMORY, Plain, json_schema, to_json, to_plain
from featalign.records.score import ScoreResult
from featalign.records.shown import Shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from featalign.records.comparison import Comparison


@dataclass(frozen=True, kw_only=True)
class RankingRow(Shown):
    """One source and layer: its scores, its forecasts, and the verdict.

    The first of the `forecasts` is from the cache, the second with what was trained. `accuracy`,
    `scratch_accuracy`, `gain` and `negative_transfer_probability` are those of the last forecast,
    the best informed one, or None without a forecast. `evidence` are the numbers that forecasts
    were made of. `seconds` say how long each tier took on this machine; they do not make rows
    unequal. `key` is that of the embedding in the cache.
    """

    source: str
    layer: str
    num_features: int
    scores: Mapping[str, ScoreResult]
    forecasts: tuple[Forecast, ...] = ()
    judgement: Verdict | None = None
    warnings: tuple[str, ...] = ()
    evidence: Evidence | None = None
    seconds: Mapping[Tier, float] = field(default_factory=dict, compare=False)
    key: str = ""

    @property
    def forecast(self) -> Forecast | None:
        """The best informed forecast, or None."""
        return self.forecasts[-1] if self.forecasts else None

    @property
    def accuracy(self) -> Interval | None:
        """The expected accuracy of the best transfer arm."""
        return self.forecast and self.forecast.accuracy

    @property
    def scratch_accuracy(self) -> Interval | None:
        """The expected accuracy of training from scratch."""
        return self.forecast and self.forecast.scratch_accuracy

    @property
    def gain(self) -> Interval | None:
        """The expected gain over training from scratch."""
        return self.forecast and self.forecast.gain

    @property
    def negative_transfer_probability(self) -> float | None:
        """The probability that the gain is negative."""
        return self.forecast and self.forecast.negative_transfer_probability

    @property
    def verdict(self) -> str | None:
        """What to do."""
        return self.judgement and self.judgement.decision

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons of the verdict, with their numbers."""
        return self.judgement.reasons if self.judgement else ()

    def to_record(self) -> dict[str, Any]:
        """The row as plain data for JSON: its fields, and what follows from them."""
        scores = {name: shown_in_json(result) for name, result in self.scores.items()}
        found = {**to_plain(self), "scores": scores}
        intervals = {name: vars(each) if each else None for name, each in self._intervals().items()}
        return {
            **found,
            **intervals,
            "negative_transfer_probability": self.negative_transfer_probability,
            "verdict": self.verdict,
            "reasons": list(self.reasons),
        }

    def _intervals(self) -> dict[str, Interval | None]:
        return {
            "accuracy": self.accuracy,
            "scratch_accuracy": self.scratch_accuracy,
            "gain": self.gain,
        }


@dataclass(frozen=True, kw_only=True)
class Ranking(Shown, Plain):
    """Sources in the order in which they are expected to help on a target, best first.

    `ordered_by` names the score that made the order, or "forecast". `failures` maps sources that
    could not be scored to the reason. `target_warnings` are about the target. `ties` are groups
    of sources that the forecast cannot tell apart. `metric` is what the probes are judged by.
    `made` says how the ranking was made, and `feature_maps` show the features of the best and the
    worst source, if they were asked for; these exist in memory alone. Neither makes rankings
    unequal.
    """

    target: str
    num_rows: int
    num_classes: int
    task: Task
    ordered_by: str
    rows: tuple[RankingRow, ...]
    failures: Mapping[str, str] = field(default_factory=dict)
    target_warnings: tuple[str, ...] = ()
    ties: tuple[tuple[str, ...], ...] = ()
    metric: MetricName = "accuracy"
    made: Making | None = field(default=None, compare=False)
    feature_maps: tuple[FeatureMap, ...] = field(
        default=(), compare=False, repr=False, metadata=IN_MEMORY
    )

    @property
    def best(self) -> RankingRow:
        """The first row."""
        return self.rows[0]

    @property
    def best_layers(self) -> dict[str, RankingRow]:
        """The best row of each source, best source first; it says which of its layers to use."""
        best: dict[str, RankingRow] = {}
        for row in self.rows:
            best.setdefault(row.source, row)
        return best

    @property
    def warnings(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """The layers that each warning is about, by source and warning."""
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for row in self.rows:
            for warning in row.warnings:
                found[row.source, warning] = (*found.get((row.source, warning), ()), row.layer)
        return found

    def to_records(self) -> list[dict[str, Any]]:
        """One dictionary of plain data per row."""
        return [row.to_record() for row in self.rows]

    def to_json(self) -> str:
        """The whole ranking as JSON, which `from_json` reads; a number without a value is null."""
        best = {source: row.layer for source, row in self.best_layers.items()}
        return to_json(self, more={"best_layers": best, "rows": self.to_records()})

    @staticmethod
    def json_schema() -> dict[str, Any]:
        """The JSON Schema of what `to_json` writes."""
        found = json_schema(Ranking)
        title = found["$defs"]["ScoreResult"]["properties"]["value"]["title"]
        nullable = {"title": title, "type": ["number", "null"]}  # null where the status is not ok
        found["$defs"]["ScoreResult"]["properties"]["value"] = nullable
        del found["properties"]["feature_maps"], found["$defs"]["FeatureMap"]
        return found

    def compare(self, other: "Ranking") -> "Comparison":
        """The ranking beside a later one: what became of each source, in a table.

        The other one may be of other sources, of more rows, or of another target.
        """
        from featalign.records.comparison import Comparison

        return Comparison(before=self, after=other)

    def plot(self, axes: "Sequence[Axes] | None" = None) -> "tuple[Axes, Axes]":
        """Both arms and the gain of each source, drawn with matplotlib.

        They are drawn into two axes if these are given, else into a new figure of pyplot. Raises
        FeatalignError for a ranking without a forecast.
        """
        from featalign.views.forecast_figure import plot_forecasts

        return plot_forecasts(self, axes)


def shown_in_json(result: ScoreResult) -> dict[str, Any]:
    """A score as plain data, with what its status means.

    >>> from featalign.records.score import Status
    >>> shown_in_json(ScoreResult(status=Status.UNDEFINED))["explanation"]
    'not defined for this input'
    """
    return {**to_plain(result), "explanation": result.status.explanation}
