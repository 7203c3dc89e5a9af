"""The sums of one pass: JAX adds batch after batch, and BLAS adds the scatter beside it."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from featalign.errors import FeatalignError
from featalign.statistics.label_orders import OrderSums
from featalign.statistics.moments import Moments
from featalign.statistics.products import on_host
from featalign.statistics.scatter_sum import CentreSums, ScatterSum
from featalign.statistics.statistic import Batch, Shape, Summed

State = tuple[Summed, ...]
Point = tuple[jax.Array, jax.Array]


class Sums:
    """Gathers statistics of some types while padded batches of rows stream by.

    On processors the moments come from `CentreSums`, and BLAS sums the scatter. Sums outside of JAX
    lag one batch behind, so that they run while JAX computes the next batch.
    """

    def __init__(
        self,
        kinds: tuple[type[Summed], ...],
        shape: Shape,
        num_rows: int,
        order_sums: OrderSums | None,
    ):
        by_blas = Moments in kinds and on_host()
        self.state: State = _empty_state(
            tuple(CentreSums if by_blas and kind is Moments else kind for kind in kinds), shape
        )
        self.scatter = ScatterSum(shape.num_features) if by_blas else None
        is_read = order_sums is not None and order_sums.are_read
        self.order_sums = order_sums if is_read else None
        self.num_classes, self.num_rows, self.seen = shape.num_classes, num_rows, 0
        self.centre: Point | None = None
        self.pending: tuple[jax.Array | None, int, int] = (None, 0, 0)

    def take(self, rows: np.ndarray, labels: np.ndarray, valid: np.ndarray) -> None:
        """Add the valid rows of a padded batch."""
        if self.centre is None:
            self.centre = _centre(rows, valid)
        self.state, about = _update(
            self.state,
            rows,
            labels,
            valid,
            self.centre,
            num_classes=self.num_classes,
            centred=self.scatter is not None or self.order_sums is not None,
        )
        self._sum_pending()
        start, self.seen = self.seen, self.seen + int(valid.sum())
        self.pending = about, start, self.seen

    def _sum_pending(self) -> None:
        about, start, stop = self.pending
        if self.scatter is not None and about is not None:
            self.scatter.add(about)
        if self.order_sums is not None and about is not None:
            self.order_sums.take(np.asarray(about)[: stop - start], start)

    def finish(self) -> tuple[State, np.ndarray]:
        """The statistics, and the point (D,) that the rows were about.

        Raises FeatalignError where there were too few rows.
        """
        if self.seen != self.num_rows or self.centre is None:
            raise FeatalignError(
                f"features: expected {self.num_rows} rows, one for each label, got {self.seen}; "
                "check that both come from the same data"
            )
        self._sum_pending()
        state = tuple(
            self.scatter.moments(each)
            if isinstance(each, CentreSums) and self.scatter is not None
            else each
            for each in self.state
        )
        return _from_zero(state, *self.centre), np.asarray(self.centre[0] + self.centre[1])


@partial(jax.jit, static_argnames=("kinds", "shape"))
def _empty_state(kinds: tuple[type[Summed], ...], shape: Shape) -> State:
    """The state that every pass starts from.

    It is compiled so that no two arrays share a buffer, and the updates may donate them.
    """
    return tuple(kind.empty(shape) for kind in kinds)


@jax.jit
def _centre(features: jax.Array, valid: jax.Array) -> Point:
    """The point about which moments are summed: the first row, and the first batch's mean about it.

    Differences to the first row are nearly exact. A constant column therefore has exactly no
    variance, and an offset costs no digits.
    """
    features = features.astype(jnp.float64)
    row = jnp.where(jnp.isfinite(features[0]), features[0], 0.0)
    return row, jnp.where(valid[:, None], features - row, 0.0).sum(axis=0) / valid.sum()


@partial(jax.jit, static_argnames=("num_classes", "centred"), donate_argnums=0)
def _update(
    state: State,
    features: jax.Array,
    labels: jax.Array,
    valid: jax.Array,
    centre: Point,
    *,
    num_classes: int,
    centred: bool,
) -> tuple[State, jax.Array | None]:
    """The state after one more batch, and the rows about `centre` where they are wanted."""
    features = jnp.where(valid[:, None], features.astype(jnp.float64), 0.0)
    rows = jnp.where(valid[:, None], (features - centre[0]) - centre[1], 0.0)
    batch = Batch(features, rows, labels, valid, num_classes)
    merged = tuple(each.merge(type(each).from_batch(batch)) for each in state)
    return merged, rows if centred else None


@jax.jit
def _from_zero(state: State, row: jax.Array, mean: jax.Array) -> State:
    """The state with its means counted from zero, and the statistics that follow from it."""
    moved = [each.from_zero(row + mean) for each in state]
    return (*moved, *(other for each in moved for other in each.implied()))
