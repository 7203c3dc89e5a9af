"""What is made once for the object that it belongs to."""

from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any, Concatenate, ParamSpec, TypeVar

Owner = TypeVar("Owner")
Value = TypeVar("Value")
Arguments = ParamSpec("Arguments")


class _Made:
    """A value that is made by the first thread that asks; others wait for it."""

    def __init__(self) -> None:
        self.lock, self.is_made, self.value = Lock(), False, None

    def get(self, make: Callable[[], Any]) -> Any:
        with self.lock:
            if not self.is_made:
                self.value, self.is_made = make(), True
            return self.value

    def __reduce__(self) -> tuple[type["_Made"], tuple[()]]:
        """Copies, also in another process, make the value anew."""
        return _Made, ()


def once(
    method: Callable[Concatenate[Owner, Arguments], Value],
) -> Callable[Concatenate[Owner, Arguments], Value]:
    """A method whose value each instance makes once for the same arguments, and keeps.

    Threads that ask while it is made wait for it; they never wait for another instance. A copy by
    `dataclasses.replace` makes its values anew.
    """

    @wraps(method)
    def first(self: Owner, *arguments: Arguments.args, **options: Arguments.kwargs) -> Value:
        made: dict[Any, _Made] = vars(self).setdefault("_made", {})
        key = (method.__name__, arguments, tuple(sorted(options.items())))
        return made.setdefault(key, _Made()).get(lambda: method(self, *arguments, **options))

    return first
