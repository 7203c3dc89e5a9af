"""The one pass over the features, which collects what the chosen scorers need."""

from collections.abc import Iterable
from itertools import chain
from typing import Any

import numpy as np

from featalign.arrays import Labels, check_features
from featalign.errors import FeatalignError
from featalign.statistics.activity import Activity
from featalign.statistics.batching import batch_size, batches, padded
from featalign.statistics.catalogue import summed
from featalign.statistics.class_moments import ClassMoments, TargetMoments
from featalign.statistics.collected import Statistics, label_columns
from featalign.statistics.decomposition import spectrum_from_moments, spectrum_from_rows
from featalign.statistics.label_orders import ForIntervals, OrderSums
from featalign.statistics.label_table import LabelTable, label_table, tables_in_orders
from featalign.statistics.moments import Moments, moments_of_rows
from featalign.statistics.precision import double_precision
from featalign.statistics.principal_rows import PrincipalRows
from featalign.statistics.rows import HeldRows, Rows
from featalign.statistics.source_outputs import SourceOutputs
from featalign.statistics.spectrum import Spectrum
from featalign.statistics.statistic import Shape, Statistic
from featalign.statistics.sums import Sums

MAX_ROWS = 20_000
SAMPLE_ROWS = 2000  # rows for intervals, where no scorer needs more
Needs = frozenset[type[Statistic]]


def gather(
    features: np.ndarray | Iterable[np.ndarray],
    labels: Labels,
    needs: Needs,
    *,
    seed: int = 0,
    batch_rows: int | None = None,
    max_rows: int = MAX_ROWS,
    given: Iterable[Statistic] = (),
    for_intervals: bool = False,
) -> Statistics:
    """Statistics of features (N, D), given whole or as an iterable of blocks of rows in order.

    Memory holds one batch and the moments. Where a scorer needs rows, it holds at most `max_rows`
    of them; where N <= D, it holds all rows. Batches have `batch_rows` rows, by default as many as
    stay in the processor's cache. The last one is padded and masked, so that each D is compiled
    once. `given` are statistics that do not come from the features: draws of gradients, and the
    source's outputs, which are read in a pass of their own. `for_intervals` also collects the sums
    under permuted labels and a sample of rows. Raises FeatalignError when the blocks do not fit
    each other or the labels.
    """
    num_rows = len(labels.values)
    blocks = iter([features] if isinstance(features, np.ndarray) else features)
    first = next(blocks, None)
    if first is None:
        raise FeatalignError(
            f"features: expected {num_rows} rows, got none; check that the embedding is complete"
        )
    first = check_features(first)
    width = first.shape[1]
    wide = num_rows <= width and bool(needs & {Moments, Spectrum, PrincipalRows})
    needs = _with_parts(needs, wide=wide)
    shape = Shape(width, labels.num_classes, 0 if labels.classes else labels.values.shape[1])
    kinds = summed(needs - {Moments} if wide else needs, shape)
    most = num_rows if wide else max_rows if Rows in needs else SAMPLE_ROWS * for_intervals
    held = HeldRows(num_rows, most, seed)
    labels_moved = labels.values.astype(np.int32 if labels.classes else np.float64)
    size = batch_rows or batch_size(num_rows, width)
    with double_precision():
        orders = OrderSums(labels, seed, kinds, width) if for_intervals else None
        sums = Sums(kinds, shape, num_rows, orders)
        for batch, start in batches(chain([first], blocks), width, size):
            if start + len(batch) > num_rows:
                raise FeatalignError(
                    f"features: expected {num_rows} rows, one for each label, got more; check that "
                    "both come from the same data"
                )
            held.take(batch, start)
            sums.take(*padded(batch, labels_moved[start : start + len(batch)], size))
        summed_up, centre = sums.finish()
        rows = held.finish(labels.values, labels.groups)
        found: dict[type[Statistic], Any] = dict.fromkeys(needs)
        found |= {type(each): each for each in summed_up}
        found |= {type(each): each for each in given if type(each) in needs}
        _add_held(found, rows, labels, wide=wide)
        tabled = LabelTable in needs and found[SourceOutputs] is not None and labels.num_classes
        if tabled:
            found[LabelTable] = label_table(found[SourceOutputs], labels, size)
        if orders is not None:
            tables = tables_in_orders(found[SourceOutputs], labels, orders.orders) if tabled else ()
            found[ForIntervals] = ForIntervals(orders.finish(centre, tables), rows)
    return Statistics(labels, width, seed, found)


def _with_parts(needs: Needs, *, wide: bool) -> Needs:
    """The needed statistics, and those that they are made from."""
    if PrincipalRows in needs:
        needs |= {Rows, Spectrum}
    if Spectrum in needs and not wide:
        needs |= {Moments, ClassMoments, TargetMoments}
    if LabelTable in needs:
        needs |= {SourceOutputs}
    return needs


def _add_held(found: dict[type[Statistic], Any], rows: Rows, labels: Labels, *, wide: bool) -> None:
    """Add the rows and the spectrum to `found`.

    `wide` says that N <= D, so that the rows serve in place of the scatter.
    """
    if Rows in found:
        found[Rows] = rows
    if float(found[Activity].not_finite) > 0:
        return
    if wide:
        features = rows.features.astype(np.float64)
        found[Moments] = moments_of_rows(features)
        if Spectrum in found:
            columns = label_columns(labels.values, labels.num_classes)
            found[Spectrum] = spectrum_from_rows(features, columns)
    elif Spectrum in found:
        label_moments = found[ClassMoments if labels.num_classes else TargetMoments]
        found[Spectrum] = spectrum_from_moments(found[Moments], label_moments)
    if PrincipalRows in found:
        found[PrincipalRows] = PrincipalRows(rows.held, found[Spectrum])
