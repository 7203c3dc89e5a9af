"""LEEP: how well the source's class probabilities predict the labels."""

from collections.abc import Sequence

import numpy as np

from featalign.records.score import Status
from featalign.scorers.scorer import RowMean, Scorer
from featalign.statistics.gather import Statistics
from featalign.statistics.source_outputs import SourceOutputs


def compute(statistics: Statistics) -> RowMean | Status:
    """Log expected empirical prediction: mean over rows of log Σ_z P(y | z) θ_z.

    θ (N, Z) are the source's class probabilities and P(y | z) = Σ_{rows of label y} θ_z / Σ θ_z,
    from their joint table with the labels. At most 0, larger is better. Source classes without mass
    have no part in the sum (a peer divides 0 by 0 there, another adds 1e-10). The outputs are read
    twice: for the table, and for the mean. Nguyen et al., "LEEP: A New Measure to Evaluate
    Transferability of Learned Representations", ICML 2020.
    """
    source = statistics.source
    if source is None or source.table is None:
        return Status.NO_PROBABILITIES
    given_source = conditional(np.asarray(source.table.soft))
    return RowMean(_log_predictions(source.outputs, [(given_source, source.labels)])[0])


def permuted(relabelled: Sequence[Statistics]) -> list[float]:
    """The values for several orders of the labels, in one pass over the outputs."""
    sources = [statistics.source for statistics in relabelled if statistics.source is not None]
    pairs = [
        (conditional(np.asarray(source.table.soft)), source.labels)
        for source in sources
        if source.table is not None
    ]
    return [float(values.mean()) for values in _log_predictions(sources[0].outputs, pairs)]


def _log_predictions(
    outputs: SourceOutputs, pairs: Sequence[tuple[np.ndarray, np.ndarray]]
) -> list[np.ndarray]:
    """For each pair of P(y | z) and labels (N,) the log predictions (N,)."""
    found, start = [np.empty(len(labels)) for _, labels in pairs], 0
    for block in outputs.probabilities():
        rows = slice(start, start + len(block))
        for values, (given_source, labels) in zip(found, pairs, strict=True):
            values[rows] = log_predictions(block, given_source, labels[rows])
        start += len(block)
    return found


def conditional(joint: np.ndarray) -> np.ndarray:
    """P(y | z) (C, Z) from the joint table; 0 where z has no mass."""
    mass = joint.sum(axis=0)
    return np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)


def log_predictions(
    probabilities: np.ndarray, given_source: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """Logarithm of Σ_z P(y | z) θ_z (B,) of rows with probabilities θ (B, Z) and labels y (B,)."""
    return np.log(np.einsum("nz,nz->n", probabilities, given_source[labels]))


LEEP = Scorer(
    "leep",
    compute,
    frozenset({"source_probabilities"}),
    "log likelihood of the labels given the source's class probabilities",
    True,
    invariances=frozenset({"rotation", "scale", "shift", "duplication"}),
    permuted=permuted,
)
