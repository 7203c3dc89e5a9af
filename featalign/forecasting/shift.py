"""Whether held-out rows are of another kind than the training rows."""

import math
from dataclasses import dataclass

from featalign.forecasting.logits import drawing_variance, logit

CLEAR = 2.6  # deviations beyond which a difference is not chance: one target of a hundred


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How often the nearest training row has a row's class: among training rows, and held out.

    `within` is the share of `num_rows` training rows whose nearest other training row has their
    class, and `across` that of `num_held_out` held-out rows. Both would be alike if the held-out
    rows were drawn like the training rows.
    """

    within: float
    across: float
    num_rows: int
    num_held_out: int

    @property
    def log_odds(self) -> float:
        """logit(across) - logit(within): below 0 where held-out rows are harder."""
        return float(logit(self.across, self.num_held_out) - logit(self.within, self.num_rows))

    @property
    def deviation(self) -> float:
        """The deviation of the difference if there were no shift: √(Σ 1 / (n p (1 - p)))."""
        within = drawing_variance(self.within, self.num_rows)
        return math.sqrt(within + drawing_variance(self.across, self.num_held_out))

    @property
    def clear(self) -> float:
        """The difference in log-odds where it is no chance, and 0 elsewhere.

        >>> Shift(within=0.9, across=0.6, num_rows=400, num_held_out=400).clear < -1
        True
        >>> Shift(within=0.62, across=0.6, num_rows=400, num_held_out=400).clear
        0.0
        """
        return self.log_odds if abs(self.log_odds) > CLEAR * self.deviation else 0.0

    def remark(self) -> str | None:
        """What to say of it, or None where there is nothing to say."""
        if not self.clear:
            return None
        harder = "harder" if self.clear < 0 else "easier"
        return (
            f"held-out rows are of another kind, and {harder}: the nearest training row has their "
            f"class for {self.across:.0%} of them, and for {self.within:.0%} of the training rows; "
            "accuracies are forecast for held-out rows, with wider intervals; gains stay"
        )
