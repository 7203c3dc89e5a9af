"""A target as it came: what every kind of target is opened to before it is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Part:
    """Rows as they came: inputs that `as_inputs` takes, and a label for each.

    `called` is the name of the inputs in errors.
    """

    inputs: Any
    labels: Any
    called: str = "inputs"


@dataclass(frozen=True, eq=False)
class Raw:
    """The training rows, the held-out rows if the data came with some, and the class names.

    Class names are known where labels are places among them, or to be in their order. `remarks` are
    sentences on what was left out or read otherwise than it was written.
    """

    train: Part
    held_out: Part | None = None
    class_names: Sequence[str] | None = None
    remarks: tuple[str, ...] = ()
