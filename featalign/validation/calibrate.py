"""From records, evidence and short runs to a calibration, by way of examples.

This also tells how forecasts do on what was left out of it.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.evidence.known import REFERENCE
from featalign.forecasting.calibration import KNOWN, MIN_GROUPS, SHORT, Calibration, Line
from featalign.forecasting.fit import (
    Example,
    advantages,
    as_black_box,
    fit_lines,
    with_advantages,
    with_residuals_of,
)
from featalign.forecasting.forecast import Forecast, make_forecast
from featalign.forecasting.predictors import ADVANTAGE, KINDS, Kind, Short, Situation
from featalign.validation.findings import of_the_same_rows
from featalign.validation.ground_truth import ground_truth

Records = Sequence[Mapping[str, Any]]
SHARES = (0.1, 0.2, 0.3, 0.5)  # of one training
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

    Of several seeds the evidence of the first.

    Pairs without a probe, or without tangent scores, are left out. `share` asks for the short runs
    of so long a part of a training; pairs without them are left out too.
    """
    first: dict[tuple[str, str, int], Mapping[str, Any]] = {}
    for each in sorted(of_the_same_rows(evidence, records), key=lambda each: each["seed"]):
        first.setdefault((each["source"], each["target"], each["size"]), each)
    references = {
        (target, size): each["evidence"].get("twin tangent both")
        for (source, target, size), each in first.items()
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
        known = first.get((pair.source, pair.target, pair.size))
        if known is None or any(
            known["evidence"].get(name) is None
            for name in ("linear_probe", "tangent_probe", "twin tangent both")
        ):
            continue
        numbers = dict(known["evidence"])
        numbers |= {
            "twin tangent_probe": numbers.get("twin tangent both"),
            "reference tangent_probe": references.get((pair.target, pair.size)),
        }
        found = None
        if share is not None:
            where = pair.target, pair.size, known["seed"]
            own = runs.get((pair.source, *where, "full"))
            other = runs.get((scratch_of[pair.source, pair.target], *where, "scratch"))
            if own is None or other is None:
                continue
            found = short_of(own, other, share)
        situation = Situation(pair.size, pair.num_classes)
        revision = str(known.get("revision", pair.source))
        examples.append(
            Example(
                pair.source,
                pair.target,
                situation,
                numbers,
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
    """What two records of short runs say after a share of one training.

    That is the accuracy then, and the lowest loss until then.
    """
    last = int(np.searchsorted(own["steps"], share * own["whole"] + 1e-9, side="right"))
    ours, others = ((run["accuracies"][:last], _losses(run, last)) for run in (own, scratch))
    return Short.of(share, ours, others)


def _losses(run: Mapping[str, Any], last: int) -> list[float]:
    """The first losses of a record, in which None stands for what is not finite."""
    return [math.nan if loss is None else loss for loss in run["losses"][:last]]


def of_kind(examples: Sequence[Example], kind: Kind) -> list[Example]:
    """The examples as sources of another kind would have been seen."""
    if kind == "differentiable":
        return list(examples)
    references = {
        (each.target, each.situation.num_rows): each.evidence
        for each in examples
        if each.source == REFERENCE
    }
    found = []
    for each in examples:
        reference = references.get((each.target, each.situation.num_rows))
        if kind == "features alone" or reference is not None:
            found.append(as_black_box(each, reference if kind == "black box" else None))
    return found


def calibrate(
    examples: Sequence[Example],
    provenance: Mapping[str, Any],
    with_short: Mapping[float, Sequence[Example]],
    strangers: Sequence[Example] = (),
) -> Calibration:
    """Lines for every kind of source, and with short runs of each share.

    There are as many as have three targets to fit them on.

    `strangers` are pairs of other sources: no line is fitted on them, but the intervals for sources
    that are not in the study hold their errors. Those with short runs, which strangers do not have,
    are widened by as much.
    """
    parts: list[tuple[str, Kind, Sequence[Example]]] = [
        (kind, kind, of_kind(examples, kind)) for kind in KINDS
    ]
    for share, some in with_short.items():
        parts.append((f"{SHORT}{share:g}", "differentiable", some))
    lines = {
        name + KNOWN * known: _lines(some, kind, known)
        for known in (False, True)
        for name, kind, some in parts
        if len({each.target for each in some}) >= MIN_GROUPS
    }
    if strangers:
        fitted = dict(lines)
        lines |= {
            kind: for_strangers(lines[kind], examples, strangers, kind)
            for kind in KINDS
            if kind in lines
        }
        wider = {
            name: lines["differentiable"][name].half_width()
            / fitted["differentiable"][name].half_width()
            for name in WIDENED
        }
        for name in (f"{SHORT}{share:g}" for share in with_short):
            lines |= (
                {
                    name: {
                        **lines[name],
                        **{
                            each: lines[name][each].widened(max(1.0, wider[each]))
                            for each in WIDENED
                        },
                    }
                }
                if name in lines
                else {}
            )
    return Calibration(lines, provenance, advantages(examples))


def for_strangers(
    lines: Mapping[str, Line], examples: Sequence[Example], strangers: Sequence[Example], kind: Kind
) -> Mapping[str, Line]:
    """The lines with residuals of sources that what forecast them had not seen.

    Their targets had not been seen, either, where there are enough others.
    """
    names = {each.source for each in strangers}
    seen = of_kind([*examples, *strangers], kind)
    found: list[tuple[Example, Forecast]] = []
    for target in dict.fromkeys(each.target for each in seen if each.source in names):
        held = [each for each in seen if each.source in names and each.target == target]
        study = [each for each in seen if each.source not in names]
        without = [each for each in study if each.target != target]
        found += forecasts_without(
            held, without if len({each.target for each in without}) >= MIN_GROUPS else study, kind
        )
    return with_residuals_of(lines, found) if found else lines


def left_out_strangers(
    examples: Sequence[Example], strangers: Sequence[Example], family: Fold
) -> Iterator[tuple[Example, Forecast]]:
    """A forecast for every stranger, left out with its target and its family.

    The forecast is that of a calibration that knows neither. The other strangers give the
    intervals.
    """
    for name, target in dict.fromkeys((family(each), each.target) for each in strangers):
        others = [each for each in strangers if family(each) != name and each.target != target]
        known = [each for each in examples if each.target != target]
        lines = for_strangers(
            _lines(known, "differentiable", False), known, others, "differentiable"
        )
        for each in strangers:
            if (family(each), each.target) == (name, target):
                yield (
                    each,
                    make_forecast(
                        each.evidence, each.situation, Calibration({"differentiable": lines}, {})
                    ),
                )


def _lines(examples: Sequence[Example], kind: Kind, known: bool) -> Mapping[str, Line]:
    return fit_lines(with_advantages(examples) if known else examples, kind)


def strangers_of(
    records: Records, evidence: Records, others: Records, others_evidence: Records
) -> list[Example]:
    """Pairs of sources that are not among those of a study.

    They are read beside the evidence of the study, whose reference networks are theirs. Their
    scatter over seeds is that of the study's sources on the same rows. Raises FeatalignError where
    no such pair has evidence.
    """
    known = {(each["source"], each["revision"]) for each in records}
    arms = {each["arm"] for each in others}
    strange = [each for each in others if (each["source"], each["revision"]) not in known]
    beside = [
        each for each in records if each["arm"] in arms
    ]  # places where both are there have the same arms
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
            "strangers: expected trained pairs, with evidence, of sources that are not in the "
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
    strangers: tuple[Records, Records] = ((), ()),
) -> Calibration:
    """A calibration from records of trained arms and evidence, with what it was made from.

    Short runs go into it where there are some. `strangers` are records and evidence of other
    sources, by whose errors the intervals for sources that are not in the study are made.

    Raises FeatalignError for fewer than three targets with both.
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
    others = strangers_of(records, evidence, *strangers) if strangers[0] or strangers[1] else []
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
    examples: Sequence[Example], fold: Fold, kind: Kind
) -> Iterator[tuple[Example, Forecast]]:
    """A forecast for every example from a calibration that saw no example of its fold.

    The fold is its target, its source, or both.
    """
    for name in dict.fromkeys(map(fold, examples)):
        held = [each for each in examples if fold(each) == name]
        yield from forecasts_without(held, [each for each in examples if fold(each) != name], kind)


def left_out_both(examples: Sequence[Example], kind: Kind) -> Iterator[tuple[Example, Forecast]]:
    """A forecast for every example from a calibration that did not see it.

    The calibration saw neither its target nor its source.
    """
    for source, target in dict.fromkeys((each.source, each.target) for each in examples):
        held = [each for each in examples if (each.source, each.target) == (source, target)]
        yield from forecasts_without(
            held,
            [each for each in examples if each.source != source and each.target != target],
            kind,
        )


def forecasts_without(
    held: Iterable[Example], others: Sequence[Example], kind: Kind
) -> Iterator[tuple[Example, Forecast]]:
    """Forecasts of some examples from others; a source that is among the others is a known one."""
    short, known = others[0].short, advantages(others)
    named = kind if short is None else f"{SHORT}{short.share:g}"
    lines: dict[str, Mapping[str, Line]] = {}
    for each in held:
        advantage = known.get(each.revision)
        name = named + KNOWN * (advantage is not None)
        if name not in lines:
            lines[name] = _lines(others, kind, advantage is not None)
        calibration = Calibration({named: lines[name], name: lines[name]}, {})
        evidence = each.evidence if advantage is None else {**each.evidence, ADVANTAGE: advantage}
        yield each, make_forecast(evidence, each.situation, calibration, each.short)
