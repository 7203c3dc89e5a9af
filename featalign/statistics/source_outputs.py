"""The logits or class probabilities that the source's own head gives for the target's rows."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from featalign.arrays import check_features
from featalign.errors import FeatalignError
from featalign.statistics.statistic import Statistic

BLOCK_ROWS = 4096


@dataclass(frozen=True)
class SourceOutputs(Statistic):
    """The source's logits or probabilities (N, Z) in blocks of rows, in the order of the features.

    `blocks()` starts anew at each call. Scorers may read the outputs more than once, so that memory
    never holds more than a block.
    """

    blocks: Callable[[], Iterable[np.ndarray]]
    are_logits: bool

    @staticmethod
    def from_probabilities(
        probabilities: object, num_rows: int, *, name: str = "source_probabilities"
    ) -> "SourceOutputs":
        """Checked probabilities (N, Z).

        Raises FeatalignError unless there is a row for each label, all values are finite and not
        negative, and rows sum to 1 within 1e-3.
        """
        array = _checked(probabilities, num_rows, name)
        for start, block in _slices(array):
            if (block < 0).any():
                row = start + int(np.flatnonzero((block < 0).any(axis=1))[0])
                raise FeatalignError(
                    f"{name}: expected probabilities, got a negative value in row {row}; pass "
                    "logits as source_logits instead"
                )
            wrong = np.abs(block.astype(np.float64).sum(axis=1) - 1) > 1e-3
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                total = block[row].astype(np.float64).sum()
                raise FeatalignError(
                    f"{name}: expected rows that sum to 1, got {total:.6g} in row {start + row}; "
                    "pass logits as source_logits instead"
                )
        return SourceOutputs(lambda: (block for _, block in _slices(array)), are_logits=False)

    @staticmethod
    def from_logits(
        logits: object, num_rows: int, *, name: str = "source_logits"
    ) -> "SourceOutputs":
        """Checked logits (N, Z).

        Raises FeatalignError unless there is a row for each label and all values are finite.
        """
        array = _checked(logits, num_rows, name)
        return SourceOutputs(lambda: (block for _, block in _slices(array)), are_logits=True)

    def logits(self) -> Iterator[np.ndarray]:
        """Blocks of logits in float64."""
        assert self.are_logits
        for block in self.blocks():
            yield np.asarray(block, np.float64)

    def probabilities(self) -> Iterator[np.ndarray]:
        """Blocks of probabilities in float64: as they were given, or the softmax of the logits.

        >>> outputs = SourceOutputs.from_logits(np.array([[1000.0, 1000.0]]), 1)
        >>> next(outputs.probabilities()).tolist()
        [[0.5, 0.5]]
        """
        for block in self.blocks():
            values = np.asarray(block, np.float64)
            yield np.exp(log_softmax(values, axis=1)) if self.are_logits else values


def _checked(values: object, num_rows: int, name: str) -> np.ndarray:
    array = check_features(values, name=name)
    if len(array) != num_rows:
        raise FeatalignError(
            f"{name}: expected one row for each of the {num_rows} rows of features, got "
            f"{len(array)}; check the order of both"
        )
    for start, block in _slices(array):
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            row = start + int(np.flatnonzero(~finite)[0])
            raise FeatalignError(
                f"{name}: expected finite values, got NaN or infinity in row {row}; drop that row "
                "here and in features"
            )
    return array


def _slices(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(array), BLOCK_ROWS):
        yield start, array[start : start + BLOCK_ROWS]
