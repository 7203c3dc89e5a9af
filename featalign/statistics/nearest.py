"""The nearest other rows of each row, exactly, by products in float32."""

import numpy as np

BLOCK = 512  # rows whose neighbours are searched at once
GROUP = 32  # distances that share one minimum in the search
SPARE = 3  # candidates beyond those asked for, to tell that no other row can be nearer
AMBIGUOUS = 64  # such candidates in float64, where rows far from the centre lie close together
BEYOND = 1e30  # farther than any row, because features are scaled to at most 1


def nearest(features: np.ndarray, count: int, groups: np.ndarray | None = None) -> np.ndarray:
    """The `count` nearest other rows of each row (N, count) int32, nearest first.

    Distances are Euclidean. Equally near rows come in the order of the rows. With groups (N,) only
    rows of other groups count, of which each row must have so many.

    One float32 product of centred rows bounds every squared distance from below: |x|² - 2 qx less
    its rounding error. The few rows with the lowest bounds are compared in float64. Where the last
    of those kept is not below the bounds of all others, the row is done again in float64. The
    result is exact, unless more than 64 rows lie within rounding of each other and 1e7 times as far
    from the centre.
    """
    total, width = features.shape
    centre, scale = _centre(features)
    # rounding of a product of n float32 terms is at most about n 2^-24 of the sum of their sizes
    error = 1.05 * (width + 16) * 2.0**-24
    grown = -(-total // GROUP) * GROUP
    # without groups each row is a group of its own
    groups = np.arange(total) if groups is None else np.unique(groups, return_inverse=True)[1]
    groups = groups.reshape(-1)
    bounds = np.zeros(
        (grown, width + 2), np.float32
    )  # -2 x, |x|² (1 - error), |x|: against q, 1, -2 error |q|
    bounds[total:, width] = BEYOND
    squares = np.empty(total)
    for start in range(0, total, BLOCK):
        rows = (features[start : start + BLOCK] - centre) * scale
        squares[start : start + BLOCK] = (rows**2).sum(axis=1)
        bounds[start : start + len(rows), :width] = -2 * rows
    bounds[:total, width] = squares * (1 - error)
    bounds[:total, width + 1] = np.sqrt(squares)
    found = np.empty((total, count), np.int32)
    unsure = []
    for start in range(0, total, BLOCK):
        numbers = np.arange(start, min(start + BLOCK, total))
        candidates, others = _candidates(bounds, numbers, groups, error, count + SPARE)
        distances = _distances(features, numbers, candidates, groups)
        order = np.argsort(distances, axis=1, kind="stable")[:, :count]
        found[numbers] = np.take_along_axis(candidates, order, axis=1)
        last = np.take_along_axis(distances, order[:, -1:], axis=1)[:, 0] * scale**2
        certain = last - squares[numbers] + 1e-12 * (last + squares[numbers]) + 1e-30 < others
        unsure.append(numbers[~certain])
    again = np.concatenate(unsure)
    for start in range(0, len(again), BLOCK // 2):
        numbers = again[start : start + BLOCK // 2]
        found[numbers] = _nearest_in_double(features, centre, numbers, groups, count)
    return found


def _centre(features: np.ndarray) -> tuple[np.ndarray, float]:
    """A point (D,) near the mean, and a scale for the differences to it.

    The scale is the power of two that brings the differences to at most 1. The mean is rounded to
    multiples of a power of two near the spread, so that whole numbers stay whole and equal
    distances stay equal.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    spread = max(
        float((features.max(axis=0) - mean).max()), float((mean - features.min(axis=0)).max())
    )
    exponent = int(np.frexp(spread)[1])
    step = np.ldexp(1.0, exponent - 1)
    return np.round(mean / step) * step, float(np.ldexp(1.0, -exponent - 1))


def _candidates(
    bounds: np.ndarray, numbers: np.ndarray, groups: np.ndarray, error: float, number: int
) -> tuple[np.ndarray, np.ndarray]:
    """The places (Q, number) with the lowest bounds for these rows, and the next bound (Q,)."""
    queries = bounds[numbers]
    queries[:, :-2] *= -0.5
    queries[:, -2] = 1
    queries[:, -1] *= -2 * error
    lower = queries @ bounds.T
    _leave_out(lower, numbers, groups, BEYOND)
    return _lowest(lower, number)


def _lowest(lower: np.ndarray, number: int) -> tuple[np.ndarray, np.ndarray]:
    """The places (Q, number) of the lowest bounds of each row, and the lowest bound (Q,) elsewhere.

    The places are in ascending order.
    """
    queries, columns = lower.shape
    # the columns of a group are equally far apart, so that minima are taken over contiguous slices
    grouped = lower.reshape(queries, GROUP, columns // GROUP)
    minima = grouped.min(axis=1)
    # the lowest bounds lie in the groups with the lowest minima
    wanted = min(number + 1, minima.shape[1])
    groups = np.argpartition(minima, wanted - 1, axis=1)[:, :wanted]
    places = (np.arange(GROUP)[None, :, None] * minima.shape[1] + groups[:, None, :]).reshape(
        queries, -1
    )
    values = np.take_along_axis(lower, places, axis=1)
    order = np.argpartition(values, number, axis=1)[:, : number + 1]
    others = np.take_along_axis(values, order[:, number:], axis=1)[:, 0]
    return np.sort(np.take_along_axis(places, order[:, :number], axis=1), axis=1), others


def _leave_out(values: np.ndarray, numbers: np.ndarray, groups: np.ndarray, far: float) -> None:
    """Set the values (Q, >= N) of rows to all rows of their own group to a value that is far."""
    own, counts = groups[numbers], np.bincount(groups)
    if counts.max() == 1:
        values[np.arange(len(numbers)), numbers] = far
        return
    order = np.argsort(groups, kind="stable")
    starts = np.cumsum(counts) - counts
    for place, group in enumerate(own):
        values[place, order[starts[group] : starts[group] + counts[group]]] = far


def _distances(
    features: np.ndarray, numbers: np.ndarray, candidates: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Squared distances (Q, M) in float64, infinite to a row's own group and past the end."""
    distances = np.empty(candidates.shape)
    for column in range(candidates.shape[1]):
        places = np.minimum(candidates[:, column], len(features) - 1)
        apart = np.subtract(features[places], features[numbers], dtype=np.float64)
        distances[:, column] = np.einsum("qd,qd->q", apart, apart)
    own = groups[np.minimum(candidates, len(features) - 1)] == groups[numbers][:, None]
    distances[own | (candidates >= len(features))] = np.inf
    return distances


def _nearest_in_double(
    features: np.ndarray,
    centre: np.ndarray,
    numbers: np.ndarray,
    groups: np.ndarray,
    count: int,
) -> np.ndarray:
    queries = features[numbers] - centre
    distances = np.empty((len(numbers), len(features)))
    for start in range(0, len(features), BLOCK):
        rows = features[start : start + BLOCK] - centre
        # the square of the query itself changes no order, so it is left out
        distances[:, start : start + BLOCK] = (rows**2).sum(axis=1) - 2 * queries @ rows.T
    _leave_out(distances, numbers, groups, np.inf)
    # rows that lie closer together than products can tell are ranked by their differences
    near = np.sort(np.argsort(distances, axis=1, kind="stable")[:, : count + AMBIGUOUS], axis=1)
    apart = _distances(features, numbers, near, groups)
    order = np.argsort(apart, axis=1, kind="stable")[:, :count]
    return np.take_along_axis(near, order, axis=1).astype(np.int32)
