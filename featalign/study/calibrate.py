"""A calibration from records, evidence and short runs, and forecasts of left-out pairs."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.forecasting.calibration import Calibration, Fitted, Lines
from featalign.forecasting.fit import (
    Example,
    advantages,
    fit_lines,
    with_advantage,
    with_advantages,
    without_gradients,
)
from featalign.forecasting.forecast import make_forecast
from featalign.forecasting.predictors import CAPABILITIES
from featalign.forecasting.ridge import MIN_GROUPS
from featalign.forecasting.situation import Anchor, Short, Situation
from featalign.jobs.gather_evidence import REFERENCE
from featalign.records.evidence import Capability
from featalign.records.forecast import Forecast, Tier
from featalign.study.findings import of_the_same_rows
from featalign.study.ground_truth import ground_truth
from featalign.study.records import evidence_in, shift_in

Records = Sequence[Mapping[str, Any]]
SHARES = (0.1, 0.2, 0.3, 0.5)  # lengths of short runs, as parts of one training
TRANSFER = ("probe", "full")  # the better of these is what a forecast is of
Fold = Callable[[Example], str]


def examples_of(
    records: Records,
    evidence: Records,
    short: Records = (),
    *,
    arm: str = "best",
    share: float | None = None,
) -> list[Example]:
    """Pairs that were trained, with the evidence on the same rows.

    "best" is the better of probe and full fine-tuning by validation. Where there are several seeds,
    the evidence and the anchor are those of the first. Pairs without a probe, or without tangent
    scores, are left out. `share` asks for the short runs of this part of a training; pairs without
    them are left out too. A record without a "dataset" is of one by the name of its target.
    """
    first: dict[tuple[str, str, int], Mapping[str, Any]] = {}
    for each in sorted(of_the_same_rows(evidence, records), key=lambda each: each["seed"]):
        first.setdefault((each["source"], each["target"], each["size"]), each)
    trained = _Trained.of(records, short)
    wanted = (*TRANSFER, "scratch") if arm == "best" else (arm, "scratch")
    examples = []
    for pair in ground_truth([each for each in records if each["arm"] in wanted], arm=arm):
        place = pair.target, pair.size
        stated = first.get((pair.source, *place))
        if stated is None:
            continue
        known, seed = evidence_in(stated), stated["seed"]
        reference = first.get((REFERENCE, *place))
        if known.capability != "gradients":
            continue
        runs = None if share is None else trained.short(pair.source, *place, seed, share)
        if share is not None and runs is None:
            continue
        examples.append(
            Example(
                source=pair.source,
                target=pair.target,
                dataset=trained.datasets.get(pair.target, pair.target),
                situation=Situation(pair.size, pair.num_classes, shift_in(stated)),
                evidence=known,
                accuracy=pair.accuracy,
                scratch=pair.scratch,
                noise=pair.noise,
                arms=trained.arms(pair.source, *place),
                short=runs,
                anchor=trained.anchor(trained.scratch_of[pair.source, pair.target], *place, seed),
                reference_anchor=trained.anchor(trained.reference, *place, seed),
                reference_evidence=None if reference is None else evidence_in(reference),
                revision=str(stated.get("revision", pair.source)),
            )
        )
    return examples


Key = tuple[str, str, int, int, str]  # source, target, size, seed, arm


@dataclass(frozen=True)
class _Trained:
    """Records and short runs by their keys, with the data set of each target."""

    records: Mapping[Key, Mapping[str, Any]]
    runs: Mapping[Key, Mapping[str, Any]]
    scratch_of: Mapping[tuple[str, str], str]
    datasets: Mapping[str, str]
    of_pair: Mapping[tuple[str, str, int], Mapping[str, list[float]]]

    @classmethod
    def of(cls, records: Records, short: Records) -> "_Trained":
        """Everything that is looked up for an example."""
        of_pair: dict[tuple[str, str, int], dict[str, list[float]]] = defaultdict(dict)
        for each in records:
            if each["arm"] != "scratch":
                by_arm = of_pair[each["source"], each["target"], each["size"]]
                by_arm.setdefault(each["arm"], []).append(each["accuracy"]["value"])
        return cls(
            {_key(each): each for each in records},
            {_key(each): each for each in short},
            {(e["source"], e["target"]): e["scratch"] for e in records if e["arm"] != "scratch"},
            {each["target"]: each.get("dataset") or each["target"] for each in records},
            of_pair,
        )

    def arms(self, source: str, target: str, size: int) -> dict[str, float]:
        """The mean accuracy of each arm over its seeds."""
        by_arm = self.of_pair[source, target, size]
        return {name: float(np.mean(values)) for name, values in sorted(by_arm.items())}

    @property
    def reference(self) -> str:
        """The source that stands for training the reference network from scratch."""
        of_reference = (to for (source, _), to in self.scratch_of.items() if source == REFERENCE)
        return next(of_reference, REFERENCE)

    def anchor(self, scratch: str, target: str, size: int, seed: int) -> Anchor | None:
        """The training from scratch of one seed."""
        found = self.records.get((scratch, target, size, seed, "scratch"))
        return None if found is None else Anchor(found["accuracy"]["value"], found["num_test"])

    def short(self, source: str, target: str, size: int, seed: int, share: float) -> Short | None:
        """The short runs of one seed, up to a share of a training."""
        scratch = self.scratch_of[source, target]
        own = self.runs.get((source, target, size, seed, "full"))
        other = self.runs.get((scratch, target, size, seed, "scratch"))
        return None if own is None or other is None else short_of(own, other, share)


def _key(record: Mapping[str, Any]) -> Key:
    return record["source"], record["target"], record["size"], record["seed"], record["arm"]


def short_of(own: Mapping[str, Any], scratch: Mapping[str, Any], share: float) -> Short:
    """The short runs that two records hold, after a share of one training.

    They have the accuracy at that point, and the lowest loss up to it.
    """
    last = int(np.searchsorted(own["steps"], share * own["whole"] + 1e-9, side="right"))
    ours, others = ((run["accuracies"][:last], _losses(run, last)) for run in (own, scratch))
    return Short.of(share, ours, others)


def _losses(run: Mapping[str, Any], last: int) -> list[float]:
    """The first losses of a record, in which None stands for a value that is not finite."""
    return [math.nan if loss is None else loss for loss in run["losses"][:last]]


def seen_as(examples: Sequence[Example], capability: Capability) -> list[Example]:
    """The examples as sources of another capability would have been seen."""
    if capability == "gradients":
        return list(examples)
    if capability == "features":
        return [without_gradients(each, None) for each in examples]
    return [
        without_gradients(each, each.reference_evidence)
        for each in examples
        if each.reference_evidence is not None
    ]


def calibrate(
    examples: Sequence[Example],
    provenance: Mapping[str, Any],
    with_short: Mapping[float, Sequence[Example]],
) -> Calibration:
    """Lines for every capability, with an anchor, and with short runs of each share.

    There are no lines where there are fewer than three data sets to fit them on.
    """
    plain: Tier = "cache"
    parts: list[tuple[Capability, Tier, float | None, Sequence[Example]]] = []
    for capability in CAPABILITIES:
        seen = seen_as(examples, capability)
        parts.append((capability, plain, None, seen))
        parts.append((capability, "anchor", None, anchored(seen)))
    for share, some in with_short.items():
        parts.append(("gradients", "short", share, some))
    fitted = tuple(
        Fitted(
            capability=capability,
            tier=tier,
            share=share,
            known=known,
            lines=_lines(some, capability, tier, known),
        )
        for known in (False, True)
        for capability, tier, share, some in parts
        if len({each.dataset for each in some}) >= MIN_GROUPS
    )
    return Calibration(fitted=fitted, provenance=provenance, advantages=advantages(examples))


def anchored(examples: Sequence[Example]) -> list[Example]:
    """The examples with a training from scratch.

    A source without gradients is compared with the reference network from scratch, because its own
    architecture cannot be trained.
    """
    found = []
    for each in examples:
        if each.evidence.capability == "gradients":
            found += [each] if each.anchor is not None else []
        elif each.reference_anchor is not None:
            reference = each.reference_anchor
            found.append(replace(each, anchor=reference, scratch=reference.accuracy))
    return found


def _lines(examples: Sequence[Example], capability: Capability, tier: Tier, known: bool) -> Lines:
    return fit_lines(with_advantages(examples) if known else examples, capability, tier)


def calibrate_on(
    records: Records,
    evidence: Records,
    short: Records = (),
    *,
    shares: Sequence[float] = SHARES,
) -> Calibration:
    """A calibration from records of trained arms and evidence, with what it was made from.

    Short runs go into it where there are some. Raises FeatalignError for fewer than three data sets
    with both records and evidence.
    """
    examples = examples_of(records, evidence)
    datasets = sorted({each.dataset for each in examples})
    if len(datasets) < MIN_GROUPS:
        raise FeatalignError(
            f"records, evidence: expected trained pairs with evidence on at least {MIN_GROUPS} "
            f"data sets, got {', '.join(datasets) or 'none'}; train on more"
        )
    with_short = {
        share: examples_of(records, evidence, short, share=share)
        for share in (shares if short else ())
    }
    provenance = {
        "records": len(records),
        "pairs": len(examples),
        "pairs with short runs": {f"{share:g}": len(some) for share, some in with_short.items()},
        "data sets": datasets,
        "targets": sorted({each.target for each in examples}),
        "sources": sorted({each.source for each in examples}),
        "sizes": sorted({each.situation.num_rows for each in examples}),
        "training": sorted(
            {
                f"{record['setting']['steps']} steps, batches of {record['setting']['batch_size']}"
                for record in records
            }
        ),
    }
    return calibrate(examples, provenance, with_short)


def of_dataset(example: Example) -> str:
    """The fold that leaves out whole data sets."""
    return example.dataset


def left_out(
    examples: Sequence[Example], fold: Fold, capability: Capability, tier: Tier = "cache"
) -> Iterator[tuple[Example, Forecast]]:
    """A forecast for every example from a calibration that saw no example of its fold.

    A fold is a data set, or a source.
    """
    for name in dict.fromkeys(map(fold, examples)):
        held = [each for each in examples if fold(each) == name]
        others = [each for each in examples if fold(each) != name]
        yield from forecasts_without(held, others, capability, tier)


def left_out_both(
    examples: Sequence[Example],
    capability: Capability,
    tier: Tier = "cache",
    *,
    family: Fold = lambda each: each.source,
    held: Sequence[Example] | None = None,
) -> Iterator[tuple[Example, Forecast]]:
    """A forecast for every example from others that share neither its data set nor its source.

    `family` says which sources are left out together. `held` are those to forecast, where they are
    not all.
    """
    wanted = examples if held is None else held
    for name, dataset in dict.fromkeys((family(each), each.dataset) for each in wanted):
        some = [each for each in wanted if (family(each), each.dataset) == (name, dataset)]
        others = [each for each in examples if family(each) != name and each.dataset != dataset]
        yield from forecasts_without(some, others, capability, tier)


def forecasts_without(
    held: Iterable[Example],
    others: Sequence[Example],
    capability: Capability,
    tier: Tier = "cache",
) -> Iterator[tuple[Example, Forecast]]:
    """Forecasts of some examples from others; a source that is among these is a known one."""
    known = advantages(others)
    short = others[0].short if tier == "short" else None
    plain: Tier = "cache"
    tiers = dict.fromkeys((plain, tier))  # an anchor is weighed against the forecast without it
    fitted: dict[bool, tuple[Fitted, ...]] = {}
    for each in held:
        advantage = known.get(each.revision)
        is_known = advantage is not None
        if is_known not in fitted:
            fitted[is_known] = tuple(
                Fitted(
                    capability=capability,
                    tier=each_tier,
                    share=short.share if short is not None and each_tier == "short" else None,
                    lines=_lines(others, capability, each_tier, is_known),
                )
                for each_tier in tiers
            )
        seen = with_advantage(each, advantage) if advantage is not None else each
        yield (
            each,
            make_forecast(
                seen.evidence,
                each.situation,
                Calibration(fitted=fitted[is_known]),
                short=each.short if tier == "short" else None,
                anchor=each.anchor if tier == "anchor" else None,
            ),
        )
