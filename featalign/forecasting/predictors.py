"""The predictors: the few numbers that a forecast is made of, from evidence.

Shares of rows, such as accuracies, come as log-odds: a point is worth more near 0 and 1, and both
arms keep between them whatever is added.
"""

import math

from featalign.forecasting.logits import logit
from featalign.forecasting.situation import Short, Situation
from featalign.records.evidence import Capability, Evidence

CAPABILITIES: tuple[Capability, ...] = ("gradients", "twins", "features")
LEAST_LOSS = 1e-6  # smaller losses count as this one, because the logarithm has no bound at 0
# scores whose difference between source and random twins predicts the gain; the difference is 0
# where pretraining gave nothing
DIFFERENCES: dict[Capability, tuple[str, ...]] = {
    "gradients": ("tangent_probe", "linear_probe", "lda"),
    "twins": ("linear_probe", "lda"),
    "features": (),
}
LEVELS = ("linear_probe", "lda")  # these say how hard the target is for the source
RIDGE_ERROR = "spectral_alignment"  # the share of the labels that ridge regression is to miss
# the difference of this score once more where it is below 0: training mends part of what harms
MENDED, BELOW = "lda", "lda below twins"
ADVANTAGE = "known advantage"  # the predictor that stands for `Evidence.advantage`
LEAD = "expected less scratch"  # the accuracy that the cache foretells less a trained scratch


def gain_predictors(
    evidence: Evidence,
    situation: Situation,
    capability: Capability,
    short: Short | None = None,
    lead: float | None = None,
) -> dict[str, float]:
    """What the gain in log-odds depends on; NaN where evidence has no value.

    Predictors are the differences to the random twins and between short runs, and log n. One
    difference counts otherwise below 0, because a loss in features is partly undone by training
    them. Without twins the scores serve as they are. `lead` is the accuracy that the cache
    foretells less that of a trained scratch, in log-odds.
    """
    if capability == "features":
        plain = _levels(evidence, situation) | {"chance": _chance(situation)}
    else:
        plain = {
            name: _own(evidence, name, situation) - _twin(evidence, name, situation)
            for name in DIFFERENCES[capability]
        }
        plain[BELOW] = plain[MENDED] if math.isnan(plain[MENDED]) else min(plain[MENDED], 0.0)
    if short is not None:
        losses = [max(loss, LEAST_LOSS) for loss in (short.scratch_loss, short.loss)]
        ends = short.accuracy, short.scratch_accuracy
        own, scratch = (_log_odds(end, situation) for end in ends)
        plain |= {"short accuracy": own - scratch, "short loss": math.log(losses[0] / losses[1])}
    anchored = {} if lead is None else {LEAD: lead}
    return {**plain, "size": situation.size, **anchored, **_known(evidence)}


def accuracy_base(evidence: Evidence, situation: Situation) -> float:
    """The log-odds of the accuracy before a correction.

    It is what the tangent probe reaches from fresh weights of the reference network, and where
    there is none, what the source's linear probe reaches.
    """
    if evidence.reference is None:
        return _own(evidence, "linear_probe", situation)
    return _log_odds(evidence.reference, situation)


def accuracy_predictors(
    evidence: Evidence, situation: Situation, short: Short | None = None
) -> dict[str, float]:
    """What the correction of the accuracy depends on, in log-odds.

    That is how the scores of the source differ from the base, the error that ridge regression on
    its features is expected to make, log n, with short runs how their accuracy differs from the
    base, and for a known source its advantage.
    """
    base = accuracy_base(evidence, situation)
    levels = {name: value - base for name, value in _levels(evidence, situation).items()}
    if short is not None:
        levels["short level"] = _log_odds(short.accuracy, situation) - base
    missed = evidence.own.get(RIDGE_ERROR, math.nan)
    return {**levels, RIDGE_ERROR: missed, "size": situation.size, **_known(evidence)}


def growth_predictors(situation: Situation, size: float, level: float) -> dict[str, float]:
    """What a change in log-odds from n to another number of rows depends on.

    Predictors are log(size / n), alone and times the level of what changes. Both are 0 at n itself.
    """
    ratio = math.log(size / situation.num_rows)
    return {"ratio": ratio, "ratio x level": ratio * level}


def arm_predictors(
    evidence: Evidence, situation: Situation, capability: Capability
) -> dict[str, float]:
    """What the lead of one arm over another depends on: accuracies of the source, and n."""
    names = ("linear_probe", "knn", "lda", *(("tangent_probe",) * (capability == "gradients")))
    levels = {name: evidence.own.get(name, math.nan) for name in names}
    tangent = (
        {"tangent less probe": levels["tangent_probe"] - levels["linear_probe"]}
        if capability == "gradients"
        else {}
    )
    return {**levels, **tangent, "chance": 1 / situation.num_classes, "size": situation.size}


def _known(evidence: Evidence) -> dict[str, float]:
    return {} if evidence.advantage is None else {ADVANTAGE: evidence.advantage}


def _levels(evidence: Evidence, situation: Situation) -> dict[str, float]:
    return {name: _own(evidence, name, situation) for name in LEVELS}


def _chance(situation: Situation) -> float:
    return _log_odds(1 / situation.num_classes, situation)


def _own(evidence: Evidence, name: str, situation: Situation) -> float:
    return _log_odds(evidence.own.get(name, math.nan), situation)


def _twin(evidence: Evidence, name: str, situation: Situation) -> float:
    return _log_odds(evidence.twins.get(name, math.nan), situation)


def _log_odds(share: float, situation: Situation) -> float:
    return float(logit(share, situation.num_rows))
