"""Forecasts beside the results of really training a source."""

from dataclasses import dataclass

from featalign import api
from featalign.records.fine_tuned import FineTuned
from featalign.records.ranking import RankingRow
from featalign.sources.source import Source
from featalign.targets.target import Target
from featalign.training.short import run_steps

TRANSFER = ("probe", "full", "probe_then_full")
RATES = (1e-3, 4e-3)  # the rates of the study on which forecasts are calibrated


@dataclass(frozen=True, eq=False)
class Checked:
    """A row of a ranking beside the trained arms.

    These are the transfer arm that did best on validation rows, and training from scratch.
    """

    row: RankingRow
    best: FineTuned
    scratch: FineTuned

    @property
    def gain(self) -> float:
        """The measured accuracy of the best transfer arm less that of scratch."""
        return self.best.accuracy.value - self.scratch.accuracy.value


def check_row(
    row: RankingRow, source: Source, target: Target, *, seed: int = 0, progress: bool | None = None
) -> Checked:
    """Train every arm of a source with the budget of the study.

    Validation, never the test rows, chooses the arm that stands beside the forecast.
    """
    steps = run_steps(len(target), 1.0)
    arms = {
        arm: api.fine_tune(
            source, target, arm=arm, seed=seed, learning_rates=RATES, steps=steps, progress=progress
        )  # type: ignore[arg-type]
        for arm in (*TRANSFER, "scratch")
    }
    best = min((arms[arm] for arm in TRANSFER), key=lambda found: found.chosen.validation_order)
    return Checked(row, best, arms["scratch"])
