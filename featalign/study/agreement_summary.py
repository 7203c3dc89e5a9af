"""Agreement over many targets, of each score of a table and of the static list it has to beat."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from featalign.study.accuracies import AccuracyTable, Setting
from featalign.study.agreement import MEASURES, RankingAgreement, ranking_agreement
from featalign.study.bootstrap import BootstrapInterval, bootstrap_interval

STATIC_LIST = "static list"


@dataclass(frozen=True)
class SettingAgreement:
    """Agreement in one setting: a target, and the size and arm where the table tells them."""

    setting: Setting
    agreement: RankingAgreement


@dataclass(frozen=True)
class ScoreSummary:
    """Agreement of one score in every setting, and the mean of each measure over the targets.

    `means` are by the measure's name (MEASURES).
    """

    score: str
    settings: tuple[SettingAgreement, ...]
    means: Mapping[str, BootstrapInterval]


def summarise_agreement(
    table: AccuracyTable, *, level: float = 0.9, num_resamples: int = 1000, seed: int = 0
) -> tuple[ScoreSummary, ...]:
    """Agreement of every score in a table with its accuracies.

    The static list that a score has to beat comes first.

    Sources are compared within a setting. A mean weighs every target alike, however many settings
    it has. It is over the targets where the measure is defined; their number is the interval's
    `num_groups`. The intervals draw targets, and the same ones for all scores that are defined on
    the same targets.
    """
    summaries = []
    for name, scores in [(STATIC_LIST, static_list(table)), *table.scores.items()]:
        settings = [
            SettingAgreement(setting, ranking_agreement(scores[rows], table.accuracies[rows]))
            for setting, rows in table.settings().items()
        ]
        means = {}
        for measure in MEASURES:
            values: dict[str, list[float]] = {}
            for one in settings:
                value = getattr(one.agreement, measure)
                if not math.isnan(value):
                    values.setdefault(one.setting.target, []).append(value)
            of_targets = [_mean(of_target) for of_target in values.values()]
            means[measure] = bootstrap_interval(
                of_targets, _mean, level=level, num_resamples=num_resamples, seed=seed
            )
        summaries.append(ScoreSummary(name, tuple(settings), means))
    return tuple(summaries)


def static_list(table: AccuracyTable) -> np.ndarray:
    """A score for each row of a table (P,) that knows nothing of the row's target.

    It is minus the source's mean rank on the other targets, in the same arm.

    Ranks count from the best and are divided by the number of ranked sources, so that targets with
    fewer sources weigh alike. Sizes of one target are averaged first. The score is NaN for a source
    that was measured nowhere else.
    """
    settings = table.settings()
    # the ranks by arm and source, and then by target, with one for each size
    ranks: dict[tuple[str | None, str], dict[str, list[float]]] = {}
    for setting, rows in settings.items():
        for row, rank in zip(
            rows, (stats.rankdata(-table.accuracies[rows]) - 0.5) / len(rows), strict=True
        ):
            ranks.setdefault((setting.arm, table.sources[row]), {}).setdefault(
                setting.target, []
            ).append(float(rank))
    scores = np.full(len(table.targets), math.nan)
    for setting, rows in settings.items():
        for row in rows:
            others = [
                _mean(values)
                for target, values in ranks[setting.arm, table.sources[row]].items()
                if target != setting.target
            ]
            if others:
                scores[row] = -round(
                    _mean(others), 12
                )  # rounding lets equal mean ranks tie, whatever the order of their sums
    return scores


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
