"""Agreement of scores and forecasts with accuracies that were really measured.

It is measured for rankings on one target, for the sign of a gain, and for gains with intervals.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from featalign.errors import FeatalignError

MEASURES = (
    "weighted_tau",
    "kendall_tau",
    "spearman",
    "pearson",
    "regret",
    "best_in_top_3",
    "relative_accuracy",
    "fidelity",
)


@dataclass(frozen=True)
class RankingAgreement:
    """How well scores rank the sources on one target; NaN where a measure is undefined.

    `regret` is in the unit of the accuracies.
    """

    num_sources: int
    num_scored: int
    weighted_tau: float
    kendall_tau: float
    spearman: float
    pearson: float
    regret: float
    best_in_top_3: float
    relative_accuracy: float
    fidelity: float


def ranking_agreement(scores: ArrayLike, accuracies: ArrayLike) -> RankingAgreement:
    """Agreement of scores (S,) with the measured accuracies (S,) of the same sources on one target.

    Larger is better in both.

    - `weighted_tau`, `kendall_tau` (tau-b), `spearman`, `pearson`: these are SciPy's
      `weightedtau(scores, accuracies)` and the others, at their defaults.
    - `regret`: the best accuracy less the accuracy of the pick, the source with the highest score.
      It is the mean over the picks where several tie.
    - `relative_accuracy`: the accuracy of the pick / the best accuracy, or NaN where the best is
      not positive.
    - `best_in_top_3`: 1 if the best source is among the three highest scores, else 0. Where scores
      tie about the third place, it is the chance of that when ties are broken by lot; where
      accuracies tie for the best, any of them counts. It is NaN for three sources or fewer, where
      it could not fail.
    - `fidelity`: whether a larger lead in the score means a larger lead in accuracy. It is the
      Pearson correlation of score differences and accuracy differences over all pairs of sources
      whose scores differ, each pair once, higher score less lower score. (Over both orders of every
      pair, or through the origin, it would be exactly `pearson` again.)

    A source without a score (NaN) is never picked nor in the top three. In the three rank
    correlations it ranks below all others, tied with its like, because leaving it out would reward
    a scorer that answers only where it is easy. `pearson` and `fidelity`, which need values, are
    over the `num_scored` others. Rank correlations need two sources, `pearson` and `fidelity`
    three. Constant scores or accuracies have no correlation.

    >>> agreement = ranking_agreement([0.3, 0.5, 0.1, 0.2], [0.80, 0.78, 0.70, 0.74])
    >>> round(agreement.weighted_tau, 3), round(agreement.regret, 3), agreement.best_in_top_3
    (0.52, 0.02, 1.0)
    """
    score, accuracy = _numbers("scores", scores), _numbers("accuracies", accuracies)
    if len(score) != len(accuracy):
        raise FeatalignError(
            f"scores: expected one for each of the {len(accuracy)} accuracies, got {len(score)}; "
            "give both for the same sources"
        )
    if np.isinf(score).any() or not np.isfinite(accuracy).all():
        raise FeatalignError(
            "scores, accuracies: expected finite numbers (NaN for a source without a score), got "
            "others; drop what was not measured"
        )
    scored = ~np.isnan(score)
    num_sources, num_scored = len(score), int(scored.sum())
    if num_sources < 2 or num_scored == 0:
        return RankingAgreement(num_sources, num_scored, *[math.nan] * len(MEASURES))
    order = np.zeros(num_sources)  # rank correlations read nothing but the order
    order[scored] = stats.rankdata(score[scored])
    best = accuracy.max()
    picked = accuracy[scored & (score == score[scored].max())].mean()
    return RankingAgreement(
        num_sources,
        num_scored,
        _correlation(stats.weightedtau, order, accuracy),
        _correlation(stats.kendalltau, order, accuracy),
        _correlation(stats.spearmanr, order, accuracy),
        _pearson(score[scored], accuracy[scored]),
        float(best - picked),
        _best_in_top(score[scored], accuracy[scored] == best, 3) if num_sources > 3 else math.nan,
        float(picked / best) if best > 0 else math.nan,
        _fidelity(score[scored], accuracy[scored]),
    )


@dataclass(frozen=True)
class SignAgreement:
    """How well evidence tells gains from losses.

    Pairs whose gain is within its noise are counted as neither and left out of the measures.
    """

    num_gains: int
    num_losses: int
    num_neither: int
    auroc: float
    balanced_accuracy: float
    brier: float


def sign_agreement(
    evidence: ArrayLike,
    gains: ArrayLike,
    noise: ArrayLike,
    *,
    probabilities: bool = False,
    threshold: float | None = None,
) -> SignAgreement:
    """Agreement of evidence (P,) for a positive gain with the sign of measured gains (P,).

    A gain no larger than its noise (P,) counts as neither. `auroc` is the chance that a pair with a
    gain has more evidence than a pair with a loss; ties count half. `balanced_accuracy` is the mean
    of the shares of gains above and of losses below the threshold (by default 0, or 0.5 for
    probabilities); evidence on the threshold counts half. Both are NaN without a gain or without a
    loss. A pair without evidence (NaN) counts half in both. `brier` is the mean squared error of
    the probabilities, and NaN for other evidence.

    >>> found = sign_agreement([0.4, -0.1, 0.2, -0.3], [0.02, 0.01, -0.03, 0.001], [0.005] * 4)
    >>> found.num_gains, found.num_losses, found.num_neither
    (2, 1, 1)
    >>> found.auroc, found.balanced_accuracy, found.brier
    (0.5, 0.25, nan)
    """
    unknown = np.isnan(_numbers("evidence", evidence))
    if probabilities and unknown.any():
        raise FeatalignError(
            "evidence: expected a probability for every pair, got nan in row "
            f"{int(np.argmax(unknown))}; give 0.5 for it"
        )
    evidence = np.where(unknown, 0.0, evidence)
    evidence, gains, noise = _same_length({"evidence": evidence, "gains": gains, "noise": noise})
    if (noise < 0).any():
        raise FeatalignError(
            f"noise: expected half-widths of at least 0, got {noise.min()}; pass the half-width of "
            "each gain's interval"
        )
    if probabilities and ((evidence < 0) | (evidence > 1)).any():
        raise FeatalignError(
            "evidence: expected probabilities from 0 to 1, got others; pass probabilities=False "
            "for other evidence"
        )
    clear = np.abs(gains) > noise
    positive, told, silent = gains[clear] > 0, evidence[clear], unknown[clear]
    num_gains, num_losses = int(positive.sum()), int((~positive).sum())
    auroc = balanced = math.nan
    if num_gains and num_losses:
        known_gains, known_losses = (
            int((positive & ~silent).sum()),
            int((~positive & ~silent).sum()),
        )
        wins = (
            stats.rankdata(told[~silent])[positive[~silent]].sum()
            - known_gains * (known_gains + 1) / 2
        )
        auroc = float(
            (wins + (num_gains * num_losses - known_gains * known_losses) / 2)
            / (num_gains * num_losses)
        )
        above = np.sign(
            told - ((0.5 if probabilities else 0.0) if threshold is None else threshold)
        )
        right = (1 + np.where(silent, 0, above) * np.where(positive, 1, -1)) / 2
        balanced = float(right[positive].mean() + right[~positive].mean()) / 2
    brier = float(((told - positive) ** 2).mean()) if probabilities and len(told) else math.nan
    return SignAgreement(num_gains, num_losses, len(gains) - len(told), auroc, balanced, brier)


@dataclass(frozen=True)
class IntervalAgreement:
    """How well predicted gains and their intervals fit measured gains; NaN where there are none."""

    num_pairs: int
    coverage: float
    mean_width: float
    mean_absolute_error: float


def interval_agreement(
    predicted: ArrayLike, low: ArrayLike, high: ArrayLike, gains: ArrayLike
) -> IntervalAgreement:
    """Agreement of predicted gains (P,) in intervals [low, high] with measured gains (P,).

    `coverage` is the share of measured gains, with their noise, that lie in their intervals.

    >>> interval_agreement([0.5, 0.0], [0.0, -0.5], [1.0, 0.5], [0.75, 1.0])
    IntervalAgreement(num_pairs=2, coverage=0.5, mean_width=1.0, mean_absolute_error=0.625)
    """
    predicted, low, high, gains = _same_length(
        {"predicted": predicted, "low": low, "high": high, "gains": gains}
    )
    if (low > high).any():
        raise FeatalignError(
            f"low: expected no more than high, got more in row {int(np.argmax(low > high))}; check "
            "the order of the arguments"
        )
    if len(gains) == 0:
        return IntervalAgreement(0, math.nan, math.nan, math.nan)
    within = (low <= gains) & (gains <= high)
    return IntervalAgreement(
        len(gains),
        float(within.mean()),
        float((high - low).mean()),
        float(np.abs(predicted - gains).mean()),
    )


def _correlation(measure: Callable, values: np.ndarray, others: np.ndarray) -> float:
    return (
        math.nan
        if np.ptp(values) == 0 or np.ptp(others) == 0
        else float(measure(values, others).statistic)
    )


def _pearson(values: np.ndarray, others: np.ndarray) -> float:
    if len(values) < 3:
        return math.nan
    # centring comes first, because SciPy warns of values that hardly differ against their mean
    return _correlation(stats.pearsonr, values - values.mean(), others - others.mean())


def _best_in_top(score: np.ndarray, is_best: np.ndarray, places: int) -> float:
    if len(score) <= places:
        return float(is_best.any())
    last = np.sort(score)[-places]
    if is_best[score > last].any():
        return 1.0
    tied, left = score == last, places - int((score > last).sum())
    num_tied, num_best = int(tied.sum()), int(is_best[tied].sum())
    return 1 - math.comb(num_tied - num_best, left) / math.comb(num_tied, left)


def _fidelity(score: np.ndarray, accuracy: np.ndarray) -> float:
    first, second = np.triu_indices(len(score), 1)
    leads, order = np.abs(score[first] - score[second]), np.sign(score[first] - score[second])
    return _pearson(leads[leads > 0], (order * (accuracy[first] - accuracy[second]))[leads > 0])


def _numbers(name: str, values: ArrayLike) -> np.ndarray:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise FeatalignError(
            f"{name}: expected numbers, got {type(values).__name__} with others among them; "
            "convert them"
        ) from None
    if array.ndim != 1:
        raise FeatalignError(
            f"{name}: expected an array of one dimension, got shape {array.shape}; pass one value "
            "for each source or pair"
        )
    return array


def _same_length(named: Mapping[str, ArrayLike]) -> list[np.ndarray]:
    arrays = {name: _numbers(name, values) for name, values in named.items()}
    sizes = {name: len(array) for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{name} {size}" for name, size in sizes.items())
        raise FeatalignError(
            f"expected one value for each pair, got {told}; give all of them for the same pairs"
        )
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            bad = int(np.argmin(np.isfinite(array)))
            raise FeatalignError(
                f"{name}: expected finite numbers, got {array[bad]} in row {bad}; drop pairs "
                "without one, and say how many"
            )
    return list(arrays.values())
