"""A model that is in memory only while it is needed."""

from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Model = TypeVar("Model")


class Resident(Generic[Model]):
    """A model that `build` makes whenever it is needed and not in memory.

    >>> model = Resident(lambda: "a model")
    >>> model(), model.is_held
    ('a model', True)
    >>> model.release()
    >>> model.is_held, model()
    (False, 'a model')
    """

    def __init__(self, build: Callable[[], Model]) -> None:
        self.build = build
        self.model: Model | None = None
        self.lock = Lock()

    def __getstate__(self) -> dict[str, object]:
        """What another process gets: how to build the model, and not the model."""
        return {"build": self.build}

    def __setstate__(self, state: dict[str, Callable[[], Model]]) -> None:
        self.__init__(state["build"])

    @property
    def is_held(self) -> bool:
        """Whether the model is in memory."""
        return self.model is not None

    def __call__(self) -> Model:
        """The model, built where it is not in memory."""
        with self.lock:
            if self.model is None:
                self.model = self.build()
            return self.model

    def release(self) -> None:
        """Let the model leave memory; whoever uses it now keeps it until done."""
        with self.lock:
            self.model = None
