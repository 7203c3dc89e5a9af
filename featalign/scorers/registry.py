"""All scorers, in the order in which they are shown."""

from collections.abc import Iterable, Mapping

from featalign.arrays import choose
from featalign.scorers.alpha_req import ALPHA_REQ
from featalign.scorers.cka import CKA, CKA_BIASED
from featalign.scorers.energy import ENERGY
from featalign.scorers.gbc import GBC, GBC_DIAGONAL, GBC_SPHERICAL
from featalign.scorers.h_score import H_SCORE, H_SCORE_SHRUNK
from featalign.scorers.knn import KNN, KNN_1, KNN_5
from featalign.scorers.label_overlap import LABEL_OVERLAP
from featalign.scorers.lda import LDA
from featalign.scorers.leep import LEEP
from featalign.scorers.lfc import LFC
from featalign.scorers.linear_probe import LINEAR_PROBE
from featalign.scorers.logme import LOGME
from featalign.scorers.nce import NCE
from featalign.scorers.ncti import NCTI, NCTI_CLASSES, NCTI_CONFIDENCE, NCTI_FEATURES
from featalign.scorers.nesum import NESUM
from featalign.scorers.neural_collapse import NEURAL_COLLAPSE
from featalign.scorers.nleep import NLEEP
from featalign.scorers.pactran import PACTRAN
from featalign.scorers.parc import PARC
from featalign.scorers.rank_measures import PARTICIPATION_RATIO, RANKME, STABLE_RANK
from featalign.scorers.ridge_probe import RIDGE_PROBE
from featalign.scorers.scorer import Scorer, Unit
from featalign.scorers.sfda import SFDA
from featalign.scorers.sparsity import ACTIVE_FRACTION, DEAD_FRACTION, HOYER, TREVES_ROLLS
from featalign.scorers.spectral_alignment import SPECTRAL_ALIGNMENT
from featalign.scorers.tangent import TANGENT_GAIN, TANGENT_PROBE
from featalign.scorers.transrate import TRANSRATE

SCORERS: tuple[Scorer, ...] = (
    LINEAR_PROBE,
    RIDGE_PROBE,
    KNN,
    KNN_1,
    KNN_5,
    LOGME,
    H_SCORE,
    H_SCORE_SHRUNK,
    CKA,
    CKA_BIASED,
    LDA,
    SFDA,
    NCTI,
    NCTI_CONFIDENCE,
    NCTI_FEATURES,
    NCTI_CLASSES,
    TRANSRATE,
    GBC,
    GBC_DIAGONAL,
    GBC_SPHERICAL,
    NEURAL_COLLAPSE,
    LABEL_OVERLAP,
    SPECTRAL_ALIGNMENT,
    LFC,
    PARC,
    PACTRAN,
    NLEEP,
    LEEP,
    NCE,
    ENERGY,
    TANGENT_PROBE,
    TANGENT_GAIN,
    RANKME,
    ALPHA_REQ,
    PARTICIPATION_RATIO,
    NESUM,
    STABLE_RANK,
    ACTIVE_FRACTION,
    DEAD_FRACTION,
    HOYER,
    TREVES_ROLLS,
)

if len({scorer.name for scorer in SCORERS}) != len(SCORERS):
    raise RuntimeError("two scorers in featalign/scorers/registry.py have the same name")


_UNITS: Mapping[str, Unit] = {scorer.name: scorer.unit for scorer in SCORERS}


def unit_of(name: str) -> Unit:
    """How people are shown a score of this name; a number where it is no scorer's.

    >>> unit_of("knn"), unit_of("tangent_gain"), unit_of("logme")
    ('percent', 'points', 'number')
    """
    return _UNITS.get(name, "number")


def select(names: Iterable[str] | None = None) -> tuple[Scorer, ...]:
    """The scorers of these names, in the order of the names; without names, all but the variants.

    Raises FeatalignError for a name that does not exist.

    >>> [scorer.name for scorer in select(["logme", "knn_1"])]
    ['logme', 'knn_1']
    """
    if names is None:
        return tuple(scorer for scorer in SCORERS if not scorer.variant)
    return choose({scorer.name: scorer for scorer in SCORERS}, names, "scorers")
