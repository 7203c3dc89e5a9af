"""Small matrices beside the linear layers of a module (LoRA), by the library peft."""

import re
import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch

from featalign.errors import FeatalignError
from featalign.sources.extras import require
from featalign.sources.torch.functional import Emitting, emitted, parameters_of
from featalign.sources.torch.models import with_fresh_weights
from featalign.sources.torch.network import TorchModel

ADAPTER = "default"  # what peft calls an adapter without a name
BASE = ".base_layer."  # between a layer's name and its own tensors, once it has an adapter


def adapted(
    model: TorchModel, layer: str, tensors: Any, *, rank: int, alpha: float, seed: int
) -> TorchModel:
    """The model with W + (alpha / rank) B A for each linear layer's W (Hu et al., ICLR 2022).

    A (rank, in) is drawn by the seed and B (out, rank) is zero, so that nothing changes at first.
    Linear layers that `layer` does not depend on, such as a head, are left as they are; `tensors`
    are a few inputs, by which that is found. The model's own module stays as it was. Raises
    FeatalignError where no linear layer is left, and where peft is not installed.
    """
    peft = require("peft", extra="hf", address=model.name)
    names = _linear_layers(model, layer, tensors)
    if not names:
        raise FeatalignError(
            f"{model.name}: expected linear layers before its {layer!r} for the arm 'lora', it has "
            "none; train it with the arm 'full'"
        )
    config = peft.LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules="|".join(re.escape(name) for name in names),
    )
    module = deepcopy(model.module)
    with warnings.catch_warnings():  # of layers that keep their weights transposed, as in GPT-2
        warnings.simplefilter("ignore")
        with_fresh_weights(lambda: peft.inject_adapter_in_model(config, module), seed)
    return TorchModel(model.name, module.eval(), model.emit_layers)


def is_of_adapter(name: str) -> bool:
    """Whether a parameter of an adapted module is one of the small matrices."""
    return f".{ADAPTER}." in name and ".lora_" in name


def merged(model: TorchModel, parameters: Mapping[str, Any], scale: float) -> dict[str, Any]:
    """Parameters of an adapted module as those of the model that compute the same.

    `scale` is alpha / rank.
    """
    own = dict(model.module.named_modules())
    found: dict[str, Any] = {}
    for name, value in parameters.items():
        if is_of_adapter(name):
            continue
        found[name.replace(BASE, ".")] = value
        where, _, tensor = name.rpartition(BASE)
        if where and tensor == "weight":
            first, second = (parameters[f"{where}.lora_{side}.{ADAPTER}.weight"] for side in "AB")
            change = scale * (second @ first)
            is_linear = isinstance(own[where], torch.nn.Linear)
            found[f"{where}.weight"] = value + (change if is_linear else change.T)
    return found


def _linear_layers(model: TorchModel, layer: str, tensors: Any) -> list[str]:
    """Names of the linear layers by whose weights the layer has a gradient that is not zero."""
    own = {
        f"{name}.weight": name
        for name, module in model.module.named_modules()
        if name and _is_linear(module)
    }
    leaves = {
        name: value.requires_grad_(name in own)
        for name, value in parameters_of(model.module).items()
    }
    wanted = [name for name in leaves if name in own]
    if not wanted:
        return []
    with torch.enable_grad():
        made = emitted(Emitting(model), leaves, tensors, (layer,))[layer]
        if not made.requires_grad:
            return []
        drawn = np.random.default_rng(0).standard_normal(tuple(made.shape)).astype(np.float32)
        slopes = torch.autograd.grad(
            (made * torch.from_numpy(drawn).to(made.device)).sum(),
            [leaves[name] for name in wanted],
            allow_unused=True,
        )
    return [
        own[name]
        for name, slope in zip(wanted, slopes, strict=True)
        if slope is not None and bool((slope != 0).any())
    ]


def _is_linear(module: torch.nn.Module) -> bool:
    """Whether it multiplies by its weight when it is called; that of GPT-2 is called Conv1D.

    The last layer of torch's own attention is linear and is never called.
    """
    kind = type(module).__name__
    if isinstance(module, torch.nn.Linear):
        return kind != "NonDynamicallyQuantizableLinear"
    return kind == "Conv1D" and type(module).__module__ == "transformers.pytorch_utils"
