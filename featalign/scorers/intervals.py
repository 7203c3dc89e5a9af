"""Zeros and intervals of scores.

A zero is what a score is under permuted labels; an interval says how far the score is certain.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import stdtrit

from featalign.records.score import ScoreResult, Zero
from featalign.scorers.scorer import (
    Answer,
    Influenced,
    Judged,
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
from featalign.wilson import NORMAL, wilson

LEVEL_ENDS = 0.95  # an interval of 90% has so much below its upper end
STUDENT_GROUPS, STUDENT_PAIRS = (
    1.729132811521367,
    2.015048373333024,
)  # 95% quantiles with 19 and 5 degrees of freedom


def evaluate_with_intervals(
    scorers: Sequence[Scorer], statistics: Statistics
) -> dict[str, ScoreResult]:
    """Results with zeros and 90% intervals, from statistics that were gathered for intervals.

    The zero is the mean and the deviation over 20 orders of the labels. The interval is

    - of a mean over rows (accuracies, posteriors, log likelihoods): from the rows' scatter,
      Wilson's for shares of hits; with groups from the scatter of the sums over groups, since rows
      of one group err together;
    - of another metric than the default: by the jackknife over blocks of rows (`metrics.bounds`);
    - of a function of moments, N > D: value ± t s, s by the infinitesimal jackknife over groups of
      rows. It is about right for N > 3 D; near N = D it is up to half too narrow for scores of fit
      (LogME, H-score, label overlap, spectral alignment);
    - of a function of moments, N <= D: value ± t s, s from pairs of random halves.

    Groups are heeded only where a score is a mean over rows, R² or another metric. There is no
    interval below 40 rows where neither rows nor halves give one, and where the rows show no
    spread (a value at its bound). It is about the value that another sample of as many rows would
    give, not about a bias of the score.
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
        groups = statistics.labels.groups
        if groups is not None and Rows in scorer.needs:
            groups = restricted(scorer, statistics)[Rows].held.groups
        interval = _interval(found, errors.get(scorer.name), groups)
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
        if scorer.permuted is not None and statistics.metric is None:  # it counts hits
            values = np.array(scorer.permuted([restricted(scorer, order) for order in orders]))
        else:
            values = np.array([evaluate(scorer, order).value for order in orders])
        if np.isfinite(values).all():
            zeros[scorer.name] = Zero(float(values.mean()), float(values.std(ddof=1)), len(values))
    return zeros


def _errors_of_moments(scorers: Sequence[Scorer], statistics: Statistics) -> dict[str, float]:
    """T times the standard error of scores that are functions of moments."""
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
    """T times the standard error, leaving out one of 20 groups of the rows that are held.

    What is of all rows stays.
    """
    statistics = restricted(scorer, statistics)
    count = len(statistics[Rows].labels)
    if count < 2 * NUM_GROUPS:
        return math.nan
    groups = np.random.default_rng([statistics.seed, 2]).permutation(count) % NUM_GROUPS
    parts = (statistics.take(np.flatnonzero(groups != group)) for group in range(NUM_GROUPS))
    values = np.array([evaluate(scorer, part).value for part in parts])
    return STUDENT_GROUPS * float(values.std() * math.sqrt(NUM_GROUPS - 1))


def _interval(
    found: Answer, error: float | None, groups: np.ndarray | None
) -> tuple[float, float] | None:
    value = found.result.value
    if found.result.interval is not None:
        return found.result.interval
    if isinstance(found.rows, Judged):
        return found.rows.bounds() if found.result.ok else None
    match found.rows:
        case RowMean(values=values) if groups is not None and len(groups) == len(values):
            error = _grouped_error(values, groups)
        case RowMean(values=values, hits=hits) if len(values) > 1:
            if hits:
                return wilson(value, len(values))
            error = NORMAL * float(values.std(ddof=1)) / math.sqrt(len(values))
        case Influenced() as influenced:
            influences = influenced.influences()
            if groups is not None and len(groups) == len(influences):
                error = _grouped_error(influences, groups)
            else:
                error = NORMAL * float(influences.std(ddof=1)) / math.sqrt(len(influences))
    if (
        not found.result.ok
        or error is None
        or not math.isfinite(error)
        or error <= 1e-12 * abs(value)
    ):
        return None
    return value - error, value + error


def _grouped_error(values: np.ndarray, groups: np.ndarray) -> float:
    """Student's t times √(G/(G - 1) Σ_g (Σ_{i in g} (x_i - x̄))²) / N, with G - 1 degrees.

    That is the error of a mean of N values whose G groups are independent.
    """
    numbers = np.unique(groups, return_inverse=True)[1].reshape(-1)
    sums = np.bincount(numbers, weights=values - values.mean())
    if len(sums) < 2:
        return math.nan
    spread = math.sqrt(len(sums) / (len(sums) - 1) * float((sums**2).sum())) / len(values)
    return float(stdtrit(len(sums) - 1, LEVEL_ENDS)) * spread
