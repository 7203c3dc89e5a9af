"""Few rows of each class: what a target is like where labels are scarce."""

from dataclasses import replace

import numpy as np

from featalign.checks import check_whole
from featalign.errors import FeatalignError
from featalign.strata import class_after_class, cut
from featalign.targets.target import Target

TEST_SHARE = 0.2  # as training gives up for testing where there are no held-out rows


def few_shot(target: Target, per_class: int, seed: int = 0) -> Target:
    """Exactly so many training rows of each class, in their original order.

    The same seed gives the same rows in every process, and fewer rows lie within more. Held-out
    rows stay as they are; where there are none, a stratified fifth, the same for every seed, is
    held out first, so that all draws are measured on the same rows. Raises FeatalignError for a
    target without classes, and for a class with fewer rows.

    >>> inputs = np.arange(40.0).reshape(20, 2)
    >>> target = Target.from_arrays("numbers", inputs, [0] * 14 + [1] * 6)
    >>> few_shot(target, 3).labels
    array([0, 0, 0, 1, 1, 1])
    """
    per_class = check_whole(
        per_class, "per_class", expected="a whole number of rows of each class, at least 1"
    )
    if target.task != "classification":
        raise FeatalignError(
            f"per_class: expected a target with classes, {target.name} is a task of "
            f"{target.task}; use subset in its place"
        )
    aside = ""
    if target.held_out is None:
        groups = target.groups and target.groups.values
        kept, test = cut(target.labels, TEST_SHARE, seed=0, groups=groups)
        if len(kept) and len(test):
            target = replace(target.take(kept), held_out=target.take(test))
            aside = ", after a fifth was set aside to test on"
    counts = np.bincount(target.labels, minlength=target.num_classes)
    least = int(counts.argmin())
    if counts[least] < per_class:
        raise FeatalignError(
            f"per_class: expected at most {counts[least]}, the rows of "
            f"{target.class_names[least]!r} in {target.name}{aside}, got {per_class}; ask for "
            "fewer, or leave the class out"
        )
    ordered = class_after_class(target.labels, np.random.default_rng(seed))
    starts = np.cumsum(counts) - counts
    rows = (starts[:, None] + np.arange(per_class)).reshape(-1)
    return target.take(np.sort(ordered[rows]))
