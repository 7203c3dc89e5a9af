"""A target as it came, before it is checked: every form of data is opened to this."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from featalign.arrays import Task


@dataclass(frozen=True, eq=False)
class Part:
    """Rows as they came, with inputs that `as_inputs` takes, and a label for each row.

    `called` is the name of the inputs in errors, and `groups` has the group of each row, if any.
    """

    inputs: Any
    labels: Any
    called: str = "inputs"
    groups: Any = None


@dataclass(frozen=True, eq=False)
class Raw:
    """The training rows, the held-out rows if the data came with some, and the class names.

    Class names are known where labels are places among them, or to be in their order. `remarks` are
    sentences on what was left out or read otherwise than it was written. `task` is None where it
    is to be told from the labels; `separator` stands between several labels in a string; and
    `are_names` says that labels are names of classes for sure, as those of folders are.
    """

    train: Part
    held_out: Part | None = None
    class_names: Sequence[str] | None = None
    remarks: tuple[str, ...] = ()
    task: Task | None = None
    separator: str | None = None
    are_names: bool = False
