"""What one pass over the features collects, and what the scorers read."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from featalign.arrays import Labels, Task
from featalign.metrics import Metric
from featalign.statistics.activity import Activity
from featalign.statistics.statistic import Statistic

Kind = TypeVar("Kind", bound=Statistic)


@dataclass(frozen=True)
class Statistics:
    """What the scorers read: a statistic of each type that they asked for.

    `statistics[Moments]` are the moments. The activity is always there. Others are there where they
    were asked for and the values are finite. `metric` judges the predictions of probes where it is
    not the default of the task.
    """

    labels: Labels
    num_features: int
    seed: int
    found: Mapping[type[Statistic], Any]  # by type; None for what could be given and was not
    metric: Metric | None = None

    def __getitem__(self, kind: type[Kind]) -> Kind:
        """The statistic of this type.

        Raises LookupError where it was not asked for: a mistake in the `needs` of a scorer.
        """
        found = self.given(kind)
        if found is None:
            raise LookupError(f"{kind.__name__} is asked for, but there is none of this target")
        return found

    def given(self, kind: type[Kind]) -> Kind | None:
        """The statistic of this type, or None where the caller could give one and did not.

        Raises LookupError where it was not asked for.
        """
        if kind not in self.found:
            raise LookupError(
                f"{kind.__name__} is read, but not asked for; add it to the needs of the scorer"
            )
        return self.found[kind]

    @property
    def activity(self) -> Activity:
        """How active the features are."""
        return self[Activity]

    @property
    def num_rows(self) -> int:
        """The number of all rows."""
        return len(self.labels.values)

    @property
    def num_classes(self) -> int:
        """The number of classes, 0 unless the task is classification."""
        return self.labels.num_classes

    @property
    def task(self) -> Task:
        """What there is to predict."""
        return self.labels.task

    def only(self, kinds: Collection[type[Statistic]]) -> "Statistics":
        """The statistics of these types alone, and the activity."""
        found = {kind: each for kind, each in self.found.items() if kind in kinds}
        return replace(self, found=found | {Activity: self.activity})

    def at_most(self, max_rows: int) -> "Statistics":
        """The statistics with at most so many rows in memory, a seeded sample of them."""
        return self._of_each(lambda each: each.at_most(max_rows))

    def take(self, places: np.ndarray) -> "Statistics":
        """The statistics that keep, of the rows in memory, those at these places alone."""
        return self._of_each(lambda each: each.take(places))

    def _of_each(self, change: Callable[[Statistic], Statistic]) -> "Statistics":
        found = {kind: None if each is None else change(each) for kind, each in self.found.items()}
        return replace(self, found=found)


def label_columns(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Labels as columns (N, K) of floats.

    Classes become one-hot. Other labels (`num_classes` 0) stay as they are.
    """
    return np.eye(num_classes)[labels] if num_classes else labels.astype(np.float64)
