"""A target as it came, before it is checked: every form of data is opened to this."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, eq=False)
class Part:
    """Rows as they came, with inputs that `as_inputs` takes, and a label for each row.

    `called` is the name of the inputs in errors.
    """

    inputs: Any
    labels: Any
    called: str = "inputs"


@dataclass(frozen=True, eq=False)
class Raw:
    """The training rows, the held-out rows if the data came with some, and the class names.

    There are class names where labels are places among them, or are to be in their order.
    """

    train: Part
    held_out: Part | None = None
    class_names: Sequence[str] | None = None
