"""featalign score: the scores of features in a file."""

from pathlib import Path
from typing import Annotated

import typer

from featalign.cli.context import prepare, show
from featalign.cli.options import AsJson, Intervals, MetricIfAny, Scorers, Seed, names
from featalign.errors import FeatalignError


def score(
    features: Annotated[
        Path,
        typer.Argument(
            help="A .npz or .h5 file with arrays 'features' (N, D) and 'labels', and 'groups' (N,) "
            "where rows belong together."
        ),
    ],
    scorers: Scorers = None,
    seed: Seed = 0,
    intervals: Intervals = False,
    metric: MetricIfAny = None,
    as_json: AsJson = False,
) -> None:
    """Score features that lie in a file."""
    import json

    from featalign import api
    from featalign.embeddings.foreign import open_foreign

    prepare(needs_cache=False)
    with open_foreign(features) as foreign:
        if foreign.labels is None:
            raise FeatalignError(
                f"{features}: expected an array 'labels' beside 'features', found none; add it"
            )
        import numpy as np

        rows = np.concatenate(list(foreign.blocks))
        results = api.score(
            rows,
            foreign.labels,
            names(scorers),
            seed=seed,
            intervals=intervals,
            groups=foreign.groups,
            metric=metric,
        )
    if as_json:
        from featalign.records.ranking import shown_in_json

        print(
            json.dumps(
                {name: shown_in_json(result) for name, result in results.items()},
                indent=1,
                allow_nan=False,
            )
        )
        return
    from featalign.views.other_cells import scores_sheet

    show(scores_sheet(results))
