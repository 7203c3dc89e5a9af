"""LEEP: how well the source's class probabilities predict the labels."""

from collections.abc import Sequence

import numpy as np

from featalign.records.score import Status
from featalign.scorers.scorer import RowMean, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.label_table import LabelTable
from featalign.statistics.source_outputs import SourceOutputs


def compute(statistics: Statistics) -> RowMean | Status:
    """Log expected empirical prediction: mean over rows of log Σ_z P(y | z) θ_z.

    θ (N, Z) are the source's class probabilities. P(y | z) = Σ_{rows of label y} θ_z / Σ θ_z comes
    from their joint table with the labels. The value is at most 0; larger is better. Source classes
    without mass have no part in the sum, where one other implementation divides 0 by 0 and another
    adds 1e-10. The outputs are read twice: for the table, and for the mean. Nguyen et al., "LEEP: A
    New Measure to Evaluate Transferability of Learned Representations", ICML 2020.
    """
    outputs = statistics.given(SourceOutputs)
    if outputs is None:
        return Status.NO_PROBABILITIES
    return RowMean(_log_predictions(outputs, [_pair(statistics)])[0])


def permuted(relabelled: Sequence[Statistics]) -> list[float]:
    """The values for several orders of the labels, in one pass over the outputs."""
    pairs = [_pair(statistics) for statistics in relabelled]
    found = _log_predictions(relabelled[0][SourceOutputs], pairs)
    return [float(values.mean()) for values in found]


def _pair(statistics: Statistics) -> tuple[np.ndarray, np.ndarray]:
    """P(y | z) (C, Z) and labels (N,)."""
    return conditional(np.asarray(statistics[LabelTable].soft)), statistics.labels.values


def _log_predictions(
    outputs: SourceOutputs, pairs: Sequence[tuple[np.ndarray, np.ndarray]]
) -> list[np.ndarray]:
    """The log predictions (N,) for each pair of P(y | z) and labels (N,)."""
    found, start = [np.empty(len(labels)) for _, labels in pairs], 0
    for block in outputs.probabilities():
        rows = slice(start, start + len(block))
        for values, (given_source, labels) in zip(found, pairs, strict=True):
            values[rows] = log_predictions(block, given_source, labels[rows])
        start += len(block)
    return found


def conditional(joint: np.ndarray) -> np.ndarray:
    """P(y | z) (C, Z) from the joint table, 0 where z has no mass."""
    mass = joint.sum(axis=0)
    return np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)


def log_predictions(
    probabilities: np.ndarray, given_source: np.ndarray, labels: np.ndarray
) -> np.ndarray:
    """The logarithm (B,) of Σ_z P(y | z) θ_z for rows with probabilities θ (B, Z) and labels y."""
    return np.log(np.einsum("nz,nz->n", probabilities, given_source[labels]))


LEEP = Scorer(
    "leep",
    compute,
    frozenset({SourceOutputs, LabelTable}),
    "log likelihood of the labels given the source's class probabilities",
    True,
    invariances=frozenset({"rotation", "scale", "shift", "duplication"}),
    permuted=permuted,
)
