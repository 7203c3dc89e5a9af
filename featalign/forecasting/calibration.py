"""What was learnt from a study, as data.

That is linear models, with the residuals that they left on targets they had not seen.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from featalign.errors import FeatalignError
from featalign.forecasting.line import Line
from featalign.records.evidence import Capability
from featalign.records.forecast import Tier
from featalign.records.plain import from_json, to_json

SHIPPED = Path(str(files("featalign") / "forecasting" / "calibration" / "calibration.json"))


@dataclass(frozen=True, kw_only=True)
class Lines:
    """The linear models that make a forecast, for sources of one kind.

    In log-odds, `level` predicts the accuracy of the best arm less a base, and `gain` that accuracy
    less the accuracy from scratch. `accuracy` and `scratch` predict nothing; their residuals are
    the errors of both arms. `growth` and `drift` predict how scratch and gain change with n. `arms`
    predict the accuracy of another arm less that of `full`. `order` predicts nothing; its residuals
    are the errors of accuracies that are left where sources are compared on one target.
    """

    level: Line
    gain: Line
    accuracy: Line
    scratch: Line
    growth: Line
    drift: Line
    order: Line
    arms: Mapping[str, Line] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """Lines, and what they are for.

    `capability` is that of the source. `tier` says what is known beside the cache: nothing, one
    training from scratch, or short runs whose length is `share` of one training. `known` says
    whether the source is one of the study.
    """

    capability: Capability
    tier: Tier = "cache"
    share: float | None = None
    known: bool = False
    lines: Lines


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What was fitted on a study, for every capability and tier.

    `advantages` are those of the study's sources, by revision; `provenance` says where it all comes
    from.
    """

    fitted: tuple[Fitted, ...]
    provenance: Mapping[str, Any] = field(default_factory=dict)
    advantages: Mapping[str, float] = field(default_factory=dict)

    def lines_of(
        self,
        capability: Capability,
        *,
        tier: Tier = "cache",
        share: float | None = None,
        known: bool = False,
    ) -> Lines:
        """The lines for a capability and a tier, those for short runs of the nearest share.

        A source of the study (`known`) gets the lines for such sources where there are some. Raises
        FeatalignError where there are no lines.
        """
        of_tier = [each for each in self.fitted if each.tier == tier]
        if not of_tier:
            raise FeatalignError(
                f"calibration: expected one with lines for effort {tier!r}, this one has none; fit "
                "one with `featalign validate fit`, with --short for short runs"
            )
        shares = {each.share for each in of_tier if each.share is not None}
        nearest = min(shares, key=lambda each: abs(each - (share or 0.0)), default=None)
        found = {
            each.known: each.lines
            for each in of_tier
            if each.share == nearest and each.capability == capability
        }
        if False not in found:
            there = ", ".join(dict.fromkeys(each.capability for each in of_tier))
            raise FeatalignError(
                f"calibration: expected lines for sources with {capability}, this one has those "
                f"for {there}; fit it on more targets"
            )
        return found.get(known, found[False])

    def to_json(self) -> str:
        """The calibration as JSON."""
        return to_json(self)


def read_calibration(path: Path) -> Calibration:
    """A calibration from a file, which is data and never code.

    Raises FeatalignError for a file that holds no calibration.
    """
    hint = "make one with `featalign validate fit`"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise FeatalignError(
            f"{path}: expected a calibration, got {error.strerror}; {hint}"
        ) from error
    except ValueError as error:
        raise FeatalignError(
            f"{path}: expected a calibration in JSON, got something else; {hint}"
        ) from error
    try:
        found = from_json(Calibration, text)
    except FeatalignError as error:
        raise FeatalignError(f"{path}: {error}") from None
    every = [line for each in found.fitted for line in _lines_in(each.lines)]
    shares = [each.share for each in found.fitted if each.share is not None]
    finite = all(map(math.isfinite, (*shares, *found.advantages.values())))
    if not every or not finite or not all(line.is_sound for line in every):
        raise FeatalignError(
            f"{path}: expected lines with residuals and a weight and a mean for each name, "
            f"and finite numbers, got others; {hint}"
        )
    return found


def _lines_in(lines: Lines) -> tuple[Line, ...]:
    named = (getattr(lines, each.name) for each in fields(Lines) if each.name != "arms")
    return *named, *lines.arms.values()


def calibration_at(path: str | os.PathLike[str] | None) -> Calibration:
    """The calibration of a file, or the shipped one; raises FeatalignError for a bad file."""
    return shipped_calibration() if path is None else read_calibration(Path(path))


@cache
def shipped_calibration() -> Calibration:
    """The calibration that ships in the package, fitted on its study."""
    return read_calibration(SHIPPED)
