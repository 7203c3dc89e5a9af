"""A source without gradients as training sees it: features as inputs, and no weights to move."""

from dataclasses import replace

import numpy as np

from featalign.errors import FeatalignError
from featalign.jobs.embedded import embedded
from featalign.session import Session
from featalign.sources.capabilities import JAX, Differentiable, Trainable
from featalign.sources.reading import Reading
from featalign.sources.source import Source
from featalign.targets.conversion import as_inputs
from featalign.targets.target import Target
from featalign.training.jax_trainer import head_alone
from featalign.training.rows import measured_rows


def on_features(
    source: Source,
    target: Target,
    layer: str | None,
    session: Session,
    *,
    max_test: int | None = None,
) -> tuple[Source, Target]:
    """The source with nothing before its head, and the target as this layer sees it.

    The target's inputs are the features of this layer, those of the held-out rows too. They are
    read from the cache as far as it has them. `max_test` limits the held-out rows as `split_rows`
    does. A file of features has no held-out rows, so a part of its rows will measure the accuracy.
    Raises FeatalignError for features that are not finite.
    """
    name = layer or source.default_layer

    def features(part: Target) -> np.ndarray:
        values = embedded(source, part, [name], session)[name].read_all()
        if bad := int((~np.isfinite(values)).any(axis=1).sum()):
            raise FeatalignError(
                f"{source.name}: expected finite features of layer {name!r} to train a head on, "
                f"{bad} of {len(part)} rows are not"
            )
        return values

    held_out = None if source.features_file is not None else target.held_out
    changed = replace(target, inputs=as_inputs(features(target)), held_out=None)
    if held_out is not None:
        held_out = held_out.take(measured_rows(held_out.labels, max_test))
        changed = replace(changed, held_out=replace(held_out, inputs=as_inputs(features(held_out))))
    trainable = Trainable(JAX, lambda: Differentiable({}, head_alone(name)))
    return replace(source, reading=Reading(), trainable=trainable), changed
