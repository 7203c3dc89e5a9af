"""The rows of a target as training sees them: preprocessed and split in three parts.

The parts are training, validation and test rows.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featalign.checks import check_whole
from featalign.errors import FeatalignError
from featalign.metrics import Metric, default_metric, metric_for
from featalign.sources.prepared import indexable
from featalign.sources.reading import Reading
from featalign.strata import cut, stratified_rows
from featalign.targets.inputs import Inputs
from featalign.targets.target import Target
from featalign.training.trainer import Rows

VALIDATION_SHARE = 0.2
TEST_SHARE = 0.2
MEMORY = 2**31  # bytes of preprocessed inputs to keep; beyond them each batch is prepared anew


@dataclass(frozen=True, eq=False)
class Split:
    """Rows that train, rows that choose the learning rate, and rows that do nothing but measure.

    `metric` judges validation and test rows where it is not accuracy; `test_groups` are the groups
    of the test rows, if any.
    """

    target: str
    training: Rows
    validation: Rows
    test: Rows
    num_classes: int
    metric: Metric | None = None
    test_groups: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class LazyInputs:
    """Preprocessed inputs that are read when they are asked for."""

    inputs: Inputs
    prepare: Callable[[Any], Any]

    def __getitem__(self, rows: np.ndarray) -> Any:
        made = self.whole(rows)
        return made if isinstance(made, np.ndarray) else made[np.arange(len(rows))]

    def whole(self, rows: np.ndarray) -> Any:
        """Preprocessed inputs of these rows, of which rows can be taken."""
        return indexable(self.prepare(self.inputs.read(rows)))


def split_rows(
    target: Target,
    reading: Reading,
    *,
    seed: int = 0,
    max_test: int | None = None,
    metric: str | None = None,
) -> Split:
    """The split into a stratified fifth for validation, the rest for training, and test rows.

    The held-out rows are the test rows. A target without held-out rows first gives up a fifth of
    its rows for testing, the same ones for every seed. All rows of a group are in one part.
    `max_test` limits the test rows to a stratified part. Raises FeatalignError where the task has
    no classes, or where a part would be empty.
    """
    check_trainable(target, max_test)
    judge = metric_for(target.task, metric)
    target, held_out = parted(target)
    some = measured_rows(held_out.labels, max_test)
    measured, test_labels = held_out.inputs.take(some), held_out.labels[some]
    groups = target.groups and target.groups.values
    training, validation = cut(target.labels, VALIDATION_SHARE, seed=seed + 1, groups=groups)
    if not (len(training) and len(validation) and len(test_labels)):
        raise too_few(target)
    return Split(
        target.name,
        Rows(
            prepared(target.inputs.take(training), reading),
            target.labels[training].astype(np.int32),
        ),
        Rows(
            prepared(target.inputs.take(validation), reading),
            target.labels[validation].astype(np.int32),
        ),
        Rows(prepared(measured, reading), test_labels.astype(np.int32)),
        target.num_classes,
        None if judge.name == default_metric(target.task) else judge,
        None if held_out.groups is None else held_out.groups.values[some],
    )


def check_trainable(target: Target, max_test: int | None) -> None:
    """Raise FeatalignError for a target without classes, and for an unusable `max_test`."""
    if max_test is not None:
        expected = "a whole number of at least 1, or None for all test rows"
        check_whole(max_test, "max_test", expected=expected)
    if target.task != "classification":
        raise FeatalignError(
            f"target: expected classes to fine-tune on, {target.name} is a task of {target.task}; "
            "only classification can be trained"
        )


def measured_rows(labels: np.ndarray, max_test: int | None) -> np.ndarray:
    """The held-out rows that measure: all of them, or a stratified part, always the same."""
    return stratified_rows(labels, max_test)


def hold_out(target: Target) -> Target:
    """The target with held-out rows: its own, or else a stratified fifth, always the same."""
    if target.held_out is not None:
        return target
    kept, held_out = parted(target)
    return replace(kept, held_out=held_out)


def parted(target: Target) -> tuple[Target, Target]:
    """The rows to train and choose with, and the held-out rows of `hold_out`."""
    if target.held_out is not None:
        return target, target.held_out
    groups = target.groups and target.groups.values
    kept, test = cut(target.labels, TEST_SHARE, seed=0, groups=groups)
    if not (len(kept) and len(test)):
        raise too_few(target)
    return target.take(kept), target.take(test)


def too_few(target: Target) -> FeatalignError:
    """What to say of a target whose rows, or groups, do not suffice for all parts."""
    if target.groups is not None and target.groups.count < 3:
        return FeatalignError(
            f"groups: expected a group to train, one to validate and one to test on, "
            f"{target.name} has {target.groups.count}; name smaller groups, or give held-out rows"
        )
    return FeatalignError(
        f"target: expected enough rows to train, validate and test on, {target.name} has "
        f"{len(target)}; add rows"
    )


def prepared(inputs: Inputs, reading: Reading) -> Any:
    """Preprocessed inputs in memory where that suffices, and otherwise as `LazyInputs`."""
    lazy = LazyInputs(inputs, reading.prepare)
    first = lazy.whole(np.arange(1))
    return lazy if first.nbytes * len(inputs) > MEMORY else lazy.whole(np.arange(len(inputs)))
