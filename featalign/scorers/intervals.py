"""Zeros and intervals of scores.

A zero is the value of a score under permuted labels. An interval says how certain a score is.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from featalign.records.score import ScoreResult, Zero
from featalign.scorers.scorer import (
    NORMAL,
    Answer,
    Influenced,
    RowMean,
    Scorer,
    answer,
    evaluate,
    restricted,
)
from featalign.statistics.collected import Statistics
from featalign.statistics.halves import NUM_PAIRS, halves
from featalign.statistics.label_orders import relabelled
from featalign.statistics.reweighting import NUM_GROUPS, reweighted
from featalign.statistics.rows import Rows
from featalign.statistics.spectrum import Spectrum

STUDENT_GROUPS, STUDENT_PAIRS = (
    1.729132811521367,
    2.015048373333024,
)  # 95% quantiles with 19 and 5 degrees of freedom


def evaluate_with_intervals(
    scorers: Sequence[Scorer], statistics: Statistics
) -> dict[str, ScoreResult]:
    """Results with zeros and 90% intervals, from statistics that were gathered for intervals.

    The zero is the mean and the deviation over 20 orders of the labels. The interval depends on the
    kind of score.

    - A mean over rows (accuracies, posteriors, log likelihoods) gets its interval from the scatter
      of the rows; a share of hits gets Wilson's interval.
    - A function of moments with N > D gets value ± t s, where s is that of the infinitesimal
      jackknife over groups of rows. It is about right for N > 3 D; near N = D it is up to half too
      narrow for scores of fit (LogME, H-score, label overlap, spectral alignment).
    - A function of moments with N <= D gets value ± t s, where s comes from pairs of random halves.

    There is no interval below 40 rows where neither rows nor halves give one, nor where the rows
    show no spread (a value at its bound). It says where the value of another sample of as many rows
    would lie; it does not tell of a bias of the score.
    """
    answers = {scorer.name: answer(scorer, statistics) for scorer in scorers}
    fit = [scorer for scorer in scorers if answers[scorer.name].result.ok]
    zeros = _zeros(fit, statistics)
    open_ended = [
        scorer
        for scorer in fit
        if answers[scorer.name].rows is None and answers[scorer.name].result.interval is None
    ]
    errors = _errors_of_moments(
        [scorer for scorer in open_ended if Rows not in scorer.needs], statistics
    )
    for scorer in open_ended:
        if Rows in scorer.needs:
            errors[scorer.name] = _jackknife(scorer, statistics)
    results = {}
    for scorer in scorers:
        found = answers[scorer.name]
        interval = _interval(found, errors.get(scorer.name))
        missing = [
            what
            for what, absent in (
                ("interval", interval is None),
                ("zero", scorer.uses_labels and scorer.name not in zeros),
            )
            if absent
        ]
        note = "; ".join(
            filter(
                None,
                (
                    found.result.note,
                    f"no {' and no '.join(missing)} can be told"
                    if missing and found.result.ok
                    else "",
                ),
            )
        )
        results[scorer.name] = replace(
            found.result, zero=zeros.get(scorer.name), interval=interval, note=note
        )
    return results


def _zeros(scorers: Sequence[Scorer], statistics: Statistics) -> dict[str, Zero]:
    labelled = [scorer for scorer in scorers if scorer.uses_labels]
    if not labelled:
        return {}
    orders = list(relabelled(statistics))
    zeros = {}
    for scorer in labelled:
        if scorer.permuted is not None:
            values = np.array(scorer.permuted([restricted(scorer, order) for order in orders]))
        else:
            values = np.array([evaluate(scorer, order).value for order in orders])
        if np.isfinite(values).all():
            zeros[scorer.name] = Zero(float(values.mean()), float(values.std(ddof=1)), len(values))
    return zeros


def _errors_of_moments(scorers: Sequence[Scorer], statistics: Statistics) -> dict[str, float]:
    """The standard errors, times Student's t, of scores that are functions of moments."""
    spectral = [scorer for scorer in scorers if Spectrum in scorer.needs]
    by_halves = spectral if spectral and statistics[Spectrum].basis_is_left else []
    errors: dict[str, float] = {}
    if by_halves and statistics.num_rows >= 8:
        needs = frozenset().union(*(scorer.needs for scorer in by_halves))
        pairs = [
            [[evaluate(scorer, half).value for scorer in by_halves] for half in pair]
            for pair in halves(statistics, needs)
        ]
        values = np.array(pairs).reshape(-1, 2, len(by_halves))
        deviations = (
            np.sqrt(((values[:, 0] - values[:, 1]) ** 2).sum(axis=0) / (4 * NUM_PAIRS))
            if pairs
            else np.full(len(by_halves), math.nan)
        )
        errors |= {
            scorer.name: STUDENT_PAIRS * float(error)
            for scorer, error in zip(by_halves, deviations, strict=True)
        }
    others = [scorer for scorer in scorers if scorer not in by_halves]
    changed = reweighted(statistics) if others else None
    if changed is not None:
        values = np.array(
            [[evaluate(scorer, part).value for scorer in others] for part in changed.statistics]
        )
        deviations = changed.scale * values.std(axis=0, ddof=1)
        errors |= {
            scorer.name: STUDENT_GROUPS * float(error)
            for scorer, error in zip(others, deviations, strict=True)
        }
    return errors


def _jackknife(scorer: Scorer, statistics: Statistics) -> float:
    """The standard error, times Student's t, from leaving out each of 20 groups of held rows.

    Statistics of all rows stay as they are.
    """
    statistics = restricted(scorer, statistics)
    count = len(statistics[Rows].labels)
    if count < 2 * NUM_GROUPS:
        return math.nan
    groups = np.random.default_rng([statistics.seed, 2]).permutation(count) % NUM_GROUPS
    parts = (statistics.take(np.flatnonzero(groups != group)) for group in range(NUM_GROUPS))
    values = np.array([evaluate(scorer, part).value for part in parts])
    return STUDENT_GROUPS * float(values.std() * math.sqrt(NUM_GROUPS - 1))


def _interval(found: Answer, error: float | None) -> tuple[float, float] | None:
    value = found.result.value
    if found.result.interval is not None:
        return found.result.interval
    match found.rows:
        case RowMean(values=values, hits=hits) if len(values) > 1:
            if hits:
                return _wilson(value, len(values))
            error = NORMAL * float(values.std(ddof=1)) / math.sqrt(len(values))
        case Influenced() as influenced:
            influences = influenced.influences()
            error = NORMAL * float(influences.std(ddof=1)) / math.sqrt(len(influences))
    if (
        not found.result.ok
        or error is None
        or not math.isfinite(error)
        or error <= 1e-12 * abs(value)
    ):
        return None
    return value - error, value + error


def _wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's interval of a share of hits, which is not empty even at 0 and 1."""
    square = NORMAL**2 / count
    middle, half = (
        (share + square / 2) / (1 + square),
        math.sqrt(share * (1 - share) * square + square**2 / 4) / (1 + square),
    )
    return max(0.0, middle - half), min(1.0, middle + half)
