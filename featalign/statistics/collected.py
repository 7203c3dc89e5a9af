"""What one pass over the features collects, and what the scorers read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Literal, TypeVar

import numpy as np

from featalign.arrays import Labels, Task
from featalign.statistics.activity import Activity
from featalign.statistics.class_moments import ClassMoments, TargetMoments
from featalign.statistics.class_scatter import ClassScatter
from featalign.statistics.label_table import LabelTable
from featalign.statistics.moments import Moments
from featalign.statistics.rows import Rows
from featalign.statistics.source_outputs import SourceOutputs
from featalign.statistics.spectrum import Spectrum
from featalign.statistics.tangent import Tangent

Need = Literal[
    "moments",
    "label_moments",
    "class_scatter",
    "spectrum",
    "rows",
    "source_probabilities",
    "source_logits",
    "tangent",
]
Value = TypeVar("Value")


@dataclass(frozen=True)
class AgainstSource:
    """The source's outputs beside all labels (N,).

    It also holds their joint table where a scorer asked for it.
    """

    outputs: SourceOutputs
    labels: np.ndarray
    table: LabelTable | None


@dataclass(frozen=True)
class LabelOrders:
    """The labels in P random orders, and their sums in each.

    `relabelled` makes the statistics from them.

    For classes: Σ z (P, C, D), Σ |z|² (P, C), Σ z² (P, C, D) of rows z about `centre`. For label
    columns: Σ (y - ȳ) zᵀ (P, K, D) in `sums`. None where no scorer asked for what follows from
    them.
    """

    labels: Labels
    orders: np.ndarray  # (P, N): labels[orders[p]] are the labels in order p
    centre: np.ndarray  # (D,)
    sums: np.ndarray | None = None
    norms: np.ndarray | None = None
    squares: np.ndarray | None = None
    tables: tuple[LabelTable, ...] = ()


class _Once:
    """A value that is made by the first who asks; others wait for it."""

    def __init__(self) -> None:
        self.lock, self.is_made, self.value = Lock(), False, None

    def get(self, make: Callable[[], Any]) -> Any:
        with self.lock:
            if not self.is_made:
                self.value, self.is_made = make(), True
            return self.value


@dataclass(frozen=True)
class Statistics:
    """What the scorers read.

    `activity` is always there; the others when a scorer asked for them and the values are finite.
    """

    num_rows: int
    num_features: int
    num_classes: int  # 0 unless the task is classification
    task: Task
    seed: int
    activity: Activity
    moments: Moments | None = None
    label_moments: ClassMoments | TargetMoments | None = None
    class_scatter: ClassScatter | None = None
    spectrum: Spectrum | None = None
    rows: Rows | None = None
    source: AgainstSource | None = None
    tangent: Tangent | None = None  # of differentiable sources
    orders: LabelOrders | None = None  # this and `sample` where zeros and intervals are wanted
    sample: Rows | None = None
    known: dict[str, _Once] = field(default_factory=dict, compare=False, repr=False)  # see `once`

    def once(self, name: str, make: Callable[[], Value]) -> Value:
        """What `make` gives, made once for all scorers and all orders of the labels.

        It may depend on features and seed; what depends on labels has them in its name.
        """
        return self.known.setdefault(name, _Once()).get(make)

    @property
    def class_moments(self) -> ClassMoments:
        """The label moments of a classification target."""
        assert isinstance(self.label_moments, ClassMoments)
        return self.label_moments


def label_columns(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Labels as columns (N, K) of floats.

    They are one-hot for classes, and themselves otherwise (`num_classes` 0).
    """
    return np.eye(num_classes)[labels] if num_classes else labels.astype(np.float64)
