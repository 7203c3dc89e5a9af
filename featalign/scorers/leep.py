"""LEEP: how well the source's class probabilities predict the labels."""

import numpy as np

from featalign.scorers.scorer import Scorer, Status
from featalign.statistics.gather import Statistics


def compute(statistics: Statistics) -> float | Status:
    """Log expected empirical prediction: mean over rows of log Σ_z P(y | z) θ_z.

    θ (N, Z) are the source's class probabilities and P(y | z) = Σ_{rows of label y} θ_z / Σ θ_z, from their joint table with the labels. At most 0,
    larger is better. Source classes without mass have no part in the sum (a peer divides 0 by 0 there, another adds 1e-10). The outputs are read
    twice: for the table, and for the mean. Nguyen et al., "LEEP: A New Measure to Evaluate Transferability of Learned Representations", ICML 2020.
    """
    source = statistics.source
    if source is None or source.table is None:
        return Status.NO_PROBABILITIES
    given_source = conditional(np.asarray(source.table.soft))
    total, start = 0.0, 0
    for block in source.outputs.probabilities():
        total += log_predictions(block, given_source, source.labels[start : start + len(block)]).sum()
        start += len(block)
    return total / start


def conditional(joint: np.ndarray) -> np.ndarray:
    """P(y | z) (C, Z) from the joint table; 0 where z has no mass."""
    mass = joint.sum(axis=0)
    return np.divide(joint, mass, out=np.zeros_like(joint), where=mass > 0)


def log_predictions(probabilities: np.ndarray, given_source: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Logarithm of Σ_z P(y | z) θ_z (B,) of rows with probabilities θ (B, Z) and labels y (B,)."""
    return np.log(np.einsum("nz,nz->n", probabilities, given_source[labels]))


LEEP = Scorer(
    "leep",
    compute,
    frozenset({"source_probabilities"}),
    "log likelihood of the labels given the source's class probabilities",
    True,
    invariances=frozenset({"rotation", "scale", "shift", "duplication"}),
)
