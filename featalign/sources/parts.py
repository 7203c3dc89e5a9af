"""A batch in parts that fit into memory.

Parts are halved when they do not fit, and the next one is prepared while one is computed.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from featalign.errors import FeatalignError, first_line

# frameworks say this when memory is short, on processors and accelerators
SIGNS = (
    "out of memory",
    "not enough memory",
    "RESOURCE_EXHAUSTED",
    "Failed to allocate memory",
    "Unable to allocate",
    "bad allocation",
)


@dataclass
class AtOnce:
    """How many inputs go through a source at a time.

    `limit` is None where all inputs of a batch go at once. `before` is the number before memory ran
    out, if it did. `singly` says why gradients were computed for one input after the other, where
    they were.
    """

    limit: int | None = None
    before: int | None = None
    singly: str | None = None

    def halve(self, size: int) -> None:
        """Take half as many from now on."""
        self.before, self.limit = self.before or size, size // 2

    @property
    def sentences(self) -> tuple[str, ...]:
        """Sentences for the user: on memory that ran out, and on inputs taken one by one."""
        cut = (
            f"batches of {self.before} inputs did not fit into memory and were cut to "
            f"{self.limit}; the features are the same"
        )
        singly = (
            "gradients were computed for one input after the other, because the network does not "
            f"take several at once in torch.func.vmap ({self.singly}); they are the same"
        )
        return (cut,) * (self.before is not None) + (singly,) * (self.singly is not None)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory did not suffice.

    >>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    True
    >>> is_out_of_memory(RuntimeError("bad shape"))
    False
    """
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in SIGNS)


def in_parts(
    inputs: Any,
    prepare: Callable[[Any], Any],
    run: Callable[[Any], Mapping[str, Any]],
    at_once: AtOnce,
    *,
    name: str,
) -> dict[str, np.ndarray]:
    """`run(prepare(part))` for all parts of a batch, put together again, by layer.

    Texts of several parts are taken in the order of their lengths, so that those of one part are
    padded little. Raises FeatalignError when not even one input fits.
    """
    count = len(inputs)
    sorting = at_once.limit is not None and count > at_once.limit and isinstance(inputs[0], str)
    order = (
        np.argsort([-len(text) for text in inputs], kind="stable") if sorting else np.arange(count)
    )
    collected: dict[str, list[np.ndarray]] = {}
    start, waiting = 0, None  # `waiting` is the next part being prepared, and where it ends

    def made(start: int, stop: int) -> Any:
        rows = order[start:stop]
        whole = start == 0 and stop == count and not sorting
        part = (
            inputs
            if whole
            else inputs[rows]
            if isinstance(inputs, np.ndarray)
            else [inputs[row] for row in rows]
        )
        return prepare(part)

    with ThreadPoolExecutor(1) as pool:
        while start < count:
            stop = min(count, start + (at_once.limit or count))
            try:
                part = waiting.result() if waiting is not None else made(start, stop)
                following = min(count, stop + (at_once.limit or count))
                waiting = pool.submit(made, stop, following) if stop < count else None
                emitted = {layer: np.asarray(features) for layer, features in run(part).items()}
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                if stop - start == 1:
                    raise FeatalignError(
                        f"{name}: not even one input fits into memory "
                        f"({first_line(error)}); choose a smaller source, smaller images or "
                        "shorter texts, or a machine with more memory"
                    ) from error
                at_once.halve(stop - start)
                waiting = None
                continue
            for layer, features in emitted.items():
                collected.setdefault(layer, []).append(features)
            start = stop
    if all(len(parts) == 1 for parts in collected.values()) and not sorting:
        return {layer: parts[0] for layer, parts in collected.items()}
    back = np.argsort(order, kind="stable")
    return {layer: np.concatenate(parts)[back] for layer, parts in collected.items()}
