"""The shift between training and held-out rows of images, by features that have learnt nothing."""

import numpy as np

from featalign.forecasting.shift import Shift
from featalign.jobs.embedded import extracted
from featalign.jobs.gather_evidence import REFERENCE
from featalign.jobs.tangent import FIRST_TWIN
from featalign.session import Session
from featalign.sources import catalogue
from featalign.statistics.nearest import nearest
from featalign.strata import stratified_rows
from featalign.targets.target import Target

MOST = 2000  # rows of either part, more tell no more


def shift_of(target: Target, session: Session) -> Shift | None:
    """The shift of a target of images with held-out rows, or None where it is not known.

    Features are those of fresh weights of a small network, which are the same for every source and
    favour none. Each part is a stratified sample of up to 2,000 rows.
    """
    held_out = target.held_out
    if held_out is None or target.kind != "image" or target.task != "classification":
        return None
    training, measured = (
        part if len(part) <= MOST else part.take(stratified_rows(part.labels, MOST))
        for part in (target, held_out)
    )
    if len(training) <= target.num_classes:
        return None
    twin = catalogue.load(REFERENCE).random_twin(FIRST_TWIN)
    layer = twin.default_layer
    known, new = (
        extracted(twin, part, [layer], session)[layer].read_all().astype(np.float64)
        for part in (training, measured)
    )
    own = training.labels[nearest(known, 1)[:, 0]] == training.labels
    # |x - y|² up to what is the same for all y
    distances = (known**2).sum(axis=1) - 2 * new @ known.T
    other = training.labels[distances.argmin(axis=1)] == measured.labels
    return Shift(
        within=float(own.mean()),
        across=float(other.mean()),
        num_rows=len(own),
        num_held_out=len(other),
    )
