"""The target: the user's labelled dataset."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from featalign.arrays import Labels, Task, check_labels
from featalign.checks import check_whole
from featalign.errors import FeatalignError
from featalign.strata import stratified_order
from featalign.targets.conversion import as_inputs
from featalign.targets.inputs import Inputs, Kind
from featalign.targets.tokens import token_inputs, word_labels

FINGERPRINT_SCHEMA = "featalign target 1"


@dataclass(frozen=True, eq=False, repr=False)
class Target:
    """A labelled dataset: the training rows, and the held-out rows where the data came with some.

    `labels` are class indices (N,) int64 into `class_names`; without class names zeros and ones (N,
    K) uint8 for multi-label, or float64 targets (N, K) for regression. Every class of a target that
    was loaded or built occurs in its rows; `take` keeps the class names, so a part may miss some.
    `held_out` has the same class names and enters neither the fingerprint nor the subsets.
    """

    name: str
    inputs: Inputs
    labels: np.ndarray
    class_names: tuple[str, ...]
    held_out: "Target | None" = None

    def __post_init__(self) -> None:
        if len(self.inputs) != len(self.labels):
            raise FeatalignError(
                f"{self.name}: expected as many labels as inputs, got {len(self.inputs)} inputs "
                f"and {len(self.labels)} labels; "
                "check that both come from the same data"
            )

    @staticmethod
    def from_arrays(
        name: str,
        inputs: Any,
        labels: Any,
        class_names: Sequence[str] | None = None,
        *,
        held_out: tuple[Any, Any] | None = None,
    ) -> "Target":
        """A target from arrays in memory.

        Parameters
        ----------
        name
            What to call it in reports.
        inputs
            Numbers (N, ...), a list of images of any sizes, or a list of strings. uint8 (N, H, W)
            or (N, H, W, 1 | 3 | 4) are images, floats of these shapes in [0, 1] too.
        labels
            Integers (gaps allowed), strings or booleans (N,) for classes; zeros and ones (N, K) for
            multi-label; floats (N,) or (N, K) for regression.
        class_names
            With integer labels, the name of each class from 0 on; with strings, the order of the
            classes. Names without a row are dropped.
        held_out
            Inputs and labels of rows kept for measuring accuracy, in the same form.

        Raises FeatalignError for lengths that differ, NaN, fewer than two classes, or a class that
        occurs only in the held-out rows.

        >>> Target.from_arrays("moods", ["good", "bad", "fine"], ["up", "down", "up"])
        Target('moods', 3 texts, 2 classes)
        """
        held = (
            None
            if held_out is None
            else (as_inputs(held_out[0], name="held-out inputs"), held_out[1])
        )
        return build_target(name, as_inputs(inputs), labels, class_names, held)

    @staticmethod
    def from_tokens(
        name: str,
        sentences: Sequence[Sequence[str]],
        labels: Sequence[Sequence[Any]],
        class_names: Sequence[str] | None = None,
        *,
        held_out: tuple[Sequence[Sequence[str]], Sequence[Sequence[Any]]] | None = None,
    ) -> "Target":
        """A target whose rows are words, each with a label and read in its sentence.

        Labels are names of things or parts of speech, for example.

        `sentences` are lists of words, `labels` lists of as many labels; all else is as in
        `from_arrays`. Folds and subsets are of words, so that words of one sentence may fall on
        both sides.

        >>> sentences = [["Ann", "sings"], ["Call", "Bob"]]
        >>> Target.from_tokens("names", sentences, [["NAME", "O"], ["O", "NAME"]])
        Target('names', 4 tokens, 2 classes)
        """
        held = (
            None
            if held_out is None
            else (
                token_inputs(held_out[0], name="held-out sentences"),
                word_labels(*held_out, name="held-out labels"),
            )
        )
        return build_target(
            name, token_inputs(sentences), word_labels(sentences, labels), class_names, held
        )

    @property
    def kind(self) -> Kind:
        """What a row is: "image", "text", "token" or "array"."""
        return self.inputs.kind

    @property
    def num_rows(self) -> int:
        """Number of rows, the held-out ones not counted."""
        return len(self.labels)

    @property
    def num_classes(self) -> int:
        """Number of class names; 0 for multi-label and regression."""
        return len(self.class_names)

    @property
    def task(self) -> Task:
        """What there is to predict: "classification", "multilabel" or "regression"."""
        return Labels(self.labels, self.class_names).task

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of what the target holds: inputs row by row, labels, class names.

        Never the name, a path or a time.
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

    def take(self, rows: np.ndarray) -> "Target":
        """These rows alone, in this order, with the same class names and the same held-out rows."""
        rows = check_rows(rows, self.num_rows)
        return replace(self, inputs=self.inputs.take(rows), labels=self.labels[rows])

    def subset(self, n: int, seed: int = 0) -> "Target":
        """So many rows, stratified by class, each class at least once, in their original order.

        It is the target itself when that has no more rows.

        The same seed gives the same rows in every process, and smaller subsets lie within larger
        ones. Raises FeatalignError when n is smaller than the number of classes.

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
        return f"Target({self.name!r}, {self.num_rows} {self.kind}s, {classes}{held_out})"


def build_target(
    name: str,
    inputs: Inputs,
    labels: Any,
    class_names: Sequence[str] | None = None,
    held_out: tuple[Inputs, Any] | None = None,
) -> Target:
    """A target from inputs and labels as they come.

    Labels are checked and encoded, and classes without a training row are dropped. Raises
    FeatalignError as `Target.from_arrays` says.
    """
    encoded = _encoded(labels, len(inputs), class_names, "labels")
    if encoded.values.ndim == 1 and encoded.num_classes < 2:
        raise FeatalignError(
            f"labels: expected at least two classes, got only {encoded.classes[0]!r} in all "
            f"{len(inputs)} rows; add rows of another class"
        )
    target = Target(name, inputs, encoded.values, encoded.classes)
    if held_out is None:
        return target
    held_inputs, held_labels = held_out
    if held_inputs.kind != inputs.kind:
        raise FeatalignError(
            f"held-out inputs: expected {inputs.kind}s like the training rows, got "
            f"{held_inputs.kind}s"
        )
    held = _encoded(held_labels, len(held_inputs), class_names, "held-out labels")
    if held.values.shape[1:] != encoded.values.shape[1:]:
        raise FeatalignError(
            "held-out labels: expected the form of the training labels, got shape "
            f"{held.values.shape} beside {encoded.values.shape}"
        )
    return replace(
        target,
        held_out=Target(
            f"{name} (held out)", held_inputs, _aligned(held, encoded.classes), encoded.classes
        ),
    )


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


def _encoded(
    labels: Any, num_rows: int, class_names: Sequence[str] | None, argument: str
) -> Labels:
    if labels is None:
        raise FeatalignError(
            f"{argument}: expected one label for each of the {num_rows} rows, got None; a target "
            "without labels cannot be judged"
        )
    checked = check_labels(labels, num_rows, name=argument)
    if class_names is None:
        return checked
    names = tuple(str(name) for name in class_names)
    if checked.values.ndim == 2:
        raise FeatalignError(
            f"class_names: given for {argument} of the task {checked.task}, which has no classes; "
            f"make the {argument} integers (N,) "
            "or leave the names out"
        )
    if len(set(names)) != len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise FeatalignError(
            f"class_names: expected every name once, got {repeated!r} more than once; rename one"
        )
    named = _named(checked, np.asarray(labels).dtype.kind in "iub", names, argument)
    occurring = tuple(name for name in names if name in set(named))
    return Labels(
        np.array([occurring.index(name) for name in named], np.int64)[checked.values], occurring
    )


def _named(checked: Labels, integers: bool, names: tuple[str, ...], argument: str) -> list[str]:
    """The name of each class of the labels.

    Integers count from 0 along the names; strings must be among them.
    """
    if not integers:
        unknown = [name for name in checked.classes if name not in names]
        if unknown:
            raise FeatalignError(
                f"class_names: expected a name for every class, {argument} hold {unknown[0]!r}, "
                f"which is not among the {len(names)} names"
            )
        return list(checked.classes)
    positions = [
        int(name == "True") if name in ("True", "False") else int(name) for name in checked.classes
    ]
    if min(positions) < 0 or max(positions) >= len(names):
        raise FeatalignError(
            f"class_names: the {argument} go from {min(positions)} to {max(positions)} and count "
            f"from 0 along the {len(names)} names; "
            "add names or renumber the labels"
        )
    return [names[position] for position in positions]


def _aligned(held: Labels, class_names: tuple[str, ...]) -> np.ndarray:
    """The labels of held-out rows as indices into the class names of the training rows."""
    if held.values.ndim == 2:
        return held.values
    unseen = [name for name in held.classes if name not in class_names]
    if unseen:
        count = int(np.isin(held.values, [held.classes.index(name) for name in unseen]).sum())
        raise FeatalignError(
            "held-out labels: expected only classes that have training rows, got "
            f"{', '.join(repr(name) for name in unseen[:5])} "
            f"in {count} of {len(held.values)} held-out rows; add training rows or drop these"
        )
    return np.array([class_names.index(name) for name in held.classes], np.int64)[held.values]
