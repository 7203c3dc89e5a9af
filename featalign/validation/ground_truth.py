"""From records to what was measured: accuracies of both arms, the gain between them, and how much of it is chance."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student

from featalign.errors import FeatalignError
from featalign.validation.accuracies import AccuracyTable, Reliability, reliability

BEST = "best"  # for each seed the arm with the best validation accuracy
LEVEL = 0.9


@dataclass(frozen=True)
class Pair:
    """A source on a part of a target: mean accuracies over the seeds, the gain of the transfer arm over scratch, and the half width of its interval.

    `noise` is of the scatter over seeds, which is pooled over the sources on one target and size (the test rows are the same for both arms and all
    seeds); where nothing was repeated, of the drawing of the test rows. A gain within it is no sign.
    """

    source: str
    target: str
    size: int
    num_classes: int
    seeds: tuple[int, ...]
    accuracy: float
    scratch: float
    gain: float
    noise: float
    arms: Mapping[str, float]

    @property
    def sign(self) -> int:
        """1 for a gain and -1 for a loss beyond noise, 0 for neither."""
        return 0 if abs(self.gain) <= self.noise else int(math.copysign(1, self.gain))


def ground_truth(records: Sequence[Mapping[str, Any]], *, arm: str = BEST) -> tuple[Pair, ...]:
    """All pairs of which the transfer arm and scratch are there for at least one seed, by target, size and source.

    `arm` is an arm, or "best": for each seed, of the arms of that seed other than scratch, the one with the best validation accuracy (ties by
    validation loss), as a user would choose. Raises FeatalignError where there is no pair.
    """
    runs: dict[tuple[str, str, int], dict[int, dict[str, Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(dict))
    for record in records:
        runs[record["source"], record["target"], record["size"]][record["seed"]][record["arm"]] = record
    found: dict[tuple[str, int], list[tuple[str, dict[int, tuple[float, float]], Mapping[str, Any]]]] = defaultdict(list)
    arms: dict[tuple[str, str, int], dict[str, list[float]]] = {}
    for (source, target, size), seeds in runs.items():
        both = {}
        for seed, by_arm in seeds.items():
            transfers = {name: each for name, each in by_arm.items() if name != "scratch"}
            chosen = _chosen(transfers) if arm == BEST else transfers.get(arm)
            if chosen is None:
                continue
            scratch = runs.get((chosen["scratch"], target, size), {}).get(seed, {}).get("scratch")
            if scratch is not None:
                both[seed] = chosen["accuracy"]["value"], scratch["accuracy"]["value"]
        if both:
            example = next(iter(next(iter(seeds.values())).values()))
            found[target, size].append((source, both, example))
            names = {name for by_arm in seeds.values() for name in by_arm if name != "scratch"}
            arms[source, target, size] = {
                name: [seeds[seed][name]["accuracy"]["value"] for seed in both if name in seeds[seed]] for name in sorted(names)
            }
    if not found:
        raise FeatalignError(f"records: expected the arm {arm!r} and 'scratch' of at least one source on one target and size, found none; train both")
    pairs = []
    for (target, size), group in sorted(found.items()):
        spread, freedom = _spread([[accuracy - scratch for accuracy, scratch in both.values()] for _, both, _ in group])
        quantile = float(student.ppf((1 + LEVEL) / 2, freedom)) if freedom else math.nan
        for source, both, example in sorted(group, key=lambda item: item[0]):
            accuracy, scratch = (float(np.mean(values)) for values in zip(*both.values(), strict=True))
            noise = quantile * spread / math.sqrt(len(both)) if freedom else _sampling(accuracy, scratch, example["num_test"])
            means = {name: float(np.mean(values)) for name, values in arms[source, target, size].items() if values}
            pairs.append(Pair(source, target, size, example["num_classes"], tuple(sorted(both)), accuracy, scratch, accuracy - scratch, noise, means))
    return tuple(pairs)


def reliabilities(records: Sequence[Mapping[str, Any]], *, arm: str) -> dict[tuple[str, int], Reliability]:
    """How far the mean accuracies of an arm can be trusted, by target and size. What a seed does to all sources alike is taken off first."""
    groups: dict[tuple[str, int], dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
    for record in records:
        if record["arm"] == arm:
            groups[record["target"], record["size"]][record["source"]][record["seed"]] = record["accuracy"]["value"]
    found = {}
    for place, sources in sorted(groups.items()):
        seeds = sorted({seed for each in sources.values() for seed in each})
        complete = [[each[seed] for seed in seeds] for each in sources.values() if set(each) == set(seeds)]
        if len(complete) > 1:
            runs = np.array(complete)
            found[place] = reliability(runs - runs.mean(axis=0))
    return found


def accuracy_table(pairs: Sequence[Pair], scores: Mapping[str, Mapping[tuple[str, str, int], float | None]]) -> AccuracyTable:
    """Pairs as a table of accuracies with scores by name, each by (source, target, size)."""
    keys = [(pair.source, pair.target, pair.size) for pair in pairs]
    columns = {name: np.array([math.nan if (value := values.get(key)) is None else value for key in keys]) for name, values in scores.items()}
    accuracies, sizes = np.array([pair.accuracy for pair in pairs]), np.array([pair.size for pair in pairs], dtype=np.float64)
    return AccuracyTable(tuple(pair.source for pair in pairs), tuple(pair.target for pair in pairs), accuracies, columns, sizes)


def _chosen(arms: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    def validated(record: Mapping[str, Any]) -> tuple[float, float]:
        run = next(run for run in record["runs"] if run["learning_rate"] == record["setting"]["learning_rate"])
        return -run["validation_accuracy"], run["validation_loss"]

    return min(arms.values(), key=validated) if arms else None


def _sampling(accuracy: float, scratch: float, num_test: int) -> float:
    """Half width of the gain's interval from the drawing of so many test rows, as if the arms erred independently."""
    return float(norm.ppf((1 + LEVEL) / 2)) * math.sqrt((accuracy * (1 - accuracy) + scratch * (1 - scratch)) / num_test)


def _spread(gains: Sequence[Sequence[float]]) -> tuple[float, int]:
    """Deviation over the seeds, pooled over sources, and its degrees of freedom; NaN where nothing was repeated."""
    freedom = sum(len(each) - 1 for each in gains)
    squares = sum(float(((np.array(each) - np.mean(each)) ** 2).sum()) for each in gains)
    return (math.sqrt(squares / freedom), freedom) if freedom else (math.nan, 0)
