"""Screening: which sources are worth training.

It uses the forecast and, with a budget, real short runs of the sources that are left.
"""

import math
from collections.abc import Callable, Sequence

from featalign.forecasting.calibration import Calibration
from featalign.forecasting.situation import size_of
from featalign.records.ranking import Ranking, RankingRow
from featalign.records.screening import Dropped, Screening

# a source is dropped when it is worse than the last one to keep with at least this probability
DOMINATED = 0.95
HURTS = 0.9  # a source is dropped when it loses against scratch with at least this probability
RUNGS = (0.1, 0.2, 0.3, 0.5)  # lengths of short runs, as parts of one training
FOLDS = 2  # networks of a short run


def screen_by(
    rank: Callable[[Sequence[str], float | None], Ranking],
    sources: Sequence[str],
    keep: int,
    budget: float | None,
    calibration: Calibration,
) -> Screening:
    """Drop dominated sources, then halve the rest by ever longer short runs within the budget.

    `rank(names, share)` ranks the sources of these names, with short runs of a share of a training,
    or without them. After the forecast from the cache, a source is dropped if it is worse than the
    last of those to keep with a probability of at least 0.95. With a budget, counted in trainings,
    the rest runs for a tenth, a fifth, three tenths and a half of a training. After each of these a
    source is dropped if its probability of a loss is at least 0.9, and then the worse half of what
    is left, down to `keep` (successive halving: Jamieson and Talwalkar, AISTATS 2016). At the end
    the best `keep` are kept, also where all of them are expected to lose.
    """
    first = ranking = rank(sources, None)
    spent = 0.0
    dropped: list[Dropped] = []

    def drop(source: str, reason: str) -> None:
        dropped.append(Dropped(source=source, reason=reason, spent=spent))

    for source, reason in first.failures.items():
        drop(source, f"could not be scored: {reason}")
    left, gone = undominated(first, keep, calibration)
    for source, reason in gone:
        drop(source, reason)
    trainable = {
        row.source
        for row in first.rows
        if row.forecasts and row.forecasts[0].capability == "gradients"
    }
    for share in RUNGS if budget is not None else ():
        runnable = trainable.intersection(left)
        cost = FOLDS * share * 2 * len(runnable)  # 2: one run from the source, one from scratch
        if len(left) <= keep or not runnable or spent + cost > (budget or 0) + 1e-9:
            break
        ranking, spent = rank(left, share), min(spent + cost, budget or 0)
        wanted = keep if share == RUNGS[-1] else max(keep, math.ceil(len(left) / 2))
        worst = _worst(ranking, left, keep, wanted, share)
        for source, reason in worst.items():
            drop(source, reason)
        left = [source for source in left if source not in worst]
    order = [row.source for row in ranking.rows if row.source in left]
    for place, source in enumerate(order[keep:], keep + 1):
        drop(source, f"not among the best {keep}: place {place} by the forecast")
    return Screening(
        kept=tuple(order[:keep]),
        dropped=tuple(dropped),
        spent=spent,
        budget=budget,
        ranking=ranking,
    )


def _worst(
    ranking: Ranking, left: Sequence[str], keep: int, wanted: int, share: float
) -> dict[str, str]:
    """The sources to drop after short runs, each with its reason, in the order of dropping."""
    runs = f"short runs of {share:.0%} of a training"
    failed = [source for source in left if source in ranking.failures]
    gone = {source: f"its {runs} failed: {ranking.failures[source]}" for source in failed}
    for row in reversed(ranking.rows):  # the worst first: where all lose, the best are kept
        loss = row.negative_transfer_probability
        if loss is not None and loss >= HURTS and len(left) - len(gone) > keep:
            gone[row.source] = f"{runs} show a loss against scratch ({loss:.0%} sure)"
    order = [row.source for row in ranking.rows if row.source not in gone]
    for source in order[wanted:]:
        gone[source] = f"in the worse half after {runs}"
    return gone


def undominated(
    ranking: Ranking, keep: int, calibration: Calibration
) -> tuple[list[str], list[tuple[str, str]]]:
    """The sources that may be among the best `keep`, and those that hardly can, with the reason.

    The latter are worse than the last of the best with a probability of at least 0.95.
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

    It is Φ(difference of the forecasts / deviation of the difference of their errors).
    """
    from scipy.stats import norm

    if row.accuracy is None or other.accuracy is None or row.forecast is None:
        return 0.5
    lines = calibration.lines_of(row.forecast.capability)
    residuals = lines.order.residuals
    deviation = lines.order.scale(size_of(num_rows)) * math.sqrt(
        2 * math.fsum(value * value for value in residuals) / max(len(residuals), 1)
    )
    return float(norm.cdf((other.accuracy.value - row.accuracy.value) / max(deviation, 1e-9)))
