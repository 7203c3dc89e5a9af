"""What tangent scores need: activations and gradients of a source and of its random twins.

They are of some rows of a target, and come from the cache as far as it has them.
"""

import numpy as np

from featalign.errors import FeatalignError
from featalign.jobs.embedded import extracted
from featalign.scorers.tangent import tangent_folds
from featalign.session import Session
from featalign.sources.gradients import MICROBATCH, gradient_source
from featalign.sources.source import Source
from featalign.statistics.tangent import Draw, Draws, Tangent
from featalign.strata import stratified_order
from featalign.targets.target import Target

TANGENT_ROWS, TANGENT_TWINS = 400, 2
# trainings from scratch, and the pretraining of the shipped networks, start from other seeds
FIRST_TWIN = 1000


def tangent_evidence(
    source: Source,
    target: Target,
    layer: str,
    session: Session,
    *,
    max_rows: int = TANGENT_ROWS,
    num_twins: int = TANGENT_TWINS,
    num_draws: int = 1,
    twins_only: bool = False,
) -> Tangent:
    """Activations and gradients of a differentiable source and its random twins, from the cache.

    They are taken on a stratified sample of rows. Twins are drawn from seeds 1000, 1001, ...; the
    `num_draws` draws of read-outs and projections count on from the session's seed. Where a source
    cannot be differentiated or drawn anew after all, `failure` says why and there are no draws.
    With `twins_only` there are no draws of the source.
    """
    some = np.sort(stratified_order(target.labels, session.seed)[:max_rows])
    subset = None if len(some) == len(target) else some
    batches = -(-len(some) // session.batch_size)
    # the last batch is padded, and gradients of padding cost as much as others
    fitting = -(-len(some) // (batches * MICROBATCH)) * MICROBATCH

    def rows_of(model: Source, name: str) -> np.ndarray:
        found = extracted(model, target, [name], session, subset=subset, batch_size=fitting)
        return found[name].read_all()

    def draws_of(model: Source) -> tuple[Draw, ...]:
        features = rows_of(model, layer)
        models = [
            gradient_source(model, layer=layer, seed=session.seed + draw)
            for draw in range(num_draws)
        ]
        return tuple(Draw(features, rows_of(each, each.default_layer)) for each in models)

    labels = target.take(some).in_folds
    folds = tangent_folds(labels, session.seed)
    try:
        number = num_twins if source.can_be_reinitialised else 0
        twins = [source.random_twin(FIRST_TWIN + twin) for twin in range(number)]
        own = () if twins_only else draws_of(source)
        drawn = Draws(some, folds, own, tuple(draws_of(twin) for twin in twins))
    except FeatalignError as error:
        drawn = Draws(some, folds, (), (), str(error))
    return Tangent(labels, drawn)
