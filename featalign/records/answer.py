"""What was found out about an embedding, as it is kept beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from featalign.records.evidence import Evidence
from featalign.records.score import ScoreResult


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Scores of an embedding by name, what users should know of it, and the evidence.

    `warnings` are about the features. Where no forecast was wanted, `evidence` is None and
    `remarks` are empty.
    """

    scores: Mapping[str, ScoreResult] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    evidence: Evidence | None = None
    remarks: tuple[str, ...] = ()

    def joined(self, other: "Answer") -> "Answer":
        """The two answers together; this one's part counts where both have it.

        >>> one, other = Answer(scores={"knn": ScoreResult(0.9)}), Answer(remarks=("few rows",))
        >>> one.joined(other).remarks
        ('few rows',)
        """
        own = self.evidence is not None
        return Answer(
            scores={**other.scores, **self.scores},
            warnings=tuple(dict.fromkeys((*self.warnings, *other.warnings))),
            evidence=self.evidence if own else other.evidence,
            remarks=self.remarks if own else other.remarks,
        )
