"""NCE: how much of the label the source's class leaves unknown."""

import numpy as np

from featalign.records.score import Status
from featalign.scorers.leep import conditional
from featalign.scorers.scorer import RowMean, Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.label_table import LabelTable


def compute(statistics: Statistics) -> RowMean | Status:
    """Negative conditional entropy of the labels given the source's arg-max class.

    It is -H(Y | Z) = Σ P(y, z) log P(y | z), read from the joint table (C, Z) of one pass. It lies
    in [-log C, 0]; larger is better. Cells without a row count 0, where other implementations add
    1e-20 or 1e-5. Tran, Nguyen and Hassner, "Transferability and Hardness of Supervised
    Classification Tasks", ICCV 2019.
    """
    table = statistics.given(LabelTable)
    if table is None:
        return Status.NO_PROBABILITIES
    joint = np.asarray(table.hard)
    shares = conditional(joint)
    return RowMean(
        np.repeat(np.log(np.where(shares > 0, shares, 1.0)).ravel(), joint.astype(np.int64).ravel())
    )


NCE = Scorer(
    "nce",
    compute,
    frozenset({LabelTable}),
    "negative entropy of the labels given the source's class",
    True,
    invariances=frozenset({"rotation", "scale", "shift", "duplication"}),
)
