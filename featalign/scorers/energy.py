"""Energy: how strongly the source's own head answers to the target's inputs."""

import numpy as np
from scipy.special import logsumexp

from featalign.records.score import Status
from featalign.scorers.scorer import ALL_TASKS, RowMean, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.source_outputs import SourceOutputs


def compute(statistics: Statistics) -> RowMean | Status:
    """Mean over rows of log Σ_z exp(l_z), l (N, Z) the source's logits: the negative free energy.

    Unbounded, larger is better (inputs like those the source was trained on); it looks at no label,
    and depends on the scale of the logits, so that it compares sources with heads alike only. One
    pass over the logits. ETran adds this term, scaled to [0, 1] over the candidates, to a
    discriminant score; here it is its value alone, since such scaling lets one candidate change the
    scores of the others. Gholami et al., "ETran: Energy-Based Transferability Estimation", ICCV
    2023; Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020.
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
