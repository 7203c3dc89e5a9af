"""Two rankings side by side."""

from dataclasses import dataclass

from featalign.records.ranking import Ranking
from featalign.records.shown import Shown


@dataclass(frozen=True, kw_only=True)
class Comparison(Shown):
    """A ranking and a later one, of the same sources or of others, on the same target or another.

    It shows itself: what became of each source, its place, its expected accuracy and its gain.
    """

    before: Ranking
    after: Ranking
