"""The predictors: the few numbers that a forecast is made of, from evidence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from featalign.forecasting.learning_curve import fit_learning_curve
from featalign.records.evidence import Capability, Evidence

CAPABILITIES: tuple[Capability, ...] = ("gradients", "twins", "features")
REFERENCE_ROWS = 200  # log n is counted from here, so that the weights of its multiples stay small
LEAST_LOSS = 1e-6  # smaller losses count as this one, because the logarithm has no bound at 0
# scores whose difference between source and random twins predicts the gain; the difference is 0
# where pretraining gave nothing
DIFFERENCES: dict[Capability, tuple[str, ...]] = {
    "gradients": ("linear_probe", "lda", "tangent_probe"),
    "twins": ("linear_probe", "lda", "logme"),
    "features": (),
}
ADVANTAGE = "known advantage"  # the predictor that stands for `Evidence.advantage`
LEVELS = (
    "linear_probe",
    "knn",
    "lda",
    "logme",
    "label_overlap",
    "cka",
)  # these scores serve as they are where there are no twins


def size_of(num_rows: int) -> float:
    """log(n / 200)."""
    return math.log(num_rows / REFERENCE_ROWS)


@dataclass(frozen=True)
class Situation:
    """The target: its rows and classes."""

    num_rows: int
    num_classes: int

    @property
    def size(self) -> float:
        """log(n / 200)."""
        return size_of(self.num_rows)

    @property
    def chance(self) -> float:
        """The accuracy of guessing among equal classes."""
        return 1 / self.num_classes


Points = tuple[Sequence[float], Sequence[float]]  # accuracies and losses


@dataclass(frozen=True)
class Short:
    """Short runs from the source and from scratch.

    It holds the held-out accuracy and loss of each after `share` of the steps of one training.
    """

    share: float
    accuracy: float
    loss: float
    scratch_accuracy: float
    scratch_loss: float

    @staticmethod
    def of(share: float, source: Points, scratch: Points) -> "Short":
        """The short runs with these accuracies and losses at points up to that share.

        Each has the last accuracy, and the lowest loss on the way.
        """
        (accuracies, losses), (scratch_accuracies, scratch_losses) = source, scratch
        lowest, scratch_lowest = _lowest(losses), _lowest(scratch_losses)
        return Short(share, accuracies[-1], lowest, scratch_accuracies[-1], scratch_lowest)


def _lowest(losses: Sequence[float]) -> float:
    """The lowest loss before training diverged; NaN where it diverged at once."""
    return min(filter(math.isfinite, losses), default=math.nan)


def gain_predictors(
    evidence: Evidence, situation: Situation, capability: Capability, short: Short | None = None
) -> dict[str, float]:
    """What the gain over training from scratch depends on; NaN where evidence has no value.

    Predictors are the differences to the random twins and between short runs. Each also comes times
    log(n / 200), because its meaning depends on n. Without twins the scores serve as they are.
    """
    plain = {name: evidence.difference(name) for name in DIFFERENCES[capability]}
    if capability == "features":
        plain = _levels(evidence) | {"chance": situation.chance}
    if short is not None:
        losses = [max(loss, LEAST_LOSS) for loss in (short.scratch_loss, short.loss)]
        plain["short accuracy"] = short.accuracy - short.scratch_accuracy
        plain["short loss"] = math.log(losses[0] / losses[1])
    known = {} if evidence.advantage is None else {ADVANTAGE: evidence.advantage}
    return {
        **plain,
        **{f"{name} x size": value * situation.size for name, value in plain.items()},
        "size": situation.size,
        **known,
    }


def scratch_base(evidence: Evidence, capability: Capability, short: Short | None = None) -> float:
    """The accuracy from scratch before a correction.

    It is what the tangent probe reaches from fresh weights of the reference network, or, where
    there is none, of the source. Architectures differ less after training from scratch than their
    tangent probes do, so the difference between the two is left to the correction. With features
    alone it is the linear probe. With short runs it is the mean of the tangent probe's and their
    accuracy from scratch.
    """
    if capability == "features":
        return _own(evidence, "linear_probe")
    twins = evidence.twins.get("tangent_probe", math.nan)
    plain = twins if evidence.reference is None else evidence.reference
    return plain if short is None else (short.scratch_accuracy + plain) / 2


def scratch_predictors(
    evidence: Evidence, situation: Situation, capability: Capability
) -> dict[str, float]:
    """What the correction of the accuracy from scratch depends on.

    That is log n, and how the source's own twins differ from the reference network. With features
    alone it is the scores, chance, and log n.
    """
    if capability == "features":
        return {**_levels(evidence), "chance": situation.chance, "size": situation.size}
    apart = 0.0
    if evidence.reference is not None:
        apart = evidence.twins.get("tangent_probe", math.nan) - evidence.reference
    return {"size": situation.size, "own twins": apart}


def drift_predictors(
    evidence: Evidence, situation: Situation, gain: float, size: float
) -> dict[str, float]:
    """What the change of the gain from n to another number of rows depends on.

    Predictors are log(size / n), alone and times the gain and the source's accuracy, and the change
    of the difference between the two extrapolated learning curves. All of them are 0 at n itself.
    """
    ratio = math.log(size / situation.num_rows)
    level = _own(evidence, "linear_probe")
    return {
        "ratio": ratio,
        "ratio x gain": ratio * gain,
        "ratio x level": ratio * level,
        "curves": _curve_drift(evidence, situation, size),
    }


def _curve_drift(evidence: Evidence, situation: Situation, size: float) -> float:
    curves = evidence.curves
    if curves is None or not curves.sizes:
        return math.nan
    own = [value for value in curves.source if value is not None]
    twin = [value for value in curves.twin if value is not None]
    if not len(own) == len(twin) == len(curves.sizes):
        return math.nan
    if size == situation.num_rows:
        return 0.0
    shares = [size * curves.sizes[-1] / situation.num_rows, curves.sizes[-1]]
    (own_then, own_now), (twin_then, twin_now) = (
        [fit_learning_curve(curves.sizes, curve).accuracy(n) for n in shares]
        for curve in (own, twin)
    )
    return (own_then - own_now) - (twin_then - twin_now)


def arm_predictors(
    evidence: Evidence, situation: Situation, capability: Capability
) -> dict[str, float]:
    """What the lead of one arm over another depends on: accuracies of the source, and n."""
    names = (
        "linear_probe",
        "knn",
        "lda",
        *(("tangent_probe",) if capability == "gradients" else ()),
    )
    levels = {name: _own(evidence, name) for name in names}
    tangent = (
        {"tangent less probe": levels["tangent_probe"] - levels["linear_probe"]}
        if capability == "gradients"
        else {}
    )
    return {**levels, **tangent, "chance": situation.chance, "size": situation.size}


def _levels(evidence: Evidence) -> dict[str, float]:
    return {name: _own(evidence, name) for name in LEVELS}


def _own(evidence: Evidence, name: str) -> float:
    return evidence.own.get(name, math.nan)
