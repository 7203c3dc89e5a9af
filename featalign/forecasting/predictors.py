"""From evidence to predictors: the few numbers that a forecast is made of."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["differentiable", "black box"]
REFERENCE_ROWS = 200  # log n is counted from here, so that weights of what goes with it stay small

# what the source has more of than its random twins: in the same units, and 0 where pretraining gave nothing
DIFFERENCES = ("linear_probe", "logme", "lda", "tangent activations", "tangent gradients")
TWIN_LEVELS = ("twin linear_probe", "twin tangent activations", "twin tangent both", "twin logme")
SOURCE_LEVELS = ("linear_probe", "knn", "lda", "logme", "label_overlap", "cka")


@dataclass(frozen=True)
class Situation:
    """The target: its rows and classes."""

    num_rows: int
    num_classes: int

    @property
    def size(self) -> float:
        """log(n / 200)."""
        return math.log(self.num_rows / REFERENCE_ROWS)

    @property
    def chance(self) -> float:
        """Accuracy of guessing among equal classes."""
        return 1 / self.num_classes


def kind_of(evidence: Mapping[str, Any]) -> Kind:
    """Whether random twins and gradients speak, or activations alone."""
    return "differentiable" if evidence.get("twin linear_probe") is not None and evidence.get("source tangent both") is not None else "black box"


def gain_predictors(evidence: Mapping[str, Any], situation: Situation, kind: Kind) -> dict[str, float]:
    """What the gain over training from scratch depends on; NaN where evidence has no value.

    For differentiable sources differences to the random twins, each also times log n; for black boxes the scores themselves.
    """
    plain = {name: _difference(evidence, name) for name in DIFFERENCES} if kind == "differentiable" else _levels(evidence, SOURCE_LEVELS)
    return {
        **plain,
        **{f"{name} x size": value * situation.size for name, value in plain.items()},
        "size": situation.size,
        **_chance(situation, kind),
    }


def scratch_predictors(evidence: Mapping[str, Any], situation: Situation, kind: Kind) -> dict[str, float]:
    """What accuracy from scratch depends on: what random twins reach, chance and size; for black boxes what their features reach."""
    levels = _levels(evidence, TWIN_LEVELS if kind == "differentiable" else SOURCE_LEVELS)
    return {**levels, "chance": situation.chance, "size": situation.size}


def _difference(evidence: Mapping[str, Any], name: str) -> float:
    own = f"source {name}" if name.startswith("tangent") else name
    return _number(evidence, own) - _number(evidence, f"twin {name}")


def _levels(evidence: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, float]:
    return {name: _number(evidence, name) for name in names}


def _chance(situation: Situation, kind: Kind) -> dict[str, float]:
    return {"chance": situation.chance} if kind == "black box" else {}


def _number(evidence: Mapping[str, Any], name: str) -> float:
    value = evidence.get(name)
    return math.nan if value is None else float(value)
