"""All statistics that are summed in the pass over the features."""

from collections.abc import Collection

from featalign.statistics.activity import Activity
from featalign.statistics.class_moments import ClassMoments, TargetMoments
from featalign.statistics.class_scatter import ClassScatter
from featalign.statistics.moments import Moments
from featalign.statistics.statistic import Shape, Statistic, Summed

SUMMED: tuple[type[Summed], ...] = (Activity, Moments, ClassMoments, TargetMoments, ClassScatter)


def summed(wanted: Collection[type[Statistic]], shape: Shape) -> tuple[type[Summed], ...]:
    """The statistics to sum so that all wanted ones are there.

    They suit the labels, and none of them follows from another one. The activity is always among
    them.
    """
    found = [kind for kind in SUMMED if (kind is Activity or kind in wanted) and kind.suits(shape)]
    implied = frozenset().union(*(kind.implies for kind in found))
    return tuple(kind for kind in found if kind not in implied)
