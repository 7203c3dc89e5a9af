"""What was measured, from records: accuracies of both arms, their gain, and its noise."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from featalign.errors import FeatalignError
from featalign.study.accuracies import AccuracyTable, Reliability, reliability
from featalign.training.measures import unpack_hits

BEST = "best"  # it stands for the arm with the best validation accuracy, for each seed
LEVEL = 0.9


@dataclass(frozen=True)
class Pair:
    """A source on a part of a target: mean accuracies over the seeds, and the gain.

    The gain is that of the transfer arm over scratch, with the half width of its interval.

    `noise` is that half width: t √(v_seeds + v_rows), with Welch and Satterthwaite's degrees of
    freedom. v_seeds is the scatter over seeds, pooled over the sources on one target and size.
    v_rows comes from the drawing of the test rows, on which both arms are measured row by row. A
    gain within its noise counts as neither gain nor loss.
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
    accuracies: tuple[float, ...] = ()  # those of the transfer arm, one for each seed

    @property
    def sign(self) -> int:
        """The sign beyond noise: 1 for a gain, -1 for a loss, and 0 for neither."""
        return 0 if abs(self.gain) <= self.noise else int(math.copysign(1, self.gain))


@dataclass(frozen=True, eq=False)
class _Measured:
    """The runs of one pair by seed, with the accuracies and the hits of both arms.

    `differences` are None where records kept no hits.
    """

    source: str
    scratch_of: str
    num_classes: int
    num_test: int
    accuracies: Mapping[int, tuple[float, float]]
    # (N,) the hits with transfer less those from scratch, averaged over seeds
    differences: np.ndarray | None
    arms: Mapping[str, float]

    @property
    def gains(self) -> np.ndarray:
        return np.array([accuracy - scratch for accuracy, scratch in self.accuracies.values()])


def ground_truth(records: Sequence[Mapping[str, Any]], *, arm: str = BEST) -> tuple[Pair, ...]:
    """All pairs that have the transfer arm and scratch for at least one seed.

    They are ordered by target, size and source. `arm` is an arm, or "best". The latter stands, for
    each seed, for the arm other than scratch with the best validation accuracy (among equals with
    the least validation loss), which a user would choose. With "best", a seed that lacks one of the
    arms that others on its target and size have is left out, and so is a target and size where only
    probes were trained. Raises FeatalignError where there is no pair.
    """
    trained: dict[tuple[str, int], dict[str, dict[int, dict[str, Mapping[str, Any]]]]] = (
        defaultdict(lambda: defaultdict(lambda: defaultdict(dict)))
    )
    for record in records:
        trained[record["target"], record["size"]][record["source"]][record["seed"]][
            record["arm"]
        ] = record
    pairs = []
    for (target, size), sources in sorted(trained.items()):
        group = [
            found
            for source in sorted(sources)
            if (found := _measured(source, sources, arm)) is not None
        ]
        noises = _noises(group)
        for each, noise in zip(group, noises, strict=True):
            accuracy, scratch = (
                float(np.mean(values)) for values in zip(*each.accuracies.values(), strict=True)
            )
            seeds = tuple(sorted(each.accuracies))
            runs = tuple(each.accuracies[seed][0] for seed in seeds)
            pairs.append(
                Pair(
                    each.source,
                    target,
                    size,
                    each.num_classes,
                    seeds,
                    accuracy,
                    scratch,
                    accuracy - scratch,
                    noise,
                    each.arms,
                    runs,
                )
            )
    if not pairs:
        known = ", ".join(sorted({record["arm"] for record in records} - {"scratch"})) or "none"
        raise FeatalignError(
            f"records: expected the arm {arm!r} and 'scratch' of at least one source on one target "
            f"and size, found none (arms there: {known}); "
            "train both, or name another arm"
        )
    return tuple(pairs)


def _measured(
    source: str, sources: Mapping[str, Mapping[int, Mapping[str, Mapping[str, Any]]]], arm: str
) -> _Measured | None:
    """What was measured of a source, among all sources on one target and size."""
    complete = {
        name for seeds in sources.values() for by_arm in seeds.values() for name in by_arm
    } - {"scratch"}
    if arm == BEST and complete == {"probe"}:
        return None  # a probe alone is not the best of anything
    accuracies, differences, arms = {}, [], defaultdict(list)
    example: Mapping[str, Any] = {}
    for seed, by_arm in sources[source].items():
        transfers = {name: each for name, each in by_arm.items() if name != "scratch"}
        chosen = (
            transfers.get(arm)
            if arm != BEST
            else _chosen(transfers)
            if set(transfers) == complete
            else None
        )
        if chosen is None:
            continue
        scratch = sources.get(chosen["scratch"], {}).get(seed, {}).get("scratch")
        if (
            scratch is None
            or scratch.get("fingerprint") != chosen.get("fingerprint")
            or scratch["num_test"] != chosen["num_test"]
        ):
            continue
        accuracies[seed], example = (
            (chosen["accuracy"]["value"], scratch["accuracy"]["value"]),
            chosen,
        )
        hits = [
            unpack_hits(each["test_hits"], each["num_test"])
            for each in (chosen, scratch)
            if "test_hits" in each
        ]
        differences.append(hits[0].astype(np.float64) - hits[1] if len(hits) == 2 else None)
        for name, each in transfers.items():
            arms[name].append(each["accuracy"]["value"])
    if not accuracies:
        return None
    kept = [each for each in differences if each is not None]
    rows = np.mean(kept, axis=0) if len(kept) == len(differences) else None
    means = {name: float(np.mean(values)) for name, values in sorted(arms.items())}
    return _Measured(
        source,
        example["scratch"],
        example["num_classes"],
        example["num_test"],
        accuracies,
        rows,
        means,
    )


def _noises(group: Sequence[_Measured]) -> list[float]:
    """Half widths of the gains on one target and size.

    Sources of one architecture share their trainings from scratch. The scatter over seeds therefore
    has two parts: what a seed does to all of these together, and what it does to each alone.
    """
    families: dict[str, list[np.ndarray]] = defaultdict(list)
    most = max((len(each.gains) for each in group), default=0)
    for each in group:  # sources with fewer seeds get the scatter of the others
        if len(each.gains) == most > 1:
            families[each.scratch_of].append(each.gains - each.gains.mean())
    stacks = [np.stack(each) for each in families.values()]
    shared_freedom = sum(stack.shape[1] - 1 for stack in stacks)
    own_freedom = sum((len(stack) - 1) * (stack.shape[1] - 1) for stack in stacks)
    shared = (
        sum(float((stack.mean(axis=0) ** 2).sum()) for stack in stacks) / shared_freedom
        if shared_freedom
        else 0.0
    )
    own = (
        sum(float(((stack - stack.mean(axis=0)) ** 2).sum()) for stack in stacks) / own_freedom
        if own_freedom
        else 0.0
    )
    noises = []
    for each in group:
        seeds, alike = len(each.gains), len(families.get(each.scratch_of, ())) or 1
        parts = [(shared / seeds, shared_freedom), (own * (1 - 1 / alike) / seeds, own_freedom)]
        if each.differences is not None:
            parts.append((float(each.differences.var(ddof=1)) / each.num_test, each.num_test - 1))
        elif not shared_freedom:
            parts.append((_sampling(each), each.num_test - 1))
        parts = [(variance, freedom) for variance, freedom in parts if freedom and variance > 0]
        total = sum(variance for variance, _ in parts)
        freedom = (
            total**2 / sum(variance**2 / count for variance, count in parts) if parts else math.inf
        )
        noises.append(float(stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(total) if parts else 0.0)
    return noises


def _sampling(each: _Measured) -> float:
    """The variance of a gain from the drawing of the test rows.

    It is computed as if the arms erred independently.
    """
    return (
        sum(
            float(np.mean(values)) * (1 - float(np.mean(values)))
            for values in zip(*each.accuracies.values(), strict=True)
        )
        / each.num_test
    )


def reliabilities(pairs: Sequence[Pair]) -> dict[tuple[str, int], Reliability]:
    """How far the mean accuracies of pairs can be trusted, by target and size.

    What a seed does to all sources alike is taken off first.
    """
    groups: dict[tuple[str, int], list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[pair.target, pair.size].append(pair)
    found = {}
    for place, group in sorted(groups.items()):
        seeds = max((pair.seeds for pair in group), key=len)
        complete = [pair.accuracies for pair in group if pair.seeds == seeds]
        if len(complete) > 1:
            found[place] = reliability(np.array(complete), seeds_shift_all=True)
    return found


def accuracy_table(
    pairs: Sequence[Pair], scores: Mapping[str, Mapping[tuple[str, str, int], float | None]]
) -> AccuracyTable:
    """Pairs as a table of accuracies with scores by name, each by (source, target, size)."""
    keys = [(pair.source, pair.target, pair.size) for pair in pairs]
    columns = {
        name: np.array([math.nan if (value := values.get(key)) is None else value for key in keys])
        for name, values in scores.items()
    }
    accuracies, sizes = (
        np.array([pair.accuracy for pair in pairs]),
        np.array([pair.size for pair in pairs], dtype=np.float64),
    )
    return AccuracyTable(
        tuple(pair.source for pair in pairs),
        tuple(pair.target for pair in pairs),
        accuracies,
        columns,
        sizes,
    )


def _chosen(arms: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    def validated(record: Mapping[str, Any]) -> tuple[float, float]:
        setting = record["setting"]

        def of(run):
            return abs(run["learning_rate"] - setting["learning_rate"]) + abs(
                run.get("head_penalty", 0) - setting.get("head_penalty", 0)
            )

        run = min(record["runs"], key=of)
        return -run["validation_accuracy"], math.inf if run["validation_loss"] is None else run[
            "validation_loss"
        ]

    return min(arms.values(), key=validated) if arms else None
