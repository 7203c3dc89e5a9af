"""Screening: which sources are worth training.

It goes by the forecast and, with a budget, by real short runs of those that are left.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from featalign.forecasting.calibration import Calibration
from featalign.forecasting.predictors import size_of
from featalign.ranking import Ranking, RankingRow

DOMINATED = (
    0.95  # probability of being worse than the last of those to keep from which a source is dropped
)
HURTS = 0.9  # probability of a loss from which short runs are not worth their price
RUNGS = (0.1, 0.2, 0.3, 0.5)  # lengths of short runs, as parts of one training
FOLDS = 2  # networks of a short run


@dataclass(frozen=True)
class Dropped:
    """A source that is not worth training, and why.

    It says how many trainings had been spent when the source was dropped.
    """

    source: str
    reason: str
    spent: float


@dataclass(frozen=True)
class Screening:
    """What is left of the candidates.

    `spent` counts trainings: what one learning rate of one arm costs in full, runs from scratch
    included.

    `ranking` is the last one, of the sources that short runs were made of, or the first one without
    a budget.
    """

    kept: tuple[str, ...]
    dropped: tuple[Dropped, ...]
    spent: float
    budget: float | None
    ranking: Ranking

    def to_record(self) -> dict[str, Any]:
        """As plain data."""
        dropped = [asdict(each) for each in self.dropped]
        return {
            "kept": list(self.kept),
            "dropped": dropped,
            "spent": self.spent,
            "budget": self.budget,
            "rows": self.ranking.to_records(),
        }

    def __str__(self) -> str:
        lines = [
            f"{self.ranking.target}: {len(self.kept)} kept, {len(self.dropped)} dropped, "
            f"{self.spent:.2f} trainings spent"
        ]
        for source in self.kept:
            row = next((row for row in self.ranking.rows if row.source == source), None)
            lines.append(
                f"  keep {source}"
                + (f": {row.reasons[0]}" if row is not None and row.reasons else "")
            )
        lines += [f"  drop {each.source}: {each.reason}" for each in self.dropped]
        return "\n".join(lines)


def screen_by(
    rank: Callable[[Sequence[str], float | None], Ranking],
    sources: Sequence[str],
    keep: int,
    budget: float | None,
    calibration: Calibration,
) -> Screening:
    """Drop what is dominated, then halve what is left by ever longer short runs.

    The halving lasts while the budget does.

    `rank(names, share)` ranks the sources of these names, with short runs of a share of a training,
    or none. After the forecast from the cache each source goes whose probability of being worse
    than the last of those to keep is at least 0.95. With a budget, in trainings, the rest runs for
    a tenth, a fifth, three tenths and a half of a training; after each of these a source goes whose
    probability of a loss is at least 0.9, and the worse half of what is left, down to `keep`
    (successive halving: Jamieson and Talwalkar, AISTATS 2016). At the end the best `keep` are kept;
    of sources that are all expected to lose, none need be trained, and the reasons say so.
    """
    first = ranking = rank(sources, None)
    dropped = [
        Dropped(source, f"could not be scored: {reason}", 0.0)
        for source, reason in first.failures.items()
    ]
    spent = 0.0
    left, gone = undominated(first, keep, calibration)
    dropped += [Dropped(name, reason, 0.0) for name, reason in gone]
    for place, share in enumerate(RUNGS if budget is not None else ()):
        assert budget is not None
        runnable = [
            name
            for name in left
            if _row(first, name).forecasts
            and _row(first, name).forecasts[0].kind == "differentiable"
        ]
        cost = FOLDS * share * 2 * len(runnable)  # from the source and from scratch
        if len(left) <= keep or not runnable or spent + cost > budget + 1e-9:
            break
        ranking, spent = rank(left, share), min(spent + cost, budget)
        order = [row.source for row in ranking.rows]
        wanted = max(keep, math.ceil(len(left) / 2)) if place + 1 < len(RUNGS) else keep
        for name in [name for name in left if name in ranking.failures]:
            left.remove(name)
            dropped.append(
                Dropped(
                    name,
                    f"its short runs of {share:.0%} of a training failed: {ranking.failures[name]}",
                    spent,
                )
            )
        for row in reversed(ranking.rows):  # the worst first: where all lose, the best are kept
            loss = row.negative_transfer_probability
            if loss is not None and loss >= HURTS and len(left) > keep:
                left.remove(row.source)
                dropped.append(
                    Dropped(
                        row.source,
                        f"short runs of {share:.0%} of a training show a loss against scratch "
                        f"({loss:.0%} sure)",
                        spent,
                    )
                )
        for name in [name for name in order if name in left][wanted:]:
            left.remove(name)
            dropped.append(
                Dropped(
                    name, f"in the worse half after short runs of {share:.0%} of a training", spent
                )
            )
    order = [row.source for row in ranking.rows if row.source in left]
    dropped += [
        Dropped(name, f"not among the best {keep}: place {place} by the forecast", spent)
        for place, name in enumerate(order[keep:], keep + 1)
    ]
    return Screening(tuple(order[:keep]), tuple(dropped), spent, budget, ranking)


def undominated(
    ranking: Ranking, keep: int, calibration: Calibration
) -> tuple[list[str], list[tuple[str, str]]]:
    """The sources that may be among the best `keep`, and those that may not.

    The latter are worse than the last of the best with a probability of 0.95, and come with the
    reason.
    """
    rows = ranking.rows
    if len(rows) <= keep or rows[keep - 1].accuracy is None:
        return [row.source for row in rows], []
    bar = rows[keep - 1]
    left, gone = [], []
    for place, row in enumerate(rows):
        chance = (
            worse_probability(row, bar, calibration, ranking.num_rows) if place >= keep else 0.0
        )
        if chance >= DOMINATED:
            assert row.accuracy is not None
            assert bar.accuracy is not None
            expected = (
                f"expected accuracy {row.accuracy.value:.1%} against {bar.accuracy.value:.1%} of "
                f"{bar.source}"
            )
            gone.append((row.source, f"{expected}, worse with a probability of {chance:.0%}"))
        else:
            left.append(row.source)
    return left, gone


def worse_probability(
    row: RankingRow, other: RankingRow, calibration: Calibration, num_rows: int
) -> float:
    """The probability that a source ends below another one on the same target.

    It is Φ(difference / deviation of a difference of two errors there).
    """
    from scipy.stats import norm

    if row.accuracy is None or other.accuracy is None or row.forecast is None:
        return 0.5
    lines = calibration.lines_of(row.forecast.kind)
    residuals = lines["order"].residuals
    deviation = lines["order"].scale(size_of(num_rows)) * math.sqrt(
        2 * math.fsum(value * value for value in residuals) / max(len(residuals), 1)
    )
    return float(norm.cdf((other.accuracy.value - row.accuracy.value) / max(deviation, 1e-9)))


def _row(ranking: Ranking, name: str) -> RankingRow:
    return next(row for row in ranking.rows if row.source == name)
