"""The network of examples.py written in torch."""

import numpy as np
import torch
from flax import nnx

import featalign as fa
from featalign.sources.source import Source
from tests.training.examples import Network


def linear_of(made: nnx.Linear) -> torch.nn.Linear:
    """The layer of Flax as one of torch."""
    kernel, bias = np.array(made.kernel[...]), np.array(made.bias[...])  # type: ignore[index]
    layer = torch.nn.Linear(*kernel.shape)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(kernel.T))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer


class Twin(torch.nn.Module):
    """The same network, with the weights that Flax draws by this seed."""

    def __init__(self, seed: int):
        super().__init__()
        drawn = Network(seed)
        self.first, self.second, self.head = (
            linear_of(made) for made in (drawn.first, drawn.second, drawn.head)
        )

    def forward(self, inputs):
        hidden = torch.tanh(self.first(inputs))
        constant = torch.full((len(inputs), 1), 3.0)
        features = torch.cat([self.second(hidden), constant], dim=1)
        return {"hidden": hidden, "features": features, "logits": self.head(features)}


def torch_twin(seed: int = 5, name: str = "small") -> Source:
    return fa.torch_source(
        Twin(seed), name, layers=("hidden",), logits_layer="logits", initialise=Twin
    )
