"""Scores of features: one pass gathers the statistics, and then every scorer reads them."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, islice

import numpy as np

from featalign.arrays import Labels
from featalign.errors import FeatalignError
from featalign.jobs.compiled import compiled_code_kept
from featalign.metrics import default_metric, metric_for
from featalign.records.score import ScoreResult
from featalign.scorers.intervals import evaluate_with_intervals
from featalign.scorers.scorer import Scorer, evaluate
from featalign.statistics.collected import Statistics
from featalign.statistics.folds import check_enough_groups
from featalign.statistics.gather import gather
from featalign.statistics.precision import double_precision
from featalign.statistics.statistic import Statistic
from featalign.statistics.tangent import Tangent
from featalign.statistics.threads import side_by_side, threads_for


def collect(
    features: np.ndarray | Iterator[np.ndarray],
    labels: Labels,
    scorers: tuple[Scorer, ...],
    *,
    seed: int = 0,
    given: Iterable[Statistic] = (),
    intervals: bool = False,
    metric: str | None = None,
) -> Statistics:
    """The statistics that scorers need, from one pass over the features.

    `given` are statistics that do not come from the features: source outputs, draws of gradients.
    `metric` judges the predictions of probes in place of the default of the task. Raises
    FeatalignError where no label varies, for fewer groups than folds, and for a metric that is not
    defined for the task.
    """
    judge = metric_for(labels.task, metric)
    check_enough_groups(labels)
    if labels.task == "multilabel":  # nobody can err on a label that all rows or none have
        varying = np.ptp(labels.values, axis=0) > 0
        if not varying.any():
            raise FeatalignError(
                "labels: expected a label that some rows have and others have not, there is none; "
                "add rows"
            )
        labels = replace(labels, values=labels.values[:, varying])
        given = [
            replace(each, labels=replace(each.labels, values=each.labels.values[:, varying]))
            if isinstance(each, Tangent)
            else each
            for each in given
        ]
    needs = frozenset().union(*(scorer.needs for scorer in scorers))
    blocks = iter([features] if isinstance(features, np.ndarray) else features)
    first = list(islice(blocks, 1))
    width = first[0].shape[-1] if first else 0
    with compiled_code_kept, threads_for(len(labels.values), width):
        found = gather(
            chain(first, blocks),
            labels,
            needs,
            seed=seed,
            given=given,
            for_intervals=intervals,
        )
    return found if judge.name == default_metric(labels.task) else replace(found, metric=judge)


def scored(
    statistics: Statistics, scorers: tuple[Scorer, ...], *, intervals: bool = False
) -> dict[str, ScoreResult]:
    """Scores by name; with `intervals` also the zero and the interval of each.

    Scorers of small embeddings are computed side by side, because none of them has work for several
    threads.
    """
    size = statistics.num_rows, statistics.num_features

    def one(scorer: Scorer) -> tuple[str, ScoreResult]:
        with double_precision():  # each thread has this setting for itself
            return scorer.name, evaluate(scorer, statistics)

    with compiled_code_kept, threads_for(*size):
        if intervals:
            with double_precision():
                return evaluate_with_intervals(scorers, statistics)
        return dict(side_by_side(one, scorers, *size))
