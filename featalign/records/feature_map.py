"""Features of a source on a target, seen along their two principal directions."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FeatureMap:
    """Some rows of an embedding as points in the plane in which they vary most.

    `points` are (first, second) coordinates, `labels` the class of each, and `variances` the shares
    of all variance that the two directions hold. `num_rows` are the rows that there are.
    """

    source: str
    layer: str
    points: tuple[tuple[float, float], ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...]
    variances: tuple[float, float]
    num_rows: int
