"""A setting of the whole process that holds for as long as somebody is within."""

from collections.abc import Callable
from threading import Lock


class ProcessSetting:
    """The first to come within makes the setting, the last to leave takes it back: also where threads overlap.

    `make` makes it and gives what takes it back.

    >>> said = []
    >>> def make():
    ...     said.append("made")
    ...     return lambda: said.append("taken back")
    >>> setting = ProcessSetting(make)
    >>> with setting, setting:
    ...     said.append("within")
    >>> said
    ['made', 'within', 'taken back']
    """

    def __init__(self, make: Callable[[], Callable[[], None]]) -> None:
        self.make, self.lock, self.within = make, Lock(), 0
        self.take_back: Callable[[], None] = lambda: None

    def __enter__(self) -> None:
        with self.lock:
            if self.within == 0:
                self.take_back = self.make()
            self.within += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.within -= 1
            if self.within == 0:
                self.take_back()
