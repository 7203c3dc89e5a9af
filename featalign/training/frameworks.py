"""The trainer of a source; this is the one place that knows the frameworks."""

from collections.abc import Callable, Mapping
from typing import Any

from featalign.errors import FeatalignError
from featalign.sources.capabilities import JAX, TORCH
from featalign.sources.source import Source
from featalign.training.trainer import Trainer


def _jax(network: Any, layer: str) -> Trainer:
    from featalign.training import jax_trainer

    return jax_trainer.of_network(network, layer)


def _torch(network: Any, layer: str) -> Trainer:
    from featalign.training import torch_trainer

    return torch_trainer.of_network(network, layer)


# the trainer of a network with a head on a layer, by framework; it is loaded when first used
TRAINERS: Mapping[str, Callable[[Any, str], Trainer]] = {JAX: _jax, TORCH: _torch}

LOW_RANK = (TORCH,)  # frameworks whose trainers have the arm `lora`


def trainer_of(source: Source, layer: str) -> Trainer:
    """The trainer of the source's framework, with a head on this layer.

    Raises FeatalignError for a source whose weights cannot be trained.
    """
    if source.trainable is None:
        raise FeatalignError(
            f"{source.name}: expected features of it as inputs, this one is a black box; "
            "featalign.fine_tune embeds the target first"
        )
    return TRAINERS[source.trainable.framework](source.trainable.load(), layer)
