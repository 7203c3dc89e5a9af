"""A network in torch as a pure function of its parameters."""

from collections.abc import Mapping
from typing import Any

import torch
from torch.func import functional_call

from featalign.sources.torch.network import TorchModel

Weights = Mapping[str, torch.Tensor]


class Emitting(torch.nn.Module):
    """A module whose forward pass gives the wanted layers."""

    def __init__(self, model: TorchModel) -> None:
        super().__init__()
        self.module, self.emit_layers = model.module, model.emit_layers

    def forward(self, tensors: Any, layers: tuple[str, ...]) -> Mapping[str, torch.Tensor]:
        """The wanted layers."""
        return self.emit_layers(self.module, tensors, layers)


def parameters_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """The parameters by name, in the order of their names; they share memory with the module.

    Where two names stand for one parameter, the first counts. All are taken, also those that a
    user has frozen; parameters that are no real numbers are left out.
    """
    named = dict(module.named_parameters())
    return {
        name: named[name].detach()
        for name in sorted(named, key=lambda name: name.split("."))
        if named[name].is_floating_point()
    }


def emitted(
    emitting: Emitting, weights: Weights, tensors: Any, layers: tuple[str, ...]
) -> Mapping[str, torch.Tensor]:
    """The wanted layers with these weights in place of the module's own."""
    inside = {f"module.{name}": weight for name, weight in weights.items()}
    return functional_call(emitting, inside, (tensors, layers))
