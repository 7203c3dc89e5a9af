"""A step of training in torch: losses, the optimiser, and images that are shifted."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy, pad

from featalign.records.setting import Setting
from featalign.sources.torch.functional import Emitting, emitted

MOMENTUM = 0.9
PIXELS = "pixel_values"  # what models of transformers call images
Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True, eq=False)
class Network:
    """A network and the layer that the head reads; without `emitting` inputs are features."""

    layer: str
    emitting: Emitting | None = None

    def features(self, parameters: Tensors, inputs: Any) -> torch.Tensor:
        """Features (B, D) of the layer in float32."""
        if self.emitting is None:
            return inputs
        return emitted(self.emitting, parameters, inputs, (self.layer,))[self.layer].float()

    def logits(self, parameters: Tensors, head: Tensors, inputs: Any) -> torch.Tensor:
        """Logits (B, C)."""
        return self.features(parameters, inputs) @ head["kernel"] + head["bias"]


class Stepper:
    """Weights in training, and what the optimiser remembers of them.

    Those tensors of `parameters` and `head` that are named by `moving`, all where it is None, are
    copied, and change with every step. Updates are those of `jax_step.py`: a penalty of the head
    belongs to the loss, decay and pull act apart from the gradient, and all are scaled by the
    learning rate of the step.
    """

    def __init__(
        self,
        network: Network,
        setting: Setting,
        weights: tuple[Tensors, Tensors],
        anchor: Tensors,
        moving: frozenset[str] | None,
    ) -> None:
        self.network, self.setting, self.anchor = network, setting, anchor
        self.moving: dict[str, torch.Tensor] = {}

        def started(part: str, tensors: Tensors) -> dict[str, torch.Tensor]:
            found = {}
            for name, value in tensors.items():
                found[name] = value.detach()
                if moving is None or f"{part}.{name}" in moving:
                    found[name] = value.detach().clone().requires_grad_()
                    self.moving[f"{part}.{name}"] = found[name]
            return found

        self.parameters, self.head = started("network", weights[0]), started("head", weights[1])
        tensors = list(self.moving.values())
        if setting.optimiser == "adamw":
            self.optimiser: Any = torch.optim.AdamW(tensors, weight_decay=0.0)
        else:
            self.optimiser = torch.optim.SGD(tensors, lr=1.0, momentum=MOMENTUM)

    def step(self, inputs: Any, labels: torch.Tensor, shifts: torch.Tensor, rate: float) -> float:
        """One step, and its loss."""
        setting = self.setting
        seen = shifted(inputs, shifts) if setting.augmentation else inputs
        with torch.enable_grad():
            scores = self.network.logits(self.parameters, self.head, seen)
            loss = cross_entropy(scores, labels, label_smoothing=setting.label_smoothing)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
        with torch.no_grad():
            for name, value in self.moving.items():
                if name == "head.kernel" and setting.head_penalty and value.grad is not None:
                    value.grad.add_(value, alpha=setting.head_penalty)
                pull = setting.towards_start if name.startswith("network.") else 0.0
                value.mul_(1 - rate * (setting.weight_decay + pull))
                if pull:
                    value.add_(self.anchor[name.removeprefix("network.")], alpha=rate * pull)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.step()
        return float(loss.detach())

    def reached(self) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        """Parameters and head, which the next step changes."""
        return (
            {name: value.detach() for name, value in self.parameters.items()},
            {name: value.detach() for name, value in self.head.items()},
        )


def shifted(inputs: Any, shifts: torch.Tensor) -> Any:
    """Images (B, C, H, W) moved by `shifts` (B, 2) times an eighth of their sides.

    The edge is repeated where the image moved away.
    """
    if isinstance(inputs, Mapping):
        return {**inputs, PIXELS: shifted(inputs[PIXELS], shifts)}
    height, width = inputs.shape[2:]
    reach = torch.tensor([height // 8, width // 8], device=inputs.device)
    down, right = (int(number) for number in reach)
    padded = pad(inputs, (right, right, down, down), mode="replicate")
    corners = torch.round((shifts + 1) * reach).long()
    rows = corners[:, :1] + torch.arange(height, device=inputs.device)
    columns = corners[:, 1:] + torch.arange(width, device=inputs.device)
    examples = torch.arange(len(inputs), device=inputs.device)[:, None, None]
    cut = padded.permute(0, 2, 3, 1)[examples, rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2)
