"""Whether a source gives a row the same features in every pass, and whatever comes beside it."""

import numpy as np

from featalign.embeddings.extract import inputs_needed
from featalign.embeddings.store import Embedding
from featalign.session import Session
from featalign.sources.source import Source
from featalign.targets.batches import batches
from featalign.targets.target import Target

ROWS = 8  # that are looked at: half of the rows where there are fewer than twice as many
FEWEST = 2  # normalisation by a batch of one row ends in an error
DIFFERENT = 0.02  # share of the spread of the features, beyond what rounding does


def unsteadiness(
    source: Source, target: Target, layer: str, embedding: Embedding, session: Session
) -> tuple[str, ...]:
    """A sentence where some rows get other features in a second pass; it says of what they depend.

    The features in the cache are compared with those of the same rows in another batch. Where these
    differ, a third pass of that very batch tells a source that draws random numbers (dropout left
    on, masking) from one that looks at the whole batch (normalisation left in training, padding
    that counts).
    """
    count = min(ROWS, len(target) // 2)
    if source.features_file is not None or count < FEWEST:
        return ()
    rows = np.arange(count)

    def passed() -> np.ndarray:
        batch = next(batches(target, session.batch_size, rows=rows))
        inputs = batch.inputs[: inputs_needed(source, count, session.batch_size)]
        return np.asarray(source.embed(inputs, [layer])[layer][:count], np.float64)

    kept = _first(embedding, count)
    second = passed()
    if (beside := _difference(kept, second)) <= DIFFERENT:
        return ()
    if (again := _difference(second, passed())) > DIFFERENT:
        return (
            f"two passes of the same rows differ by {again:.0%} of the spread of the features: the "
            "source draws random numbers (dropout left on, or random masking); put it into "
            "evaluation",
        )
    return (
        f"rows depend on their batch: beside others their features differ by {beside:.0%} of "
        "their spread (batch normalisation left in training, or padding that counts); put the "
        "source into evaluation",
    )


def _first(embedding: Embedding, count: int) -> np.ndarray:
    """The features of the first rows, from as many blocks as they need."""
    found: list[np.ndarray] = []
    for _, features in embedding.blocks():
        found.append(features)
        if sum(map(len, found)) >= count:
            break
    return np.concatenate(found)[:count].astype(np.float64)


def _difference(one: np.ndarray, other: np.ndarray) -> float:
    """The root mean square of the difference, as a share of the spread of the features.

    Where all rows are alike their size stands for the spread; what is not finite is left out.
    """
    finite = np.isfinite(one) & np.isfinite(other)
    apart = float(np.sqrt(np.mean(np.where(finite, one - other, 0) ** 2)))
    known = np.where(finite, one, 0)
    spread = float(np.sqrt(np.mean((known - known.mean(axis=0)) ** 2)))
    size = float(np.sqrt(np.mean(known**2)))
    scale = spread if spread > DIFFERENT * size else size
    return apart / scale if scale > 0 else float(apart > 0)
