"""What a user says of a target beside its address."""

from dataclasses import dataclass
from typing import get_args

from featalign.arrays import Task
from featalign.checks import check_whole
from featalign.errors import FeatalignError

TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The columns of a table to read, by name, or None where the table itself tells.

    `label` and `text` may name several, separated by commas. `groups` names the column of the
    group of each row. `per_class` takes so many training rows of each class. `task` is what there
    is to predict, None to tell it from the labels, and `separator` stands between several labels in
    a string. These last three are for every form of data. One thing more to choose is a field here,
    an argument of `load_target`, and a line of `CHOICE` in `cli/options.py`.
    """

    label: str | None = None
    text: str | None = None
    image: str | None = None
    task: Task | None = None
    separator: str | None = None
    groups: str | None = None
    per_class: int | None = None

    def __post_init__(self) -> None:
        if self.per_class is not None:
            expected = "a whole number of rows of each class, at least 1"
            check_whole(self.per_class, "per_class", expected=expected)
        if self.task is not None and self.task not in TASKS:
            raise FeatalignError(
                f"task: expected {', '.join(map(repr, TASKS[:-1]))} or {TASKS[-1]!r}, got "
                f"{self.task!r}; leave it out to tell it from the labels"
            )
        if self.separator is not None and not (isinstance(self.separator, str) and self.separator):
            raise FeatalignError(
                f"separator: expected a sign such as '|', got {self.separator!r}; several columns "
                "of labels need none"
            )
        if self.separator is not None and self.task not in (None, "multilabel"):
            raise FeatalignError(
                f"separator: expected the task 'multilabel' beside it, got {self.task!r}; leave "
                "one of the two out"
            )

    @property
    def names_columns(self) -> bool:
        """Whether columns were named."""
        columns = (self.label, self.text, self.image, self.groups)
        return any(value is not None for value in columns)


NO_CHOICE = Choice()
