"""Blocks of rows of any sizes as batches of one static size."""

from collections.abc import Iterable, Iterator

import numpy as np

from featalign.arrays import check_features
from featalign.errors import FeatalignError

BATCH_ROWS = 2048
# larger batches fall out of the processor's cache, and their buffers are mapped anew each time
BATCH_VALUES = 2**20


def batch_size(num_rows: int, width: int) -> int:
    """The number of rows in a batch: a power of two, smaller for wide features and for few rows.

    >>> [batch_size(10**6, width) for width in (64, 512, 768, 2048)], batch_size(100, 64)
    ([2048, 2048, 1024, 512], 128)
    """
    most = min(BATCH_ROWS, max(64, 1 << max(1, BATCH_VALUES // width).bit_length() - 1))
    return min(most, max(8, 1 << (num_rows - 1).bit_length()))


def batches(
    blocks: Iterable[np.ndarray], width: int, size: int
) -> Iterator[tuple[np.ndarray, int]]:
    """Rows in batches of `size`, with the number of the first row.

    The last batch may be smaller. The sizes of the blocks do not matter.
    """
    start, rest = 0, None
    for block in blocks:
        block = check_features(block)
        if block.shape[1] != width:
            raise FeatalignError(
                f"features: expected {width} columns in every block, got {block.shape[1]}; all "
                "rows must come from one layer of one source"
            )
        if rest is not None and len(rest):
            block = np.concatenate([rest, block])
        offset = 0
        while offset + size <= len(block):
            yield block[offset : offset + size], start
            offset, start = offset + size, start + size
        rest = block[offset:]
    if rest is not None and len(rest):
        yield rest, start


def padded(
    batch: np.ndarray, labels: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Batch and labels with rows of zeros up to `size`, and which rows are real (size,)."""
    missing = size - len(batch)
    valid = np.arange(size) < len(batch)
    if not missing:
        return batch, labels, valid
    grown = [
        np.concatenate([part, np.zeros((missing, *part.shape[1:]), part.dtype)])
        for part in (batch, labels)
    ]
    return grown[0], grown[1], valid
