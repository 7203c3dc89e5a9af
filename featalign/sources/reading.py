"""What inputs a source takes, and how they are prepared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from featalign.sources.input_form import InputForm


def as_given(inputs: Any) -> Any:
    """Inputs that need no preparation."""
    return inputs


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What inputs a source takes, and how they are prepared.

    `prepare(inputs)` turns a batch of raw inputs into what the network takes. `preprocessing`
    describes that as plain data, and enters the cache key. `form` says what the inputs should be
    like. `static_shapes` says that another number of inputs costs a compilation, so that batches
    are padded.
    """

    input_kind: str | None = None  # "image" | "text" | "array"; None takes whatever a target holds
    reads_tokens: bool = False  # whether it also reads words in their sentences
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[Any], Any] = field(default=as_given, repr=False)
    form: InputForm = field(default_factory=InputForm, repr=False)
    static_shapes: bool = True
