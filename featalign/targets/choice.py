"""What a user says of a target beside its address."""

from dataclasses import astuple, dataclass


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The columns of a table to read, by name; None for what is plain from the table itself.

    `label` and `text` may name several, separated by commas. One thing more to choose is a field
    here, an argument of `load_target`, and a line of `CHOICE` in `cli/options.py`.
    """

    label: str | None = None
    text: str | None = None
    image: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was said."""
        return all(value is None for value in astuple(self))


NO_CHOICE = Choice()
