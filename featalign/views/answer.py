"""The answer of a ranking in one sentence."""

from featalign.records.interval import percent, points
from featalign.records.ranking import Ranking, RankingRow
from featalign.records.score import ScoreResult
from featalign.views.names import short_name
from featalign.views.numbers import format_score


def answer(ranking: Ranking) -> str:
    """What to do, with which source, and what to expect of it, with its interval."""
    best = ranking.best
    if best.forecast is None or best.gain is None or best.accuracy is None:
        return _by_scores(ranking)
    gain, accuracy = best.gain, best.accuracy
    more = "more" if gain.value >= 0 else "fewer"
    expected = (
        f"{accuracy.in_percent(0)} of held-out rows right, {abs(100 * gain.value):.1f} points "
        f"{more} than from scratch ({points(gain.low)} to {points(gain.high)}), with a chance of "
        f"{percent(best.forecast.negative_transfer_probability, 0)} that it hurts"
    )
    return f"{_advice(best)} on {_target(ranking)}: expect {expected}{_beside(ranking)}."


def _advice(best: RankingRow) -> str:
    """The verdict on the best source, as the beginning of a sentence."""
    source = _called(best)
    return {
        "fine-tune": f"Fine-tune {source}",
        "probe only": f"Train only a new head on {source}",
        "probe then fine-tune": f"Train a new head on {source}, then fine-tune all of it,",
        "train from scratch": f"Train from scratch rather than {source}, the best there is,",
        "cannot tell": f"It cannot be told whether {source}, the best there is, helps",
    }.get(best.verdict or "", f"{source} is ahead")


def _called(row: RankingRow) -> str:
    """The name of a source, a revision of 40 digits cut short."""
    return short_name(row.source, len(row.source))


def _target(ranking: Ranking) -> str:
    classes = f", {ranking.num_classes} classes" if ranking.num_classes else ""
    return f"{ranking.target} ({ranking.num_rows} rows{classes})"


def _beside(ranking: Ranking) -> str:
    """How many other sources the forecast cannot tell from the best one."""
    tied = {source for group in ranking.ties if ranking.best.source in group for source in group}
    others = len(tied - {ranking.best.source})
    if not others:
        return ""
    return f"; the forecast cannot tell it from {others} other{'s' if others > 1 else ''}"


def _by_scores(ranking: Ranking) -> str:
    best = ranking.best
    result = best.scores.get(ranking.ordered_by, ScoreResult())
    value = format_score(ranking.ordered_by, result) if ranking.ordered_by in best.scores else "-"
    score = ranking.ordered_by.replace("_", " ")
    return (
        f"By the {score} {_called(best)} is first of {len(ranking.best_layers)} on "
        f"{_target(ranking)}, with {value}; there is no forecast."
    )
