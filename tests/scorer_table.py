"""One row per scorer: what it is checked against and how closely.

`order` says on which order the value rests, so that the invariances are asked of the right scorers: "none" (permuting rows or classes changes
nothing), "classes" (votes are tied to the smallest label: the order of the classes counts), or "folds" (the folds are drawn along rows and
classes, so permuting either draws other folds, and only the names of the classes are free).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from tests import oracles


@dataclass(frozen=True)
class ScorerRow:
    name: str
    oracle: Callable[..., float]
    relative: float = 1e-9
    rows_off: int = 0  # for shares of rows: how many rows may be decided otherwise, because the value counts rows near a border
    regression: bool = False
    order: Literal["none", "classes", "folds"] = "none"


SCORER_ROWS = (
    # the solver of the probe works in float32 and stops at a gradient of 1e-4
    ScorerRow("linear_probe", oracles.linear_probe, rows_off=1, order="folds"),
    ScorerRow("ridge_probe", oracles.ridge_probe, 1e-8, regression=True),
    ScorerRow("knn", partial(oracles.knn, neighbours=5), 0.0, order="classes"),
    ScorerRow("knn_1", partial(oracles.knn, neighbours=1), 0.0),
    ScorerRow("knn_5", partial(oracles.knn, neighbours=5), 0.0, order="classes"),
    ScorerRow("logme", oracles.logme, 1e-8, regression=True),
    ScorerRow("h_score", oracles.h_score),
    ScorerRow("h_score_shrunk", oracles.h_score_shrunk),
    ScorerRow("cka", oracles.cka),
    ScorerRow("cka_biased", oracles.cka_biased),
    ScorerRow("rankme", oracles.rankme, 1e-8, regression=True),
    ScorerRow("participation_ratio", oracles.participation_ratio, regression=True),
    ScorerRow("stable_rank", oracles.stable_rank, regression=True),
    ScorerRow("active_fraction", oracles.active_fraction, 1e-12, regression=True),
    ScorerRow("dead_fraction", oracles.dead_fraction, 1e-12, regression=True),
    ScorerRow("hoyer", oracles.hoyer, regression=True),
    ScorerRow("treves_rolls", oracles.treves_rolls, regression=True),
)
