"""What a source can do beyond embedding: be trained, and start anew from fresh weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from featalign.sources.source import Source

JAX, TORCH = "jax", "torch"


@dataclass(frozen=True)
class Differentiable:
    """Parameters and a pure function: what gradients and fine-tuning in JAX need.

    `apply(parameters, prepared)` maps prepared inputs (B, ...) to all layers by name. `held` are
    the arrays of what the network holds beside its parameters, such as the running averages of
    batch normalisation.
    """

    parameters: Any
    apply: Callable[[Any, Any], Mapping[str, Any]]
    held: Any = None


@dataclass(frozen=True)
class Trainable:
    """Weights that can be trained, in a framework whose trainer gets the network from `load`.

    In JAX `load` gives a `Differentiable`, and in torch a `TorchModel`.
    """

    framework: str
    load: Callable[[], Any]


@dataclass(frozen=True)
class FreshWeights:
    """How a source starts anew.

    `draw(seed)` is the source with the weights it had before any training; its revision names what
    was drawn. `drawn_by` names all that the weights depend on except the seed (code, releases).
    Where it is known, a random twin is found in the cache without being drawn. Sources that name
    the same `architecture` start alike, so that one training from scratch stands for all of them.
    """

    draw: "Callable[[int], Source]"
    drawn_by: str | None = None
    architecture: str | None = None
