"""The screening: which sources are worth training, and why the others are not."""

from dataclasses import asdict, dataclass
from typing import Any

from featalign.records.plain import Plain, to_json
from featalign.records.ranking import Ranking
from featalign.records.shown import Shown


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A source that is not worth training, and why.

    `spent` says how many trainings had been spent when the source was dropped.
    """

    source: str
    reason: str
    spent: float


@dataclass(frozen=True, kw_only=True)
class Screening(Shown, Plain):
    """What is left of the candidates.

    `spent` counts trainings, including those from scratch; one is a full training of one arm with
    one learning rate. `ranking` is that of the last short runs, or the first one without them.
    """

    kept: tuple[str, ...]
    dropped: tuple[Dropped, ...]
    spent: float
    budget: float | None = None
    ranking: Ranking

    def to_json(self) -> str:
        """The screening as JSON, which `from_json` reads, and the rows of the ranking once more."""
        return to_json(self, more={"rows": self.ranking.to_records()})

    def to_record(self) -> dict[str, Any]:
        """The screening as plain data."""
        dropped = [asdict(each) for each in self.dropped]
        return {
            "kept": list(self.kept),
            "dropped": dropped,
            "spent": self.spent,
            "budget": self.budget,
            "rows": self.ranking.to_records(),
        }
