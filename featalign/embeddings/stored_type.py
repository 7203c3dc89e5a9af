"""The number types an embedding can be kept in, and what is lost on the way into them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Stored:
    """Features in the type in which they are kept, with two counts of values.

    One counts values that were not finite, the other values that the conversion made infinite.
    """

    values: np.ndarray
    nonfinite_count: int
    overflow_count: int


def numpy_type(dtype: str) -> np.dtype:
    """The numpy type of a name; bfloat16 comes from ml_dtypes.

    >>> numpy_type("float16").itemsize
    2
    """
    if dtype == "bfloat16":
        import ml_dtypes  # not needed for the other types

        return np.dtype(ml_dtypes.bfloat16)
    return np.dtype(dtype)


def to_stored(features: np.ndarray, dtype: str) -> Stored:
    """Features (N, D) converted to `dtype`, with counts of what is not finite and what overflows.

    >>> stored = to_stored(np.array([[1.0, 1e6, np.nan]]), "float16")
    >>> stored.nonfinite_count, stored.overflow_count
    (1, 1)
    """
    finite = np.isfinite(features)
    nonfinite = int(features.size - np.count_nonzero(finite))
    wanted = numpy_type(dtype)
    if features.dtype == wanted:
        return Stored(features, nonfinite, 0)
    with np.errstate(over="ignore", invalid="ignore"):
        values = features.astype(wanted)
    return Stored(values, nonfinite, int(np.count_nonzero(finite & ~np.isfinite(values))))


def to_bits(values: np.ndarray) -> np.ndarray:
    """The array HDF5 can hold, little-endian.

    bfloat16 becomes its bits in uint16; everything else stays as it is.
    """
    bits = values.view(np.uint16) if values.dtype.name == "bfloat16" else values
    return np.ascontiguousarray(bits, dtype=bits.dtype.newbyteorder("<"))


def from_bits(bits: np.ndarray, dtype: str) -> np.ndarray:
    """The inverse of `to_bits`, without a copy."""
    return bits.view(numpy_type(dtype)) if dtype == "bfloat16" else bits
