"""Large products and decompositions in float64: by BLAS and LAPACK on processors, by XLA elsewhere.

On processors the products of XLA take up to four times as long as those of BLAS. What is written
with `arrays()` runs in numpy on processors and in JAX on accelerators.
"""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import eigh, get_lapack_funcs
from scipy.sparse import csr_array

(dposv,) = get_lapack_funcs(("posv",), dtype=np.float64)
BLOCK_VALUES = 2**21


def on_host() -> bool:
    """Whether JAX computes on the processor, where numpy can read its arrays."""
    return jax.default_backend() == "cpu"


def arrays() -> Any:
    """The module of arrays: numpy on processors, jax.numpy on accelerators."""
    return np if on_host() else jnp


def held(tree: Any) -> Any:
    """A pytree whose arrays are of the module `arrays()`."""
    return jax.tree.map(arrays().asarray, tree)


def blocks(num_rows: int, width: int) -> Iterator[slice]:
    """Slices of as many rows as the processor's cache holds; one of all rows on accelerators."""
    size = max(64, BLOCK_VALUES // width) if on_host() else num_rows
    for start in range(0, num_rows, size):
        yield slice(start, min(start + size, num_rows))


def centred(features: Any, mean: Any) -> Any:
    """The features less their mean (M, D) in float64."""
    if not on_host():
        return jnp.asarray(features).astype(mean.dtype) - mean
    rows = np.empty(features.shape)
    for part in blocks(*features.shape):
        np.subtract(features[part], mean, out=rows[part])
    return rows


def symmetric_eigen(matrix: Any) -> tuple[Any, Any]:
    """Eigenvalues (R,), ascending, and eigenvectors (R, R) of a symmetric matrix.

    They are NaN where the matrix is not finite.
    """
    if not on_host():
        return tuple(jnp.linalg.eigh(matrix, symmetrize_input=False))
    if not np.isfinite(matrix.sum()):
        return np.full(len(matrix), np.nan), np.full(matrix.shape, np.nan)
    return eigh(matrix.T, driver="evd", check_finite=False)


def solve_positive(matrix: Any, ridge: Any, right: Any) -> Any:
    """(matrix + ridge I)⁻¹ right (R, K) for a symmetric matrix, of which the upper half is read.

    It is NaN where matrix + ridge I is not positive definite.
    """
    if not on_host():
        shrunk = jnp.triu(matrix) + jnp.triu(matrix, 1).T + ridge * jnp.eye(len(matrix))
        return jax.scipy.linalg.solve(shrunk, right, assume_a="pos")
    shrunk = np.array(matrix, order="F")
    shrunk[np.diag_indices(len(shrunk))] += ridge
    _, solution, fault = dposv(shrunk, right, overwrite_a=True)
    return np.full(right.shape, np.nan) if fault else solution


def squares_product(rows: Any, weights: Any) -> Any:
    """rows² weights, block by block, for rows (M, R) and weights (R,) or (R, P)."""
    parts = [(rows[part] ** 2) @ weights for part in blocks(*rows.shape)]
    return arrays().concatenate(parts)


def class_sums(rows: Any, labels: Any, num_classes: int, weights: Any = None) -> Any:
    """Sums of rows (B, D) by class (C, D), with weights (B,) of the rows."""
    number = len(rows)
    weights = arrays().ones(number) if weights is None else weights
    if not on_host():
        return jax.ops.segment_sum(weights[:, None] * rows, labels, num_classes)
    members = csr_array((weights, (labels, np.arange(number))), shape=(num_classes, number))
    return members @ rows


def group_sums(rows: np.ndarray, groups: np.ndarray, num_groups: int) -> np.ndarray:
    """Sums of rows (B, D) by group for several groupings (P, B) at once: (P, G, D).

    It takes P B D additions, whatever G is.
    """
    number, count = groups.shape
    places = (groups.astype(np.int64) + num_groups * np.arange(number)[:, None]).reshape(-1)
    order = np.argsort(places, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(places, minlength=number * num_groups))])
    members = csr_array(
        (np.ones(number * count), order % count, starts), shape=(number * num_groups, count)
    )
    return (members @ rows).reshape(number, num_groups, -1)
