"""What a ranking is: one row per source and layer, best first."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from featalign.arrays import Interval, Task
from featalign.scorers.scorer import ScoreResult, Status

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True)
class RankingRow:
    """One source and layer: its scores, and the forecast where there is one (None where not)."""

    source: str
    layer: str
    num_features: int
    scores: Mapping[str, ScoreResult]
    accuracy: Interval | None = None
    scratch_accuracy: Interval | None = None
    gain: Interval | None = None
    negative_transfer_probability: float | None = None
    verdict: str | None = None
    warnings: tuple[str, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Plain data for JSON."""
        intervals = {name: vars(value) if value else None for name, value in self._forecast().items()}
        return {
            "source": self.source,
            "layer": self.layer,
            "num_features": self.num_features,
            "scores": {name: result.to_record() for name, result in self.scores.items()},
            **intervals,
            "negative_transfer_probability": self.negative_transfer_probability,
            "verdict": self.verdict,
            "warnings": list(self.warnings),
        }

    def _forecast(self) -> dict[str, Interval | None]:
        return {"accuracy": self.accuracy, "scratch_accuracy": self.scratch_accuracy, "gain": self.gain}


@dataclass(frozen=True)
class Ranking:
    """Sources in the order in which they are expected to help on a target, best first.

    `ordered_by` names the score that made the order. `failures` maps sources that could not be scored to the reason.
    """

    target: str
    num_rows: int
    num_classes: int
    task: Task
    ordered_by: str
    rows: tuple[RankingRow, ...]
    failures: Mapping[str, str] = field(default_factory=dict)

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
        head: dict[str, Any] = {"target": self.target, "num_rows": self.num_rows, "num_classes": self.num_classes, "task": self.task}
        head |= {"ordered_by": self.ordered_by, "best_layers": {source: row.layer for source, row in self.best_layers.items()}}
        return json.dumps({**head, "rows": self.to_records(), "failures": dict(self.failures)}, indent=1, allow_nan=False)

    def to_dataframe(self) -> "pandas.DataFrame":
        """One line per row with the score values as columns; needs pandas."""
        try:
            import pandas
        except ImportError as error:
            raise ImportError("to_dataframe needs pandas: install featalign[pandas]") from error
        return pandas.DataFrame([{"source": row.source, "layer": row.layer, "num_features": row.num_features} | _columns(row) for row in self.rows])

    def __str__(self) -> str:
        every = list(self.rows[0].scores) if self.rows else []
        names = [name for name in dict.fromkeys((self.ordered_by, "tangent_gain", *every)) if name in every][:6]
        cells = [["", "source", "layer", *names]]
        for place, row in enumerate(self.rows, 1):
            values = [_shown(row.scores[name]) for name in names]
            cells.append([str(place), row.source, row.layer, *values])
        widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]
        notes = [f"{self.target}: {self.num_rows} rows, ordered by {self.ordered_by}"]
        if len(self.rows) > len(self.best_layers):
            notes.append("the best layer of each source: " + ", ".join(f"{row.source} {row.layer}" for row in self.best_layers.values()))
        notes += [f"{source}: {warning}" for source, warning in self.warnings]
        notes += [f"{source} could not be scored: {reason}" for source, reason in self.failures.items()]
        return "\n".join([*lines, *notes])


def _shown(result: ScoreResult) -> str:
    if not result.ok:
        return "black box" if result.status is Status.BLACK_BOX else "-"
    return f"{result.value:.3f}" + (f" ({result.interval[0]:.3f} to {result.interval[1]:.3f})" if result.interval else "")


def _columns(row: RankingRow) -> dict[str, float]:
    columns = {}
    for name, result in row.scores.items():
        columns[name] = result.value
        if result.interval:
            columns |= {f"{name}_low": result.interval[0], f"{name}_high": result.interval[1]}
        if result.zero:
            columns |= {f"{name}_zero": result.zero.mean, f"{name}_zero_spread": result.zero.spread}
    return columns
