"""What a user says of a target beside its address."""

from dataclasses import astuple, dataclass


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The columns of a table to read, by name, or None where the table itself tells.

    `label` and `text` may name several, separated by commas. Each choice is a field here, an
    argument of `load_target`, and a line of `CHOICE` in `cli/options.py`.
    """

    label: str | None = None
    text: str | None = None
    image: str | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing was chosen."""
        return all(value is None for value in astuple(self))


NO_CHOICE = Choice()
