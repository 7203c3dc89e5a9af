"""A calibration from records, evidence and short runs, and forecasts of left-out pairs."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.forecasting.calibration import MIN_GROUPS, Calibration, Fitted, Lines
from featalign.forecasting.fit import (
    Example,
    advantages,
    fit_lines,
    with_advantage,
    with_advantages,
    with_residuals_of,
    without_gradients,
)
from featalign.forecasting.forecast import make_forecast
from featalign.forecasting.predictors import CAPABILITIES, Short, Situation
from featalign.jobs.gather_evidence import REFERENCE
from featalign.records.evidence import Capability
from featalign.records.forecast import Forecast
from featalign.study.findings import of_the_same_rows
from featalign.study.ground_truth import ground_truth
from featalign.study.records import evidence_in

Records = Sequence[Mapping[str, Any]]
SHARES = (0.1, 0.2, 0.3, 0.5)  # lengths of short runs, as parts of one training
WIDENED = ("gain", "scratch", "accuracy", "order")
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

    Where there are several seeds, the evidence is that of the first. Pairs without a probe, or
    without tangent scores, are left out. `share` asks for the short runs of this part of a
    training; pairs without them are left out too.
    """
    first: dict[tuple[str, str, int], Mapping[str, Any]] = {}
    for each in sorted(of_the_same_rows(evidence, records), key=lambda each: each["seed"]):
        first.setdefault((each["source"], each["target"], each["size"]), each)
    known_of = {key: evidence_in(each) for key, each in first.items()}
    references = {
        (target, size): known.twins.get("tangent_probe")
        for (source, target, size), known in known_of.items()
        if source == REFERENCE
    }
    scratch_of = {
        (each["source"], each["target"]): each["scratch"]
        for each in records
        if each["arm"] != "scratch"
    }
    runs = {
        (each["source"], each["target"], each["size"], each["seed"], each["arm"]): each
        for each in short
    }
    examples = []
    for pair in ground_truth(records, arm=arm):
        key = pair.source, pair.target, pair.size
        known = known_of.get(key)
        if known is None or known.capability != "gradients":
            continue
        known = replace(known, reference=references.get((pair.target, pair.size)))
        found = None
        if share is not None:
            where = pair.target, pair.size, first[key]["seed"]
            own = runs.get((pair.source, *where, "full"))
            other = runs.get((scratch_of[pair.source, pair.target], *where, "scratch"))
            if own is None or other is None:
                continue
            found = short_of(own, other, share)
        situation = Situation(pair.size, pair.num_classes)
        revision = str(first[key].get("revision", pair.source))
        examples.append(
            Example(
                pair.source,
                pair.target,
                situation,
                known,
                pair.accuracy,
                pair.scratch,
                pair.noise,
                pair.arms,
                found,
                revision,
            )
        )
    return examples


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
    references = {
        (each.target, each.situation.num_rows): each.evidence
        for each in examples
        if each.source == REFERENCE
    }
    found = []
    for each in examples:
        reference = references.get((each.target, each.situation.num_rows))
        if capability == "features":
            found.append(without_gradients(each, None))
        elif reference is not None:
            found.append(without_gradients(each, reference))
    return found


def calibrate(
    examples: Sequence[Example],
    provenance: Mapping[str, Any],
    with_short: Mapping[float, Sequence[Example]],
    outside: Sequence[Example] = (),
) -> Calibration:
    """Lines for every capability, and with short runs of each share.

    There are no lines where there are fewer than three targets to fit them on. `outside` are pairs
    of sources outside the study. No line is fitted on them, but the intervals for sources that are
    not in the study hold their errors. These pairs have no short runs, so the intervals with short
    runs are widened by as much.
    """
    parts: list[tuple[Capability, float | None, Sequence[Example]]] = [
        (capability, None, seen_as(examples, capability)) for capability in CAPABILITIES
    ]
    for share, some in with_short.items():
        parts.append(("gradients", share, some))
    fitted = [
        Fitted(
            capability=capability,
            share=share,
            known=known,
            lines=_lines(some, capability, known),
        )
        for known in (False, True)
        for capability, share, some in parts
        if len({each.target for each in some}) >= MIN_GROUPS
    ]
    if outside:
        fitted = _for_sources_outside(fitted, examples, outside)
    return Calibration(fitted=tuple(fitted), provenance=provenance, advantages=advantages(examples))


def _for_sources_outside(
    fitted: Sequence[Fitted], examples: Sequence[Example], outside: Sequence[Example]
) -> list[Fitted]:
    """The lines, where those for sources outside the study get the errors of such sources."""
    found, wider = [], dict.fromkeys(WIDENED, 1.0)
    for each in fitted:  # lines without short runs come first
        lines = each.lines
        if not each.known and each.share is None:
            lines = with_errors_of(each.lines, examples, outside, each.capability)
            if each.capability == "gradients":
                wider = {name: max(1.0, _widening(lines, each.lines, name)) for name in WIDENED}
        elif not each.known:
            widened = {name: getattr(lines, name).widened(wider[name]) for name in WIDENED}
            lines = replace(lines, **widened)
        found.append(replace(each, lines=lines))
    return found


def _widening(lines: Lines, before: Lines, name: str) -> float:
    return getattr(lines, name).half_width() / getattr(before, name).half_width()


def with_errors_of(
    lines: Lines,
    examples: Sequence[Example],
    outside: Sequence[Example],
    capability: Capability,
) -> Lines:
    """The lines with residuals on sources outside the study.

    The models that forecast them had seen neither these sources nor, where there are enough others,
    their targets.
    """
    names = {each.source for each in outside}
    seen = seen_as([*examples, *outside], capability)
    found: list[tuple[Example, Forecast]] = []
    for target in dict.fromkeys(each.target for each in seen if each.source in names):
        held = [each for each in seen if each.source in names and each.target == target]
        study = [each for each in seen if each.source not in names]
        without = [each for each in study if each.target != target]
        enough = len({each.target for each in without}) >= MIN_GROUPS
        found += forecasts_without(held, without if enough else study, capability)
    return with_residuals_of(lines, found) if found else lines


def left_out_outside(
    examples: Sequence[Example], outside: Sequence[Example], family: Fold
) -> Iterator[tuple[Example, Forecast]]:
    """A forecast for every source outside the study.

    Its calibration knows neither its target nor its family. Other sources outside give the
    intervals.
    """
    for name, target in dict.fromkeys((family(each), each.target) for each in outside):
        others = [each for each in outside if family(each) != name and each.target != target]
        known = [each for each in examples if each.target != target]
        lines = with_errors_of(_lines(known, "gradients", False), known, others, "gradients")
        calibration = Calibration(fitted=(Fitted(capability="gradients", lines=lines),))
        for each in outside:
            if (family(each), each.target) == (name, target):
                yield each, make_forecast(each.evidence, each.situation, calibration)


def _lines(examples: Sequence[Example], capability: Capability, known: bool) -> Lines:
    return fit_lines(with_advantages(examples) if known else examples, capability)


def outside_of(
    records: Records, evidence: Records, others: Records, others_evidence: Records
) -> list[Example]:
    """Pairs of sources that are not among those of a study.

    They are read beside the evidence of the study, whose reference networks serve them too. Their
    scatter over seeds is taken from the study's sources on the same rows. Raises FeatalignError
    where no such pair has evidence.
    """
    known = {(each["source"], each["revision"]) for each in records}
    arms = {each["arm"] for each in others}
    strange = [each for each in others if (each["source"], each["revision"]) not in known]
    beside = [each for each in records if each["arm"] in arms]  # this keeps the arms that both have
    names = {each["source"] for each in strange}
    found = (
        [
            each
            for each in examples_of([*beside, *strange], [*evidence, *others_evidence])
            if each.source in names
        ]
        if strange
        else []
    )
    if not found:
        raise FeatalignError(
            "outside: expected trained pairs, with evidence, of sources that are not in the "
            "records, got none; "
            "give records of other sources and what `featalign validate evidence` says of them"
        )
    return found


def calibrate_on(
    records: Records,
    evidence: Records,
    short: Records = (),
    *,
    shares: Sequence[float] = SHARES,
    outside: tuple[Records, Records] = ((), ()),
) -> Calibration:
    """A calibration from records of trained arms and evidence, with what it was made from.

    Short runs go into it where there are some. `outside` are records and evidence of other sources,
    whose errors make the intervals for sources that are not in the study. Raises FeatalignError for
    fewer than three targets with both records and evidence.
    """
    examples = examples_of(records, evidence)
    if len({each.target for each in examples}) < MIN_GROUPS:
        found = ", ".join(sorted({each.target for each in examples})) or "none"
        raise FeatalignError(
            f"records, evidence: expected trained pairs with evidence on at least {MIN_GROUPS} "
            f"targets, got {found}; train on more"
        )
    with_short = {
        share: examples_of(records, evidence, short, share=share)
        for share in (shares if short else ())
    }
    others = outside_of(records, evidence, *outside) if outside[0] or outside[1] else []
    provenance = {
        "records": len(records),
        "pairs": len(examples),
        "pairs with short runs": {f"{share:g}": len(some) for share, some in with_short.items()},
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
    if others:
        provenance["intervals for other sources"] = (
            f"{len(others)} pairs of {', '.join(sorted({each.source for each in others}))}"
        )
    return calibrate(examples, provenance, with_short, others)


def left_out(
    examples: Sequence[Example], fold: Fold, capability: Capability
) -> Iterator[tuple[Example, Forecast]]:
    """A forecast for every example from a calibration that saw no example of its fold.

    A fold is a target, or a source.
    """
    for name in dict.fromkeys(map(fold, examples)):
        held = [each for each in examples if fold(each) == name]
        others = [each for each in examples if fold(each) != name]
        yield from forecasts_without(held, others, capability)


def left_out_both(
    examples: Sequence[Example], capability: Capability
) -> Iterator[tuple[Example, Forecast]]:
    """A forecast for every example from others that share neither its target nor its source."""
    for source, target in dict.fromkeys((each.source, each.target) for each in examples):
        held = [each for each in examples if (each.source, each.target) == (source, target)]
        others = [each for each in examples if each.source != source and each.target != target]
        yield from forecasts_without(held, others, capability)


def forecasts_without(
    held: Iterable[Example], others: Sequence[Example], capability: Capability
) -> Iterator[tuple[Example, Forecast]]:
    """Forecasts of some examples from others; a source that is among these is a known one."""
    short, known = others[0].short, advantages(others)
    share = None if short is None else short.share
    lines: dict[bool, Lines] = {}
    for each in held:
        advantage = known.get(each.revision)
        is_known = advantage is not None
        if is_known not in lines:
            lines[is_known] = _lines(others, capability, is_known)
        fitted = Fitted(capability=capability, share=share, lines=lines[is_known])
        seen = with_advantage(each, advantage) if advantage is not None else each
        calibration = Calibration(fitted=(fitted,))
        yield each, make_forecast(seen.evidence, each.situation, calibration, each.short)
