"""The session: what the jobs of one call share, and what lives as long as the call."""

import gc
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol, TypeVar

from featalign.embeddings.store import Store
from featalign.progress import Report, silent

Value = TypeVar("Value")


class Released(Protocol):
    """A model that can leave memory, and is built again when it is needed."""

    def release(self) -> None:
        """Let the model leave memory."""
        ...


@dataclass(frozen=True, kw_only=True)
class Session:
    """The cache and the settings that all jobs of a call share.

    `seed` draws folds and projections, `batch_size` inputs are embedded at a time, and `report`
    hears of long work. The session keeps what `once` made for the other jobs of the call. It holds
    one model at a time in memory.
    """

    store: Store
    seed: int = 0
    batch_size: int = 256
    report: Report = silent
    _made: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _lock: Any = field(default_factory=Lock, repr=False, compare=False)
    _models: list[Released] = field(default_factory=list, repr=False, compare=False)  # at most one
    _models_lock: Any = field(default_factory=Lock, repr=False, compare=False)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def hold(self, model: Released | None) -> None:
        """Let the model go that was used before another one is.

        It is for jobs one after the other. A source without such a model gives None.
        """
        if model is not None and model not in self._models:
            self.let_go()
            with self._models_lock:
                self._models.append(model)

    def let_go(self) -> None:
        """Let the model go that is held."""
        with self._models_lock:
            found, self._models[:] = list(self._models), []
        for model in found:
            model.release()
        if found:
            gc.collect()  # models refer to themselves

    def once(self, name: str, make: Callable[[], Value]) -> Value:
        """What `make` gives; the first job that asks for this name makes it."""
        with self._lock:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]
