"""From evidence to predictors: the few numbers that a forecast is made of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from featalign.forecasting.learning_curve import fit_learning_curve

Kind = Literal["differentiable", "black box", "features alone"]
KINDS: tuple[Kind, ...] = ("differentiable", "black box", "features alone")
REFERENCE_ROWS = 200  # log n is counted from here, so that weights of what goes with it stay small
LEAST_LOSS = 1e-6  # no loss is told from a smaller one: a logarithm of nothing has no end

# what the source has more of than its random twins: 0 where pretraining gave nothing; a black box
# has no gradients
DIFFERENCES: dict[Kind, tuple[str, ...]] = {
    "differentiable": ("linear_probe", "lda", "tangent_probe"),
    "black box": ("linear_probe", "lda", "logme"),
    "features alone": (),
}
# of a source in the study: its mean gain less that of all sources on the same targets and sizes
ADVANTAGE = "known advantage"
LEVELS = (
    "linear_probe",
    "knn",
    "lda",
    "logme",
    "label_overlap",
    "cka",
)  # without twins: scores as they are


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
        """Accuracy of guessing among equal classes."""
        return 1 / self.num_classes


Points = tuple[Sequence[float], Sequence[float]]  # accuracies and losses


@dataclass(frozen=True)
class Short:
    """Short runs of source and scratch.

    It holds the held-out accuracy and loss of each after `share` of the steps of one training.
    """

    share: float
    accuracy: float
    loss: float
    scratch_accuracy: float
    scratch_loss: float

    @staticmethod
    def of(share: float, source: Points, scratch: Points) -> "Short":
        """From accuracies and losses at points up to that share, of source and scratch.

        It takes the last accuracy, and the lowest loss on the way.
        """
        (accuracies, losses), (scratch_accuracies, scratch_losses) = source, scratch
        lowest, scratch_lowest = _lowest(losses), _lowest(scratch_losses)
        return Short(share, accuracies[-1], lowest, scratch_accuracies[-1], scratch_lowest)


def _lowest(losses: Sequence[float]) -> float:
    """The lowest loss before training diverged; NaN where it did so at once."""
    return min(filter(math.isfinite, losses), default=math.nan)


def kind_of(evidence: Mapping[str, Any]) -> Kind:
    """What speaks for or against a source.

    Gradients and own random twins may speak, or activations beside a reference network's twins, or
    activations alone.
    """
    if evidence.get("twin linear_probe") is None or all(
        evidence.get(name) is None for name in ("twin tangent_probe", "reference tangent_probe")
    ):
        return "features alone"
    own = "twins" not in evidence and all(
        evidence.get(name) is not None for name in ("tangent_probe", "twin tangent_probe")
    )
    return "differentiable" if own else "black box"


def gain_predictors(
    evidence: Mapping[str, Any], situation: Situation, kind: Kind, short: Short | None = None
) -> dict[str, float]:
    """What the gain over training from scratch depends on; NaN where evidence has no value.

    Differences to the random twins and between short runs, each also times log(n / 200), because
    what they mean depends on n; scores as they are where there is no twin.
    """
    plain = {
        name: _number(evidence, name) - _number(evidence, f"twin {name}")
        for name in DIFFERENCES[kind]
    }
    if kind == "features alone":
        plain = _levels(evidence) | {"chance": situation.chance}
    if short is not None:
        losses = [max(loss, LEAST_LOSS) for loss in (short.scratch_loss, short.loss)]
        plain["short accuracy"] = short.accuracy - short.scratch_accuracy
        plain["short loss"] = math.log(losses[0] / losses[1])
    known = {ADVANTAGE: _number(evidence, ADVANTAGE)} if ADVANTAGE in evidence else {}
    return {
        **plain,
        **{f"{name} x size": value * situation.size for name, value in plain.items()},
        "size": situation.size,
        **known,
    }


def scratch_base(evidence: Mapping[str, Any], kind: Kind, short: Short | None = None) -> float:
    """Accuracy from scratch but for a correction: what fresh weights reach.

    They are those of the reference network where there is one, else the source's own.

    Architectures differ less after training from scratch than their tangent probes do, so the
    difference of the own twins to the reference is left to the correction. Of features alone it is
    the linear probe. With short runs it is the mean of this and their accuracy from scratch.
    """
    if kind == "features alone":
        return _number(evidence, "linear_probe")
    reference = _number(evidence, "reference tangent_probe")
    plain = _number(evidence, "twin tangent_probe") if math.isnan(reference) else reference
    return plain if short is None else (short.scratch_accuracy + plain) / 2


def scratch_predictors(
    evidence: Mapping[str, Any], situation: Situation, kind: Kind
) -> dict[str, float]:
    """What the correction of accuracy from scratch depends on.

    That is log n, and how the source's own twins differ from the reference.
    """
    if kind == "features alone":
        return {**_levels(evidence), "chance": situation.chance, "size": situation.size}
    own, reference = (
        _number(evidence, "twin tangent_probe"),
        _number(evidence, "reference tangent_probe"),
    )
    return {"size": situation.size, "own twins": 0.0 if math.isnan(reference) else own - reference}


def drift_predictors(
    evidence: Mapping[str, Any], situation: Situation, gain: float, size: float
) -> dict[str, float]:
    """What the change of the gain from n to another number of rows depends on.

    All of it is 0 at n itself.

    log(size / n), alone and times the gain and the source's accuracy, and what the two learning
    curves, extrapolated, add between them.
    """
    ratio = math.log(size / situation.num_rows)
    level = _number(evidence, "linear_probe")
    return {
        "ratio": ratio,
        "ratio x gain": ratio * gain,
        "ratio x level": ratio * level,
        "curves": _curve_drift(evidence, situation, size),
    }


def _curve_drift(evidence: Mapping[str, Any], situation: Situation, size: float) -> float:
    sizes, own, twin = (
        evidence.get(name) for name in ("curve sizes", "source curve", "twin curve")
    )
    if not sizes or not own or not twin or any(value is None for value in (*own, *twin)):
        return math.nan
    if size == situation.num_rows:
        return 0.0
    shares = [size * sizes[-1] / situation.num_rows, sizes[-1]]
    (own_then, own_now), (twin_then, twin_now) = (
        [fit_learning_curve(sizes, curve).accuracy(n) for n in shares] for curve in (own, twin)
    )
    return (own_then - own_now) - (twin_then - twin_now)


def arm_predictors(
    evidence: Mapping[str, Any], situation: Situation, kind: Kind
) -> dict[str, float]:
    """What one arm has over another: probe and tangent accuracies of the source, and n."""
    names = (
        "linear_probe",
        "knn",
        "lda",
        *(("tangent_probe",) if kind == "differentiable" else ()),
    )
    levels = {name: _number(evidence, name) for name in names}
    tangent = (
        {"tangent less probe": levels["tangent_probe"] - levels["linear_probe"]}
        if kind == "differentiable"
        else {}
    )
    return {**levels, **tangent, "chance": situation.chance, "size": situation.size}


def _levels(evidence: Mapping[str, Any]) -> dict[str, float]:
    return {name: _number(evidence, name) for name in LEVELS}


def _number(evidence: Mapping[str, Any], name: str) -> float:
    value = evidence.get(name)
    return math.nan if value is None else float(value)
