"""One model in memory at a time.

A model is built when it is first asked for, and let go when another one is.
"""

import gc
from collections.abc import Callable
from typing import Any, Generic, TypeVar

Model = TypeVar("Model")
_HELD: list["Resident[Any]"] = []  # at most one


class Resident(Generic[Model]):
    """A model that is built by `build` whenever it is needed and not in memory.

    >>> first, second = Resident(lambda: "first model"), Resident(lambda: "second model")
    >>> first(), second(), first.is_held, second.is_held
    ('first model', 'second model', False, True)
    """

    def __init__(self, build: Callable[[], Model]) -> None:
        self.build = build
        self.model: Model | None = None

    @property
    def is_held(self) -> bool:
        """Whether the model is in memory."""
        return self.model is not None

    def __call__(self) -> Model:
        """The model; what was in memory of other sources is let go first."""
        if self.model is None:
            for other in _HELD:
                other.model = None
            _HELD.clear()
            gc.collect()
            self.model = self.build()
            _HELD.append(self)
        return self.model
