"""What a forecast is about beside the evidence: rows and classes, and what was trained already."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

REFERENCE_ROWS = 200  # log n is counted from here, so that it is small


def size_of(num_rows: float) -> float:
    """log(n / 200)."""
    return math.log(num_rows / REFERENCE_ROWS)


@dataclass(frozen=True)
class Situation:
    """The target: its rows and classes, and the clear shift of its held-out rows in log-odds."""

    num_rows: int
    num_classes: int
    shift: float = 0.0

    @property
    def size(self) -> float:
        """log(n / 200)."""
        return size_of(self.num_rows)


@dataclass(frozen=True)
class Anchor:
    """The accuracy of one training from scratch, on so many test rows."""

    accuracy: float
    num_test: int


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
