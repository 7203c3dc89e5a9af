"""What a ranking is: one row per source and layer, best first."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from featalign.arrays import Interval, Task
from featalign.forecasting.forecast import Forecast, Tier
from featalign.forecasting.verdict import Verdict
from featalign.scorers.scorer import ScoreResult, Status

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class RankingRow:
    """One source and layer, with what a ranking says of it.

    That is its scores, its forecasts (from the cache, then with short runs), and the verdict.

    `accuracy`, `scratch_accuracy`, `gain` and `negative_transfer_probability` are those of the last
    forecast, the best informed; None where there is none. `evidence` are the numbers that forecasts
    were made of, `seconds` what each tier took to gather on this machine, what was cached included.
    """

    source: str
    layer: str
    num_features: int
    scores: Mapping[str, ScoreResult]
    forecasts: tuple[Forecast, ...] = ()
    judgement: Verdict | None = None
    warnings: tuple[str, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    seconds: Mapping[Tier, float] = field(default_factory=dict)

    @property
    def forecast(self) -> Forecast | None:
        """The best informed forecast."""
        return self.forecasts[-1] if self.forecasts else None

    @property
    def accuracy(self) -> Interval | None:
        """Expected accuracy of the best transfer arm."""
        return self.forecast and self.forecast.accuracy

    @property
    def scratch_accuracy(self) -> Interval | None:
        """Expected accuracy of training from scratch."""
        return self.forecast and self.forecast.scratch_accuracy

    @property
    def gain(self) -> Interval | None:
        """Expected gain over training from scratch."""
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
        """Plain data for JSON."""
        intervals = {
            name: vars(value) if value else None for name, value in self._intervals().items()
        }
        return {
            "source": self.source,
            "layer": self.layer,
            "num_features": self.num_features,
            "scores": {name: result.to_record() for name, result in self.scores.items()},
            **intervals,
            "negative_transfer_probability": self.negative_transfer_probability,
            "verdict": self.verdict,
            "reasons": list(self.reasons),
            "forecasts": [
                forecast.to_record() | {"seconds": self.seconds.get(forecast.tier)}
                for forecast in self.forecasts
            ],
            "warnings": list(self.warnings),
        }

    def _intervals(self) -> dict[str, Interval | None]:
        return {
            "accuracy": self.accuracy,
            "scratch_accuracy": self.scratch_accuracy,
            "gain": self.gain,
        }


@dataclass(frozen=True)
class Ranking:
    """Sources in the order in which they are expected to help on a target, best first.

    `ordered_by` names the score that made the order, or "forecast". `failures` maps sources that
    could not be scored to the reason, `target_warnings` are about the target.
    """

    target: str
    num_rows: int
    num_classes: int
    task: Task
    ordered_by: str
    rows: tuple[RankingRow, ...]
    failures: Mapping[str, str] = field(default_factory=dict)
    target_warnings: tuple[str, ...] = ()

    @property
    def best(self) -> RankingRow:
        """The first row."""
        return self.rows[0]

    @property
    def best_layers(self) -> dict[str, RankingRow]:
        """The best row of each source, best source first: which of its layers to use."""
        best: dict[str, RankingRow] = {}
        for row in self.rows:
            best.setdefault(row.source, row)
        return best

    @property
    def warnings(self) -> dict[tuple[str, str], tuple[str, ...]]:
        """The layers that each warning of a source is of, by source and warning."""
        found: dict[tuple[str, str], tuple[str, ...]] = {}
        for row in self.rows:
            for warning in row.warnings:
                found[row.source, warning] = (*found.get((row.source, warning), ()), row.layer)
        return found

    def to_records(self) -> list[dict[str, Any]]:
        """One dictionary of plain data per row."""
        return [row.to_record() for row in self.rows]

    def to_json(self) -> str:
        """The whole ranking as JSON; values that are not available are null."""
        head: dict[str, Any] = {
            "target": self.target,
            "num_rows": self.num_rows,
            "num_classes": self.num_classes,
            "task": self.task,
        }
        head |= {
            "ordered_by": self.ordered_by,
            "best_layers": {source: row.layer for source, row in self.best_layers.items()},
        }
        head |= {"warnings": list(self.target_warnings)}
        return json.dumps(
            {**head, "rows": self.to_records(), "failures": dict(self.failures)},
            indent=1,
            allow_nan=False,
        )

    def to_dataframe(self) -> "pandas.DataFrame":
        """One line per row with the score values as columns; needs pandas."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_dataframe needs pandas: install featalign[pandas]") from error
        return pandas.DataFrame(
            [
                {"source": row.source, "layer": row.layer, "num_features": row.num_features}
                | _columns(row)
                for row in self.rows
            ]
        )

    def __str__(self) -> str:
        every = list(self.rows[0].scores) if self.rows else []
        forecast = any(row.forecasts for row in self.rows)
        names = [
            name
            for name in dict.fromkeys((self.ordered_by, "tangent_gain", *every))
            if name in every
        ][: 2 if forecast else 6]
        cells = [
            ["", "source", "layer", *(["accuracy", "gain", "verdict"] if forecast else []), *names]
        ]
        for place, row in enumerate(self.rows, 1):
            values = [_shown(row.scores[name]) for name in names]
            expected = (
                [_percent(row.accuracy), gain_in_points(row.gain), row.verdict or "-"]
                if forecast
                else []
            )
            cells.append([str(place), row.source, row.layer, *expected, *values])
        widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in cells
        ]
        notes = [f"{self.target}: {self.num_rows} rows, ordered by {self.ordered_by}"]
        if len(self.rows) > len(self.best_layers):
            notes.append(
                "the best layer of each source: "
                + ", ".join(f"{row.source} {row.layer}" for row in self.best_layers.values())
            )
        notes += self.target_warnings
        notes += [f"{source}: {warning}" for source, warning in self.warnings]
        notes += [
            f"{source} could not be scored: {reason}" for source, reason in self.failures.items()
        ]
        return "\n".join([*lines, *notes])


def _shown(result: ScoreResult) -> str:
    if not result.ok:
        return "black box" if result.status is Status.BLACK_BOX else "-"
    return f"{result.value:.3f}" + (
        f" ({result.interval[0]:.3f} to {result.interval[1]:.3f})" if result.interval else ""
    )


def _percent(interval: Interval | None) -> str:
    return (
        "-"
        if interval is None
        else f"{interval.value:.1%} ({interval.low:.1%} to {interval.high:.1%})"
    )


def gain_in_points(interval: Interval | None) -> str:
    """A gain with its interval for people; a dash where there is none.

    >>> gain_in_points(Interval(0.052, -0.01, 0.114, 0.9))
    '+5.2 (-1.0 to +11.4)'
    """
    return (
        "-"
        if interval is None
        else f"{100 * interval.value:+.1f} ({100 * interval.low:+.1f} to "
        f"{100 * interval.high:+.1f})"
    )


def _columns(row: RankingRow) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    for name, interval in row._intervals().items():
        columns |= (
            {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
            if interval
            else {}
        )
    if row.forecasts:
        columns |= {
            "negative_transfer_probability": row.negative_transfer_probability,
            "verdict": row.verdict,
        }
    for name, result in row.scores.items():
        columns[name] = result.value
        if result.interval:
            columns |= {f"{name}_low": result.interval[0], f"{name}_high": result.interval[1]}
        if result.zero:
            columns |= {f"{name}_zero": result.zero.mean, f"{name}_zero_spread": result.zero.spread}
    return columns
