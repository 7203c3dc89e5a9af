"""One row per scorer: what it is checked against and how closely.

`order` says on which order the value rests, so that the invariances are asked of the right scorers:
"none" (permuting rows or classes changes nothing), "classes" (votes are tied to the smallest label:
the order of the classes counts), or "folds" (the folds are drawn along rows and classes, so
permuting either draws other folds, and only the names of the classes are free).

`alike` says what comes of features that are the same on every row: a value, the status CONSTANT, or
a status only where they are zero.

`reads` says what the oracle takes beside the labels: the features, the source's probabilities or
logits, or activations and gradients of a source and of its twins.
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
    # for shares of rows: how many rows may be decided otherwise, because the value counts rows near
    # a border
    rows_off: int = 0
    regression: bool = False
    order: Literal["none", "classes", "folds"] = "none"
    alike: Literal["value", "constant", "constant at zero", "undefined at zero"] = "value"
    reads: Literal["features", "probabilities", "logits", "tangent"] = "features"


SCORER_ROWS = (
    # the solver of the probe works in float32 and stops at a gradient of 1e-4
    ScorerRow("linear_probe", oracles.linear_probe, rows_off=1, order="folds"),
    ScorerRow("ridge_probe", oracles.ridge_probe, 1e-8, regression=True, alike="constant"),
    ScorerRow("knn", partial(oracles.knn, neighbours=5), 0.0, order="classes", regression=True),
    ScorerRow("knn_1", partial(oracles.knn, neighbours=1), 0.0, regression=True),
    ScorerRow("knn_5", partial(oracles.knn, neighbours=5), 0.0, order="classes", regression=True),
    ScorerRow("logme", oracles.logme, 1e-8, regression=True, alike="undefined at zero"),
    ScorerRow("h_score", oracles.h_score),
    ScorerRow("h_score_shrunk", oracles.h_score_shrunk, alike="constant"),
    ScorerRow("cka", oracles.cka, alike="constant"),
    ScorerRow("cka_biased", oracles.cka_biased, regression=True, alike="constant"),
    ScorerRow("lda", oracles.lda, 1e-8, alike="constant"),
    ScorerRow("sfda", oracles.sfda, 1e-8, alike="constant"),
    ScorerRow("ncti", oracles.ncti, 1e-7, alike="constant"),
    ScorerRow(
        "ncti_confidence", partial(oracles.ncti, terms=("confidence",)), 1e-7, alike="constant"
    ),
    ScorerRow("ncti_features", partial(oracles.ncti, terms=("features",)), 1e-7, alike="constant"),
    ScorerRow("ncti_classes", partial(oracles.ncti, terms=("classes",)), 1e-7, alike="constant"),
    ScorerRow("transrate", oracles.transrate, 1e-8),
    ScorerRow("gbc", oracles.gbc),
    ScorerRow("gbc_diagonal", oracles.gbc),
    ScorerRow("gbc_spherical", partial(oracles.gbc, spherical=True)),
    ScorerRow("neural_collapse", oracles.neural_collapse, alike="constant"),
    ScorerRow("label_overlap", oracles.label_overlap, regression=True),
    ScorerRow("spectral_alignment", oracles.spectral_alignment, regression=True, alike="constant"),
    ScorerRow("lfc", oracles.lfc, alike="constant"),
    ScorerRow("parc", oracles.parc, alike="constant"),
    ScorerRow("pactran", oracles.pactran, 1e-6),
    ScorerRow("nleep", oracles.nleep, 1e-8, alike="constant"),
    ScorerRow("leep", oracles.leep, reads="probabilities"),
    ScorerRow("nce", oracles.nce, reads="probabilities"),
    ScorerRow("energy", oracles.energy, regression=True, reads="logits"),
    ScorerRow(
        "tangent_probe", oracles.tangent_probe, regression=True, reads="tangent", order="folds"
    ),
    ScorerRow(
        "tangent_gain", oracles.tangent_gain, regression=True, reads="tangent", order="folds"
    ),
    ScorerRow("rankme", oracles.rankme, 1e-8, regression=True, alike="constant at zero"),
    ScorerRow("alpha_req", oracles.alpha_req, regression=True, alike="constant"),
    ScorerRow(
        "participation_ratio", oracles.participation_ratio, regression=True, alike="constant"
    ),
    ScorerRow(
        "nesum",
        lambda features, labels: oracles.stable_rank(oracles.centred(features)),
        regression=True,
        alike="constant",
    ),
    ScorerRow("stable_rank", oracles.stable_rank, regression=True, alike="constant at zero"),
    ScorerRow("active_fraction", oracles.active_fraction, 1e-12, regression=True),
    ScorerRow("dead_fraction", oracles.dead_fraction, 1e-12, regression=True),
    ScorerRow("hoyer", oracles.hoyer, regression=True, alike="undefined at zero"),
    ScorerRow("treves_rolls", oracles.treves_rolls, regression=True, alike="undefined at zero"),
)
FEATURE_ROWS = tuple(row for row in SCORER_ROWS if row.reads == "features")
SOURCE_ROWS = tuple(row for row in SCORER_ROWS if row.reads in ("probabilities", "logits"))
TANGENT_ROWS = tuple(row for row in SCORER_ROWS if row.reads == "tangent")
