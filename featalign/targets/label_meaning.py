"""What is said of labels, and how an error for one of them is made."""

from collections.abc import Callable
from dataclasses import dataclass

from featalign.arrays import Task
from featalign.errors import FeatalignError

Label = str | int | float
# part, row, what was expected, what came, what to do
Refuse = Callable[[int, int, str, str, str], FeatalignError]


@dataclass(frozen=True, kw_only=True)
class Meaning:
    """What is said of labels: by the user, or by where they come from.

    `names` are the names of the classes where they are known; `are_names` says that the labels
    themselves are sure to be names, as those of folders are. `called` is the labels' name in
    errors. `typed` labels are what they are: a string is no number.
    """

    task: Task | None = None
    separator: str | None = None
    called: str = "labels"
    names: tuple[str, ...] = ()
    are_names: bool = False
    typed: bool = False

    @property
    def is_sure(self) -> bool:
        """Whether there are classes for sure."""
        return self.task == "classification" or self.are_names or bool(self.names)
