"""What projects gradients: random read-outs of features, and count sketches of what has gradients.

Each framework projects with what is drawn here, so that equal networks get equal projections.
"""

from collections.abc import Iterator, Sequence

import numpy as np

SKETCH = 1  # raise it whenever the projection changes, because it enters the cache key


def draw_read_outs(width: int, count: int, seed: int) -> np.ndarray:
    """Read-outs (k, F) with independent entries of variance 1/F."""
    return (
        np.random.default_rng([seed, 1]).standard_normal((count, width)) / np.sqrt(width)
    ).astype(np.float32)


def draw_places(
    numbers: Sequence[int], count: int, size: int, seed: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The places into which the numbers of each tensor fall, and their signs.

    For each tensor of P numbers they are the order (k, Q) in which numbers fall into `size` places,
    and the signs (k, Q). Q is P rounded up to a multiple of `size`; numbers beyond P have the sign
    0. Tensors come in the order of their names, in every framework.
    """
    for index, number in enumerate(numbers):
        random = np.random.default_rng([seed, 2, index])
        padded = -(-number // size) * size
        orders = np.stack([random.permutation(padded) for _ in range(count)]).astype(np.int32)
        signs = random.choice(np.array([-1, 1], np.float32), (count, padded))
        yield np.minimum(orders, number - 1), np.where(orders < number, signs, np.float32(0))
