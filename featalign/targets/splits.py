"""Training, validation and test rows of a target."""

from dataclasses import dataclass

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.stratification import stratified_order
from featalign.targets.target import Target


@dataclass(frozen=True, eq=False)
class Splits:
    """Row numbers of a target, each in ascending order, each row in one part."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray


def split(target: Target, *, validation: float = 0.2, test: float = 0.2, seed: int = 0) -> Splits:
    """Split the rows of a target, stratified by class and seeded.

    `validation` and `test` are fractions of the rows; 0 leaves the part empty, for instance `test`
    where the target has held-out rows, which are not touched here. Every class keeps a training
    row, so a class with a single row is only trained on, and the other parts shrink where there
    would be too few rows for that. Raises FeatalignError for fractions that leave nothing to train
    on, or when the rows do not suffice for the parts asked for.

    >>> parts = split(Target.from_arrays("numbers", np.ones((10, 2)), [0, 1] * 5))
    >>> len(parts.train), len(parts.validation), len(parts.test)
    (6, 2, 2)
    """
    for name, fraction in (("validation", validation), ("test", test)):
        if not 0 <= fraction < 1:
            raise FeatalignError(
                f"{name}: expected a fraction of the rows from 0 to below 1, got {fraction}"
            )
    if validation + test >= 1:
        raise FeatalignError(
            f"validation, test: expected fractions that leave rows to train on, got {validation} "
            f"and {test}"
        )
    must_train = len(np.unique(target.labels)) if target.class_names else 1
    spare = target.num_rows - must_train
    asked = sum(fraction > 0 for fraction in (validation, test))
    if spare < asked:
        raise FeatalignError(
            f"{target.name}: expected a training row of each class and {asked} rows to hold out, "
            f"got {target.num_rows} rows with {must_train} classes; add rows or ask for fewer parts"
        )
    num_test, num_validation = (
        max(round(fraction * target.num_rows), 1) if fraction else 0
        for fraction in (test, validation)
    )
    if num_test + num_validation > spare:  # shrink both alike, but not to nothing
        num_test = min(
            max(round(spare * test / (test + validation)), int(test > 0)),
            spare - int(validation > 0),
        )
        num_validation = spare - num_test
    # every beginning of the order is stratified and the first has every class: scikit-learn's
    # StratifiedShuffleSplit refuses
    # singletons, and may leave a rare class without a training row
    order = stratified_order(target.labels, seed)
    train, held = np.split(order, [target.num_rows - num_validation - num_test])
    return Splits(np.sort(train), np.sort(held[:num_validation]), np.sort(held[num_validation:]))
