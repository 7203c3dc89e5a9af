"""Which trainer trains a source: the one place that knows the frameworks."""

from featalign.sources.source import Source
from featalign.training.trainer import Trainer


def trainer_of(source: Source, layer: str) -> Trainer:
    """The trainer of the source's framework, with a head on this layer.

    Raises FeatalignError for a black box.
    """
    from featalign.training import jax_trainer

    return jax_trainer.of_source(source, layer)
