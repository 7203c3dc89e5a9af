"""A network in torch as a source: how it embeds, and how it starts anew.

All sources that run in torch are made here, whatever library their module is of.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featalign.sources.capabilities import TORCH, FreshWeights, Trainable
from featalign.sources.parts import AtOnce
from featalign.sources.reading import Reading
from featalign.sources.resident import Resident
from featalign.sources.source import Pretraining, Source
from featalign.sources.torch.checkpoint import check_learnt
from featalign.sources.torch.models import PARTS, as_numpy, device, forward_pass

# (module, tensors, wanted layers) to features (B, D) by layer, through which gradients can flow
Emit = Callable[[Any, Any, tuple[str, ...]], Mapping[str, Any]]
NOTHING_KNOWN = Pretraining()


@dataclass(frozen=True, eq=False)
class TorchModel:
    """A module in memory, and its layers as functions of tensors.

    The module is in evaluation mode: dropout is off, and batch normalisation keeps the averages
    that it has. `emit_layers` computes features (B, D) of the wanted layers, and no other layers.
    """

    name: str
    module: Any
    emit_layers: Emit

    def emit(self, tensors: Any, layers: tuple[str, ...]) -> Mapping[str, Any]:
        """The layers as torch has them; gradients flow through unless torch is told otherwise.

        Raises FeatalignError where they depend on weights that a checkpoint lacks.
        """
        check_learnt(self.name, self.module, lambda: self.emit_layers(self.module, tensors, layers))
        return self.emit_layers(self.module, tensors, layers)


@dataclass(frozen=True, kw_only=True, eq=False)
class TorchNetwork:
    """All that makes a source of a network in torch.

    `build()` makes the module with its weights, on the device and in evaluation mode; `fresh(seed)`
    makes it with fresh weights, which `fresh_revision(seed)` names, or there are no random twins.
    Where the module itself prepares inputs, `prepare(module, inputs)` does that. The rest is as in
    `Source`.
    """

    name: str
    revision: str
    build: Callable[[], Any]
    emit: Emit
    layers: tuple[str, ...]
    default_layer: str
    reading: Reading
    logits_layer: str | None = None
    fresh: Callable[[int], Any] | None = None
    fresh_revision: Callable[[int], str] | None = None
    prepare: Callable[[Any, Any], Any] | None = None
    pretraining: Pretraining = NOTHING_KNOWN

    def source(self) -> Source:
        """The source, whose module is in memory only while it is needed."""
        own = replace(self._source_of(self.revision, self.build), pretraining=self.pretraining)
        fresh, revision = self.fresh, self.fresh_revision
        if fresh is None or revision is None:
            return own

        def draw(seed: int) -> Source:
            drawn = self._source_of(revision(seed), lambda: fresh(seed))
            return replace(drawn, fresh_weights=fresh_weights)

        fresh_weights = FreshWeights(draw)
        return replace(own, fresh_weights=fresh_weights)

    def _source_of(self, revision: str, build: Callable[[], Any]) -> Source:
        model, prepare, reading = Resident(build), self.prepare, self.reading

        def loaded() -> TorchModel:
            return TorchModel(self.name, model(), self.emit)

        if prepare is not None:
            reading = replace(reading, prepare=lambda inputs: prepare(model(), inputs))
        return Source(
            self.name,
            revision,
            lambda prepared, wanted: embedded(loaded(), prepared, wanted),
            self.layers,
            self.default_layer,
            self.logits_layer,
            reading,
            trainable=Trainable(TORCH, loaded),
            model=model,
            at_once=AtOnce(PARTS[device()]),
        )


def embedded(model: TorchModel, prepared: Any, layers: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The layers of prepared inputs as arrays, by one forward pass."""
    where = device()
    tensors = tensors_of(prepared, where)
    with forward_pass(where):
        return {layer: as_numpy(found) for layer, found in model.emit(tensors, layers).items()}


def tensors_of(prepared: Any, where: str) -> Any:
    """Prepared inputs as a tensor, or tensors by name, on a device; what is no array stays."""
    if isinstance(prepared, Mapping):
        return {name: _tensor_of(value, where) for name, value in prepared.items()}
    return _tensor_of(prepared, where)


def _tensor_of(value: Any, where: str) -> Any:
    import torch

    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(value)).to(where)
    return value.to(where) if isinstance(value, torch.Tensor) else value
