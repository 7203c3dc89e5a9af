"""The findings of a study: counts, gains, noise, and how well scores agree with measurements."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.records.evidence import Evidence
from featalign.records.shown import Shown
from featalign.scorers.registry import SCORERS
from featalign.sources import catalogue
from featalign.study.accuracies import Reliability
from featalign.study.agreement import sign_agreement
from featalign.study.agreement_summary import STATIC_LIST, ScoreSummary, summarise_agreement
from featalign.study.bootstrap import BootstrapInterval, bootstrap_interval
from featalign.study.ground_truth import Pair, accuracy_table, ground_truth, reliabilities
from featalign.study.records import evidence_in

LESS_TWIN = "less twin"
SMALLER_IS_BETTER = frozenset(scorer.name for scorer in SCORERS if scorer.larger_is_better is False)
ELSEWHERE = "gain elsewhere"
BLIND = ("source accuracy", "log parameters", ELSEWHERE)
BASELINES = (STATIC_LIST, *BLIND)  # they know nothing of the target


@dataclass(frozen=True)
class Place:
    """One target at one size.

    It has the mean accuracies of the arms and the mean gain over scratch. `signs` counts the pairs
    with a gain, with a loss, and with neither.
    """

    target: str
    size: int
    num_sources: int
    arms: Mapping[str, float]
    scratch: float
    gain: float
    signs: tuple[int, int, int]
    reliability: Reliability | None


@dataclass(frozen=True)
class Finding:
    """How one score agrees with accuracies and with the sign of the gain."""

    score: str
    summary: ScoreSummary
    auroc: BootstrapInterval


@dataclass(frozen=True)
class Findings(Shown):
    """All findings of records and evidence."""

    num_records: int
    arms: Mapping[str, int]
    arm: str
    pairs: tuple[Pair, ...]
    places: tuple[Place, ...]
    scores: tuple[Finding, ...]

    @property
    def signs(self) -> tuple[int, int, int]:
        """The numbers of pairs with a gain, with a loss, and with neither."""
        return _signs(self.pairs)

    def catches_up(self, target: str) -> float:
        """The number of rows at which scratch catches up with the mean source on a target.

        There the mean gain, interpolated linearly in log n, is 0. It is NaN where that is not
        between the trained sizes.
        """
        here = sorted((place.size, place.gain) for place in self.places if place.target == target)
        for (low, above), (high, below) in pairwise(here):
            if above > 0 >= below:
                return float(np.exp(np.interp(0, [below, above], [math.log(high), math.log(low)])))
        return math.nan

    def to_record(self) -> dict[str, Any]:
        """The findings as plain data."""
        return {
            "num_records": self.num_records,
            "arms": dict(self.arms),
            "arm": self.arm,
            "signs": dict(zip(("gain", "loss", "neither"), self.signs, strict=True)),
            "pairs": [without_nan(asdict(pair) | {"sign": pair.sign}) for pair in self.pairs],
            "places": [without_nan(asdict(place)) for place in self.places],
            "scores": [
                {
                    "score": each.score,
                    "auroc": without_nan(asdict(each.auroc)),
                    **{
                        name: without_nan(asdict(mean)) for name, mean in each.summary.means.items()
                    },
                }
                for each in self.scores
            ],
        }


def collect_findings(
    records: Sequence[Mapping[str, Any]],
    evidence: Sequence[Mapping[str, Any]] = (),
    *,
    arm: str = "best",
) -> Findings:
    """Findings of records, and of evidence where there is some.

    The evidence is on the same parts of targets, and averaged over the seeds. Raises FeatalignError
    where nothing can be compared.
    """
    if not records:
        raise FeatalignError(
            "records: expected at least one, got none; train some with `featalign validate run`"
        )
    pairs = ground_truth(records, arm=arm)
    trusted = reliabilities(pairs)
    places = []
    for target, size in sorted({(pair.target, pair.size) for pair in pairs}):
        here = [pair for pair in pairs if (pair.target, pair.size) == (target, size)]
        names = sorted({name for pair in here for name in pair.arms})
        arms = {
            name: float(np.mean([pair.arms[name] for pair in here if name in pair.arms]))
            for name in names
        }
        scratch, gain = (
            float(np.mean([getattr(pair, name) for pair in here])) for name in ("scratch", "gain")
        )
        places.append(
            Place(
                target,
                size,
                len(here),
                arms,
                scratch,
                gain,
                _signs(here),
                trusted.get((target, size)),
            )
        )
    counts = Counter(record["arm"] for record in records)
    return Findings(
        len(records),
        dict(sorted(counts.items())),
        arm,
        pairs,
        tuple(places),
        _agreement(pairs, of_the_same_rows(evidence, records)),
    )


def of_the_same_rows(
    evidence: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Evidence of the weights and the rows that records were trained from.

    Evidence that names neither is taken as it is.
    """
    trained = {
        (each["source"], each["target"], each["size"], each["seed"]): each
        for each in records
        if each["arm"] != "scratch"
    }
    kept = []
    for each in evidence:
        if not isinstance(each.get("evidence"), Mapping):
            told = ", ".join(list(each)[:4])
            raise FeatalignError(
                "evidence: expected records of `featalign validate evidence`, got some with "
                f"{told}, ... and no evidence; give that file"
            )
        record = trained.get((each["source"], each["target"], each["size"], each["seed"]), {})
        if all(
            name not in each or name not in record or each[name] == record[name]
            for name in ("revision", "fingerprint")
        ):
            kept.append(each)
    return kept


def _agreement(pairs: Sequence[Pair], evidence: Sequence[Mapping[str, Any]]) -> tuple[Finding, ...]:
    seeds: dict[tuple[str, str, int], list[Evidence]] = {}
    for each in evidence:
        place = each["source"], each["target"], each["size"]
        seeds.setdefault(place, []).append(evidence_in(each))
    known = [
        pair for pair in pairs if not evidence or (pair.source, pair.target, pair.size) in seeds
    ]
    scores = {
        name: {key: _mean([score(each, name) for each in found]) for key, found in seeds.items()}
        for name in score_names(evidence)
    }
    scores |= {name: {} for name in BLIND}
    for pair in known:
        for name, value in zip(
            BLIND, (*of_source(pair.source), _gain_elsewhere(pair, pairs)), strict=True
        ):
            scores[name][pair.source, pair.target, pair.size] = value
    table = accuracy_table(known, scores)
    findings = []
    for summary in summarise_agreement(table) if known else ():
        values = table.scores.get(summary.score)
        findings.append(
            Finding(
                summary.score, summary, _auroc(known, values) if values is not None else _nothing()
            )
        )
    return tuple(findings)


def score_names(evidence: Sequence[Mapping[str, Any]]) -> list[str]:
    """The names of the numbers that evidence is compared by.

    They are all scores of the source, and its differences to the random twins where these have the
    score.
    """
    known = [evidence_in(each) for each in evidence]
    own = {name for each in known for name in each.own}
    twins = {name for each in known for name in each.twins}
    return sorted(own) + sorted(f"{name} {LESS_TWIN}" for name in own & twins)


def score(evidence: Evidence, name: str) -> float | None:
    """A number of the evidence, turned so that larger is better, or None where there is none."""
    plain = name.removesuffix(f" {LESS_TWIN}")
    found = evidence.own.get(plain, math.nan) if name == plain else evidence.difference(plain)
    value = None if math.isnan(found) else found
    return -value if value is not None and plain in SMALLER_IS_BETTER else value


def _auroc(pairs: Sequence[Pair], values: np.ndarray) -> BootstrapInterval:
    """The AUROC of the sign beyond noise over all pairs; its interval draws targets."""
    groups: dict[str, list[int]] = {}
    for place, pair in enumerate(pairs):
        groups.setdefault(pair.target, []).append(place)

    def statistic(chosen: Sequence[list[int]]) -> float:
        rows = [place for group in chosen for place in group]
        return sign_agreement(
            values[rows], [pairs[row].gain for row in rows], [pairs[row].noise for row in rows]
        ).auroc

    return bootstrap_interval(list(groups.values()), statistic, num_resamples=200)


def _nothing() -> BootstrapInterval:
    return BootstrapInterval(math.nan, math.nan, math.nan, 0.9, 0)


def of_source(name: str) -> tuple[float | None, float | None]:
    """The accuracy and the log number of parameters of a source, which need no target."""
    try:
        known = catalogue.load(name).pretraining
    except FeatalignError:
        return None, None
    return known.accuracy, math.log(known.num_parameters) if known.num_parameters else None


def _gain_elsewhere(pair: Pair, pairs: Sequence[Pair]) -> float | None:
    """The mean gain of the pair's source at the same size on the other targets."""
    return _mean(
        [
            other.gain
            for other in pairs
            if (other.source, other.size) == (pair.source, pair.size)
            and other.target != pair.target
        ]
    )


def _signs(pairs: Sequence[Pair]) -> tuple[int, int, int]:
    found = Counter(pair.sign for pair in pairs)
    return found[1], found[-1], found[0]


def _mean(values: Sequence[float | None]) -> float | None:
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def without_nan(value: Any) -> Any:
    """Plain data with None in place of NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {name: without_nan(each) for name, each in value.items()}
    if isinstance(value, float) and math.isnan(value):
        return None
    return list(value) if isinstance(value, tuple) else value
