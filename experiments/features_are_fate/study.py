"""Really trained arms against what overlap, sparsity, rank and distances say of the same pairs."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import spearmanr, wilcoxon

from featalign.distances.registry import DISTANCES
from featalign.sources import catalogue
from featalign.study.agreement import ranking_agreement, sign_agreement
from featalign.study.bootstrap import BootstrapInterval, bootstrap_interval
from featalign.study.findings import without_nan
from featalign.study.ground_truth import Pair, ground_truth

NUM_RESAMPLES = 300
BEFORE_AND_AFTER = (
    "label_overlap",
    "hoyer",
    "active_fraction",
    "treves_rolls",
    "rankme",
    "participation_ratio",
)
HARMFUL = ("zoo/resnet_random_labels", "zoo/resnet_noise", "zoo/resnet_shuffled_pixels")


@dataclass(frozen=True)
class Known:
    """All that is known of a pair.

    That is what was measured in training, of its features, and what the cache says at its number of
    rows.
    """

    pair: Pair
    features: Mapping[str, Any]
    evidence: Mapping[str, Any] | None


Predictor = Callable[[Known], float | None]


def _of_source(name: str, turned: int = 1) -> Predictor:
    return lambda known: turned * known.features["source"][name]


def _less_twin(name: str, turned: int = 1) -> Predictor:
    return lambda known: turned * (known.features["source"][name] - known.features["twin"][name])


def _evidence(name: str, *, less_twin: bool = False) -> Predictor:
    def predict(known: Known) -> float | None:
        groups = ("own", "twins") if less_twin else ("own",)
        found = [(known.evidence or {}).get(group, {}).get(name) for group in groups]
        values = [value for value in found if value is not None]
        return values[0] - sum(values[1:]) if len(values) == len(groups) else None

    return predict


def _distance(kind: str, name: str) -> Predictor:
    return lambda known: -known.features[f"{kind} distances"][name]


def _source_accuracy(known: Known) -> float | None:
    return catalogue.load(known.pair.source).pretraining.accuracy


# group, name, and the predictor, turned so that larger speaks for a gain
PREDICTORS: tuple[tuple[str, str, Predictor], ...] = (
    ("theory", "label overlap", _of_source("label_overlap")),
    ("theory", "label overlap less twin", _less_twin("label_overlap")),
    (
        "theory",
        "label overlap less twin, at n rows",
        _evidence("label_overlap", less_twin=True),
    ),
    (
        "theory",
        "label overlap less measured scratch accuracy",
        lambda known: known.features["source"]["label_overlap"] - known.pair.scratch,
    ),
    ("theory", "sparsity (Hoyer)", _of_source("hoyer")),
    ("theory", "sparsity (Hoyer) less twin", _less_twin("hoyer")),
    ("theory", "few active entries", _of_source("active_fraction", -1)),
    ("theory", "few active entries, less twin", _less_twin("active_fraction", -1)),
    ("theory", "effective rank (RankMe)", _of_source("rankme")),
    ("theory", "effective rank (RankMe) less twin", _less_twin("rankme")),
    ("theory", "participation ratio less twin", _less_twin("participation_ratio")),
    ("controls", "few rows (-log n)", lambda known: -math.log(known.pair.size)),
    ("controls", "low measured scratch accuracy", lambda known: -known.pair.scratch),
    ("controls", "source accuracy", _source_accuracy),
    *(
        ("distances of features", f"- {distance.name}", _distance("feature", distance.name))
        for distance in DISTANCES
    ),
    *(
        ("distances of pixels", f"- {distance.name}", _distance("pixel", distance.name))
        for distance in DISTANCES
    ),
    ("featalign", "linear probe less twin", _evidence("linear_probe", less_twin=True)),
    ("featalign", "tangent gain", _evidence("tangent_gain")),
)


def compare_with_study(
    records: Sequence[Mapping[str, Any]],
    evidence: Sequence[Mapping[str, Any]],
    networks: Mapping[str, Any],
) -> dict[str, Any]:
    """How well each predictor tells the sign of the gain beyond noise, and its size.

    What pretraining did to features; and the pairs themselves.

    AUROC of the sign and Spearman correlation with the gain over all pairs, Kendall tau with the
    gain between sources on one target and size; intervals (90%) draw targets.
    """
    seeds: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
    for each in evidence:
        seeds.setdefault((each["source"], each["target"], each["size"]), []).append(
            each["evidence"]
        )
    known = []
    for pair in ground_truth(records):
        features = networks.get("pairs", {}).get(f"{pair.source} {pair.target}")
        if features is not None:
            known.append(
                Known(pair, features, _mean(seeds.get((pair.source, pair.target, pair.size), [])))
            )
    signs = [each.pair.sign for each in known]
    return {
        "num_pairs": len(known),
        "signs": {"gain": signs.count(1), "loss": signs.count(-1), "neither": signs.count(0)},
        "targets": sorted({each.pair.target for each in known}),
        "sizes": sorted({each.pair.size for each in known}),
        "predictors": [
            {"group": group, "name": name, **_agreement(known, predictor)}
            for group, name, predictor in PREDICTORS
        ]
        if known
        else [],
        "before and after": before_and_after(networks.get("pairs", {})),
        "pairs": [_shown(each) for each in known],
    }


def _mean(found: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]] | None:
    """The mean over seeds of every score, of the source and of its twins, that all of them have."""
    if not found:
        return None
    return {
        group: {
            name: float(np.mean([each[group][name] for each in found]))
            for name in found[0][group]
            if all(name in each[group] for each in found)
        }
        for group in ("own", "twins")
    }


def _agreement(known: Sequence[Known], predictor: Predictor) -> dict[str, Any]:
    values = np.array([math.nan if (value := predictor(each)) is None else value for each in known])
    there = np.flatnonzero(~np.isnan(values)).tolist()
    gains, noises = (
        np.array([getattr(each.pair, name) for each in known]) for name in ("gain", "noise")
    )
    groups = [
        [row for row in there if known[row].pair.target == target]
        for target in sorted({known[row].pair.target for row in there})
    ]

    def auroc(chosen: Sequence[list[int]]) -> float:
        rows = [row for group in chosen for row in group]
        return sign_agreement(values[rows], gains[rows], noises[rows]).auroc

    def correlation(chosen: Sequence[list[int]]) -> float:
        rows = [row for group in chosen for row in group]
        return (
            float(np.asarray(spearmanr(values[rows], gains[rows]))[0])
            if np.ptp(values[rows]) > 0 and np.ptp(gains[rows]) > 0
            else math.nan
        )

    within: dict[str, list[float]] = {}
    for target, size in sorted({(known[row].pair.target, known[row].pair.size) for row in there}):
        rows = [
            row for row in there if (known[row].pair.target, known[row].pair.size) == (target, size)
        ]
        tau = ranking_agreement(values[rows], gains[rows]).kendall_tau
        if not math.isnan(tau):
            within.setdefault(target, []).append(tau)
    taus = [float(np.mean(each)) for each in within.values()]
    return {
        "pairs": len(there),
        "auroc": _interval(bootstrap_interval(groups, auroc, num_resamples=NUM_RESAMPLES)),
        "spearman": _interval(bootstrap_interval(groups, correlation, num_resamples=NUM_RESAMPLES)),
        "kendall within": _interval(
            bootstrap_interval(taus, lambda each: float(np.mean(each)), num_resamples=NUM_RESAMPLES)
        ),
    }


def _interval(interval: BootstrapInterval) -> list[float | None]:
    return [without_nan(float(value)) for value in (interval.value, interval.low, interval.high)]


def before_and_after(pairs: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Means over pairs of what features are with fresh and with pretrained weights.

    It also says in how many pairs it rose. Honest and harmful sources are apart.
    """
    found = {}
    for label, harmful in (("honest sources", False), ("harmful sources", True)):
        chosen = [each for name, each in pairs.items() if (name.split()[0] in HARMFUL) == harmful]
        found[label] = {"pairs": len(chosen)} | {
            name: _change(name, chosen) for name in BEFORE_AND_AFTER if chosen
        }
    return found


def _change(name: str, chosen: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    before, after = (
        np.array([each[who][name] for each in chosen], dtype=np.float64)
        for who in ("twin", "source")
    )
    p_value = (
        float(np.asarray(wilcoxon(after, before))[1])
        if (after != before).any() and len(chosen) > 5
        else math.nan
    )
    return {
        "before": before.mean(),
        "after": after.mean(),
        "share that rose": (after > before).mean(),
        "p": p_value,
    }


def _shown(known: Known) -> dict[str, Any]:
    """What the figures need of a pair.

    Efficiency is the share of the error from scratch that transfer takes off.
    """
    pair = known.pair
    return {
        "source": pair.source.removeprefix("zoo/"),
        "target": pair.target,
        "n": pair.size,
        "gain": pair.gain,
        "sign": pair.sign,
        "scratch": pair.scratch,
        "efficiency": pair.gain / (1 - pair.scratch) if pair.scratch < 1 else 0.0,
        "overlap": known.features["source"]["label_overlap"],
        "overlap of twin": known.features["twin"]["label_overlap"],
    }
