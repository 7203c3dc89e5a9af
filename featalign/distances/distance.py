"""What a distance is, what it answers, and what it is given."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from featalign.arrays import check_features
from featalign.errors import FeatalignError


@dataclass(frozen=True, eq=False)
class DistanceResult:
    """A distance, with the p-value of its test where it has one.

    `by_feature` holds the distance of each feature (D,) where `value` is their mean.
    """

    value: float
    by_feature: np.ndarray | None = field(default=None, repr=False)
    p_value: float | None = None


@dataclass(frozen=True)
class Distance:
    """A distance of reference features (N, D) and others (M, D), larger the further they are apart.

    By convention the two are called different above the `threshold` of the value, or below the
    `p_threshold` of the p-value. Either is None where there is no convention.
    """

    name: str
    compute: Callable[[np.ndarray, np.ndarray, int], DistanceResult]
    description: str
    highest: float | None = None
    threshold: float | None = None
    p_threshold: float | None = None

    def __call__(self, reference: object, other: object, *, seed: int = 0) -> DistanceResult:
        """The distance of two sets of features, in float64.

        Raises FeatalignError for arrays that are not (N, D) and (M, D) with at least two rows each,
        and for values that are not finite.
        """
        return self.compute(*check_pair(reference, other), seed)

    def is_different(self, result: DistanceResult) -> bool | None:
        """Whether the two sets are by convention called different, or None without a convention."""
        if self.p_threshold is not None and result.p_value is not None:
            return result.p_value < self.p_threshold
        return None if self.threshold is None else result.value > self.threshold


def check_pair(reference: object, other: object) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of features of one width as float64.

    Raises FeatalignError for other shapes, fewer than two rows, values that are not finite, and
    values so large or so small that their squares are lost.
    """
    first, second = (
        check_features(each, name=name).astype(np.float64)
        for each, name in ((reference, "reference"), (other, "other"))
    )
    if first.shape[1] != second.shape[1]:
        raise FeatalignError(
            f"other: expected {first.shape[1]} columns, as reference has, got {second.shape[1]}; "
            "take both features from one source and layer"
        )
    for name, features in (("reference", first), ("other", second)):
        if len(features) < 2:
            raise FeatalignError(
                f"{name}: expected at least 2 rows, got {len(features)}; a distance of "
                "distributions needs examples of both"
            )
        bad = ~np.isfinite(features).all(axis=1)
        if bad.any():
            raise FeatalignError(
                f"{name}: expected finite values, got others in {int(bad.sum())} rows (first: row "
                f"{int(np.argmax(bad))}); drop them"
            )
        if np.abs(features).max() > 1e150:
            raise FeatalignError(
                f"{name}: expected values up to 1e150, got {np.abs(features).max():.3g}, whose "
                "squares leave float64; scale both sets"
            )
    largest = max(np.abs(features).max() for features in (first, second))
    if 0 < largest < 1e-150:
        got = f"got at most {largest:.3g}, whose squares leave float64; scale both sets"
        raise FeatalignError(f"reference, other: expected values down to 1e-150, {got}")
    return first, second
