"""Rows held in memory, for what no moments suffice for."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Rows:
    """Features and labels held row by row; `sampled` when they are a seeded sample of all rows."""

    features: np.ndarray  # (M, D)
    labels: np.ndarray  # (M,) or (M, K)
    numbers: np.ndarray  # (M,) which rows of all these are
    sampled: bool

    def at_most(self, max_rows: int, *, seed: int) -> "Rows":
        """These rows, or a seeded sample of them in their order."""
        if len(self.labels) <= max_rows:
            return self
        return self.take(
            np.sort(np.random.default_rng(seed).choice(len(self.labels), max_rows, replace=False))
        )

    def take(self, kept: np.ndarray) -> "Rows":
        """The rows at these places alone."""
        return Rows(self.features[kept], self.labels[kept], self.numbers[kept], True)


class HeldRows:
    """Collects the rows to hold while they stream by.

    Those are all of them, or a seeded sample of `max_rows`.
    """

    def __init__(self, num_rows: int, max_rows: int, seed: int):
        self.sampled = num_rows > max_rows
        self.wanted = (
            np.sort(np.random.default_rng(seed).choice(num_rows, max_rows, replace=False))
            if self.sampled
            else np.arange(num_rows)
        )
        self.parts: list[np.ndarray] = []

    def take(self, batch: np.ndarray, start: int) -> None:
        """Keep what is wanted of a batch whose first row has the number `start`."""
        low, high = np.searchsorted(self.wanted, [start, start + len(batch)])
        self.parts.append(batch[self.wanted[low:high] - start] if self.sampled else batch)

    def finish(self, labels: np.ndarray) -> Rows:
        """The rows with their labels, once all have streamed by."""
        features = self.parts[0] if len(self.parts) == 1 else np.concatenate(self.parts)
        if features.dtype.name in ("float16", "bfloat16"):
            features = features.astype(np.float32)
        return Rows(features, labels[self.wanted], self.wanted, self.sampled)
