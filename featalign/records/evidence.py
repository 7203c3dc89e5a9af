"""What is known of a source on a target before any arm is trained."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from featalign.records.plain import Plain

Capability = Literal["gradients", "twins", "features"]
ComparedWith = Literal["its own architecture", "a reference architecture"]


@dataclass(frozen=True, kw_only=True)
class Evidence(Plain):
    """Numbers of a source on a target, from the cache alone; a number without a value is left out.

    `capability` says what there is to compare with fresh weights: "gradients" (tangent probes of
    the source and of its own twins), "twins" (features alone, beside those of twins), or "features"
    (nothing to compare with). `own` are scores of the source by name, and `twins` are means of the
    same scores over two random twins. The study also asks for `tangent_activations` and
    `tangent_gradients`, the tangent probe on one of its two parts. `reference` is what the tangent
    probe reaches from fresh weights of a small reference network.
    `compared_with` says which network the twins are of. Only a source of the study has an
    `advantage`: its mean gain less that of all sources on the same targets and sizes.

    >>> Evidence(capability="features", own={"linear_probe": 0.9}).difference("linear_probe")
    nan
    """

    capability: Capability
    own: Mapping[str, float] = field(default_factory=dict)
    twins: Mapping[str, float] = field(default_factory=dict)
    reference: float | None = None
    compared_with: ComparedWith = "its own architecture"
    advantage: float | None = None

    def items(self) -> tuple[tuple[str, float], ...]:
        """Every number with its name, those of twins with "twin " before it.

        >>> Evidence(capability="twins", own={"knn": 0.9}, twins={"knn": 0.5}).items()
        (('knn', 0.9), ('twin knn', 0.5))
        """
        twins = ((f"twin {name}", value) for name, value in self.twins.items())
        return (*self.own.items(), *twins)

    def difference(self, name: str) -> float:
        """The score of the source less that of its twins; NaN where one of them has no value."""
        return self.own.get(name, math.nan) - self.twins.get(name, math.nan)


def capability_of(
    own: Mapping[str, float],
    twins: Mapping[str, float],
    reference: float | None,
    *,
    own_twins: bool,
) -> Capability:
    """The capability that these numbers show; `own_twins`: the twins are of the source itself.

    >>> capability_of({"linear_probe": 0.9}, {"linear_probe": 0.5}, 0.6, own_twins=True)
    'twins'
    """
    if "linear_probe" not in twins or ("tangent_probe" not in twins and reference is None):
        return "features"
    both = "tangent_probe" in own and "tangent_probe" in twins
    return "gradients" if own_twins and both else "twins"
