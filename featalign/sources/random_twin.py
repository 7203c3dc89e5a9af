"""The random twin: a source's architecture with freshly drawn weights."""

import hashlib
from dataclasses import replace

from featalign.checks import check_whole
from featalign.errors import FeatalignError
from featalign.sources.parts import AtOnce
from featalign.sources.source import Source


def random_twin(source: Source, seed: int = 0) -> Source:
    """The source with freshly drawn weights, from which training from scratch starts.

    The twin has the layers and the preprocessing of the source, and no logits. Its own revision is
    made of the source's revision and of what was drawn. Raises FeatalignError for a source that
    cannot be re-initialised.

    >>> import featalign as fa
    >>> twin = fa.load_source("zoo/resnet_digits").random_twin(seed=1)
    >>> twin.name, twin.layers
    ('zoo/resnet_digits random twin 1', ('stem', 'stage_1', 'stage_2', 'features'))
    """
    check_whole(seed, "seed", 0)
    if source.fresh_weights is None:
        raise FeatalignError(
            f"{source.name}: expected a source that can be re-initialised, this one is a black box "
            "without fresh weights; "
            "give fa.flax_source an `initialise`, or choose a source of the zoo"
        )
    drawn = source.fresh_weights.draw(int(seed))
    content = f"random twin\0{source.revision}\0{drawn.revision}"
    return replace(
        drawn,
        name=f"{source.name} random twin {seed}",
        revision=hashlib.sha256(content.encode()).hexdigest(),
        logits_layer=None,
        at_once=AtOnce(source.at_once.limit),
    )
