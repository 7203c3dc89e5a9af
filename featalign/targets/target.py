"""The target: the user's labelled dataset."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from featalign.arrays import Labels, Task
from featalign.checks import check_whole
from featalign.errors import FeatalignError
from featalign.strata import by_first_row, stratified_order
from featalign.targets.choice import Choice
from featalign.targets.conversion import as_inputs
from featalign.targets.groups import Groups, read_groups
from featalign.targets.inputs import Inputs, Kind
from featalign.targets.label_arrays import has_no_labels, negative_class, settle
from featalign.targets.label_meaning import Meaning
from featalign.targets.label_names import look_alikes
from featalign.targets.labels import (
    HELD_OUT,
    LABELS,
    check_count,
    held_out_labels,
    training_labels,
)
from featalign.targets.raw import Part, Raw
from featalign.targets.tokens import groups_of_words, word_part

FINGERPRINT_SCHEMA = "featalign target 1"


@dataclass(frozen=True, eq=False, repr=False)
class Target:
    """A labelled dataset: the training rows, and the held-out rows where the data came with some.

    `labels` are class indices (N,) int64 into `class_names`; without class names zeros and ones (N,
    K) uint8 for multi-label, or float64 targets (N, K) for regression. Every class of a target that
    was loaded or built occurs in its rows; `take` keeps the class names, so a part may miss some.
    `held_out` has the same class names and enters neither the fingerprint nor the subsets.
    `remarks` are sentences on what was left out or read otherwise than it was written, which
    rankings show; they enter nothing. Rows of one of the `groups` come into one fold and one part
    of every split; they change no features, and do not enter the fingerprint.
    """

    name: str
    inputs: Inputs
    labels: np.ndarray
    class_names: tuple[str, ...]
    held_out: "Target | None" = None
    remarks: tuple[str, ...] = ()
    groups: Groups | None = None

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.labels):
            raise FeatalignError(
                f"{self.name}: expected as many labels as inputs, got {len(self.inputs)} inputs "
                f"and {len(self.labels)} labels; "
                "check that both come from the same data"
            )
        if self.groups is not None and len(self.groups.values) != len(self.labels):
            raise FeatalignError(
                f"{self.name}: expected the group of each of {len(self.labels)} rows, got "
                f"{len(self.groups.values)}"
            )

    @staticmethod
    def from_arrays(
        name: str,
        inputs: Any,
        labels: Any,
        class_names: Sequence[str] | None = None,
        *,
        held_out: tuple[Any, Any] | tuple[Any, Any, Any] | None = None,
        task: Task | None = None,
        separator: str | None = None,
        groups: Any = None,
    ) -> "Target":
        """A target from arrays in memory.

        Parameters
        ----------
        name
            The name of the target in reports.
        inputs
            Numbers (N, ...), a list of images of any sizes, or a list of strings. uint8 (N, H, W)
            or (N, H, W, 1 | 3 | 4) are images, and so are floats of these shapes in [0, 1].
        labels
            Integers (gaps allowed), strings or booleans (N,) for classes; zeros and ones (N, K) for
            multi-label; floats (N,) or (N, K) for regression.
        class_names
            The name of each class from 0 on with integer labels, and the order of the classes with
            strings. Names without a row are dropped.
        held_out
            Inputs and labels, and groups if there are any, of rows kept for measuring accuracy, in
            the same form.
        task
            "classification", "regression" or "multilabel"; by default it is told from the labels,
            and what cannot be told is asked for.
        separator
            What stands between several labels in one string, such as "|".
        groups
            The group of each row (N,), such as its patient, video or page: strings or whole
            numbers. Rows of a group stay together in folds and splits.

        Raises FeatalignError for lengths that differ, NaN, fewer than two classes, a class that
        occurs only in the held-out rows, or a row without a group.

        >>> Target.from_arrays("moods", ["good", "bad", "fine"], ["up", "down", "up"])
        Target('moods', 3 texts, 2 classes)
        >>> scores = [0, 1, 2, 1]
        >>> Target.from_arrays("scores", np.eye(4), scores, task="regression")
        Target('scores', 4 arrays, regression)
        """
        choice = Choice(task=task, separator=separator)
        beside = held_out[2] if held_out and len(held_out) > 2 else None
        held = held_out and Part(held_out[0], held_out[1], "held-out inputs", beside)
        raw = Raw(Part(inputs, labels, groups=groups), held, class_names)
        return build(name, replace(raw, task=choice.task, separator=choice.separator))

    @staticmethod
    def from_tokens(
        name: str,
        sentences: Sequence[Sequence[str]],
        labels: Sequence[Sequence[Any]],
        class_names: Sequence[str] | None = None,
        *,
        held_out: tuple[Sequence[Sequence[str]], Sequence[Sequence[Any]]] | None = None,
        groups: Sequence[Any] | None = None,
    ) -> "Target":
        """A target whose rows are words, each with a label and read in its sentence.

        Labels are names of things or parts of speech, for example. `sentences` are lists of words,
        and `labels` are lists of as many labels; `groups` has the group of each sentence, and all
        else is as in `from_arrays`. Folds and subsets are drawn from words, so that words of one
        sentence may fall on both sides, unless its number or that of its page is its group.

        >>> sentences = [["Ann", "sings"], ["Call", "Bob"]]
        >>> Target.from_tokens("names", sentences, [["NAME", "O"], ["O", "NAME"]])
        Target('names', 4 tokens, 2 classes)
        """
        held = held_out and word_part(held_out[0], held_out[1], which="held-out ")
        train = word_part(sentences, labels)
        if groups is not None:
            train = replace(train, groups=groups_of_words(sentences, groups))
        return build(name, Raw(train, held, class_names, are_names=True))

    @property
    def kind(self) -> Kind:
        """What a row is: "image", "text", "token" or "array"."""
        return self.inputs.kind

    @property
    def num_rows(self) -> int:
        """The number of rows, without the held-out ones."""
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """The number of class names; 0 for multi-label and regression."""
        return len(self.class_names)

    @property
    def task(self) -> Task:
        """What there is to predict: "classification", "multilabel" or "regression"."""
        return Labels(self.labels, self.class_names).task

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of what the target holds: inputs row by row, labels, class names.

        The name, a path or a time is no part of it.
        """
        digest = hashlib.sha256()
        task = [self.task] if self.task == "multilabel" else []
        digest.update(
            json.dumps(
                [FINGERPRINT_SCHEMA, self.kind, self.labels.shape, self.class_names, *task]
            ).encode()
        )
        digest.update(self.inputs.row_digests().tobytes())
        digest.update(self.labels.astype("<f8" if self.labels.ndim == 2 else "<i8").tobytes())
        return digest.hexdigest()

    @property
    def in_folds(self) -> Labels:
        """The labels and the groups, which say how rows come into folds."""
        groups = None if self.groups is None else self.groups.values
        return Labels(self.labels, self.class_names, groups)

    @property
    def groups_digest(self) -> str | None:
        """The SHA-256 of which rows belong together, whatever their groups are called; or None.

        It stands beside the fingerprint in the key of what depends on folds.
        """
        if self.groups is None:
            return None
        numbers = by_first_row(self.groups.values)
        return hashlib.sha256(numbers.astype("<i8").tobytes()).hexdigest()

    def with_groups(self, groups: Any, held_out: Any = None) -> "Target":
        """The target with the group of each row, and of each held-out row where they are known.

        Raises FeatalignError as `from_arrays` does.

        >>> target = Target.from_arrays("numbers", np.eye(4), [0, 1, 0, 1])
        >>> target.with_groups(["ann", "ann", "bob", "bob"]).groups.names
        ('ann', 'bob')
        """
        part = self.held_out
        if part is None and held_out is not None:
            raise FeatalignError(
                f"held_out: expected None, since {self.name} has no held-out rows, got groups"
            )
        lengths = [len(self), *([] if part is None else [len(part)])]
        own, *others = read_groups([groups, held_out][: len(lengths)], lengths)
        if part is not None:
            part = replace(part, groups=others[0])
        return replace(self, groups=own, held_out=part)

    def take(self, rows: np.ndarray) -> "Target":
        """These rows alone, in this order, with the same class names and the same held-out rows."""
        rows = check_rows(rows, self.num_rows)
        groups = self.groups and self.groups.take(rows)
        return replace(self, inputs=self.inputs.take(rows), labels=self.labels[rows], groups=groups)

    def subset(self, n: int, seed: int = 0) -> "Target":
        """So many rows, stratified by class, each class at least once, in their original order.

        It is the target itself when that has no more rows. The same seed gives the same rows in
        every process, and smaller subsets lie within larger ones. Raises FeatalignError when n is
        smaller than the number of classes.

        >>> inputs = np.arange(20.0).reshape(10, 2)
        >>> target = Target.from_arrays("numbers", inputs, [0] * 8 + [5] * 2)
        >>> target.subset(5, seed=1).labels
        array([0, 0, 0, 0, 1])
        """
        n = check_whole(n, "subset", expected="a whole number of rows of at least 1")
        occurring = len(np.unique(self.labels)) if self.class_names else 1
        if n < occurring:
            raise FeatalignError(
                f"subset: expected at least one row for each of the {occurring} classes of "
                f"{self.name}, got {n}; ask for {occurring} or more"
            )
        if n >= self.num_rows:
            return self
        return self.take(np.sort(stratified_order(self.labels, seed)[:n]))

    def __len__(self) -> int:
        return self.num_rows

    def __repr__(self) -> str:
        classes = f"{self.num_classes} classes" if self.class_names else self.task
        held_out = f", {self.held_out.num_rows} held out" if self.held_out else ""
        grouped = f", {self.groups.count} groups" if self.groups else ""
        return f"Target({self.name!r}, {self.num_rows} {self.kind}s, {classes}{grouped}{held_out})"


def build(name: str, raw: Raw) -> Target:
    """A target from its data as they came: inputs, labels, and held-out rows.

    Raises FeatalignError as `Target.from_arrays` does.
    """
    parts = [raw.train] if raw.held_out is None else [raw.train, raw.held_out]
    meaning = Meaning(
        task=raw.task,
        separator=raw.separator,
        names=tuple(raw.class_names or ()),
        are_names=raw.are_names,
        typed=True,
    )
    all_inputs = [as_inputs(part.inputs, name=part.called) for part in parts]
    for part, inputs, what in zip(parts, all_inputs, (LABELS, HELD_OUT), strict=False):
        check_count(part.labels, len(inputs), what)
    left: tuple[str, ...] = ()
    if len(parts) > 1 and has_no_labels(parts[1].labels, parts[0].labels):
        left = (f"left out: {len(all_inputs[1])} held-out rows, which have no labels",)
        parts, all_inputs = parts[:1], all_inputs[:1]
    counts = [len(inputs) for inputs in all_inputs]
    settled = settle([part.labels for part in parts], meaning)
    all_inputs = [
        inputs if rows is None else inputs.take(rows)
        for inputs, rows in zip(all_inputs, settled.kept, strict=True)
    ]
    inputs, given = all_inputs[0], settled.parts[0]
    labels = training_labels(given, len(inputs), raw.class_names, task=raw.task)
    remarks = (
        *raw.remarks,
        *left,
        *settled.remarks,
        *look_alikes(labels.classes),
        *negative_class(labels.classes, LABELS),
    )
    groups = read_groups([part.groups for part in parts], counts)
    groups = [
        each if each is None or rows is None else each.take(rows)
        for each, rows in zip(groups, settled.kept, strict=True)
    ]
    target = Target(name, inputs, labels.values, labels.classes, remarks=remarks, groups=groups[0])
    if len(parts) == 1:
        return target
    held_inputs, held_given = all_inputs[1], settled.parts[1]
    if held_inputs.kind != inputs.kind:
        raise FeatalignError(
            f"held-out inputs: expected {inputs.kind}s like the training rows, got "
            f"{held_inputs.kind}s"
        )
    values = held_out_labels(held_given, len(held_inputs), raw.class_names, labels, task=raw.task)
    held = Target(f"{name} (held out)", held_inputs, values, labels.classes, groups=groups[1])
    return replace(target, held_out=held)


def check_rows(rows: object, num_rows: int) -> np.ndarray:
    """Row indices as int64 (B,).

    Raises FeatalignError unless there is at least one and all lie in 0..num_rows-1.
    """
    array = np.asarray(rows)
    if array.ndim != 1 or array.size == 0 or array.dtype.kind not in "iu":
        raise FeatalignError(
            f"rows: expected row numbers in one dimension, at least one, got {array.dtype.name} of "
            f"shape {array.shape}"
        )
    if array.min() < 0 or array.max() >= num_rows:
        raise FeatalignError(
            f"rows: expected numbers from 0 to {num_rows - 1}, got {array.min()} to {array.max()}"
        )
    return array.astype(np.int64)
