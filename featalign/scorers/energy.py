"""Energy: how strongly the source's own head responds to the target's inputs."""

import numpy as np
from scipy.special import logsumexp

from featalign.records.score import Status
from featalign.scorers.scorer import ALL_TASKS, RowMean, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.source_outputs import SourceOutputs


def compute(statistics: Statistics) -> RowMean | Status:
    """The negative free energy: the mean over rows of log Σ_z exp(l_z) of the source's logits l.

    The logits are (N, Z). The value is unbounded; larger is better, because it means inputs like
    those the source was trained on. It uses no label. It depends on the scale of the logits, so it
    compares only sources with like heads. It takes one pass over the logits. ETran scales this term
    to [0, 1] over the candidates and adds it to a discriminant score. Here it stands alone and
    unscaled, because such scaling lets one candidate change the scores of the others. Gholami et
    al., "ETran: Energy-Based Transferability Estimation", ICCV 2023; Liu et al., "Energy-based
    Out-of-distribution Detection", NeurIPS 2020.
    """
    outputs = statistics.given(SourceOutputs)
    if outputs is None or not outputs.are_logits:
        return Status.NO_LOGITS
    return RowMean(
        np.concatenate([np.asarray(logsumexp(block, axis=1)) for block in outputs.logits()])
    )


ENERGY = Scorer(
    "energy",
    compute,
    frozenset({SourceOutputs}),
    "mean log-sum-exp of the source's logits",
    True,
    tasks=ALL_TASKS,
    uses_labels=False,
    invariances=frozenset({"rotation", "scale", "shift", "duplication"}),
)
