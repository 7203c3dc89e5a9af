"""NCTI: how near the features are to neural collapse on the target's classes."""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np

from featalign.records.score import Status
from featalign.scorers.scorer import Scorer
from featalign.statistics.collected import Statistics
from featalign.statistics.moments import symmetric_product
from featalign.statistics.principal_rows import PrincipalRows
from featalign.statistics.rows import Rows
from featalign.statistics.shrinkage import whitened
from featalign.statistics.spectrum import Spectrum

NUM_COMPONENTS = 64
SHRINKAGE_COMPONENTS = 32


@dataclass(frozen=True)
class Terms:
    """The three terms of one source."""

    confidence: float
    features: float
    classes: float


def compute(statistics: Statistics) -> float | Status:
    """Confidence + feature term - class term of a shrunk discriminant in 64 principal directions.

    The discriminant has S = (1 - s) S_w + s tr(S_w)/d I with s = max(exp(-sum of the first 32
    variances), 1e-10). It works in the first d principal directions, 64 or as many as there are. L
    (N, k), k = min(C - 1, d), are the centred rows in its directions with variance 1 within
    classes. P_c (n_c, C) are the posteriors of class c. |·|_* is the sum of singular values.

    - confidence: the mean posterior of the own class, in [0, 1], on the rows that were fitted, as
      published.
    - features: log(|L|_* / (k √N)). It is 0 where the classes do not differ (without shrinkage),
      and larger the farther and the more evenly they are apart.
    - classes: log(Σ_c |P_c|_* / Σ_c √n_c). It is 0 where all rows of a class have the same certain
      posterior, and goes to ½ log C where they scatter.

    The value is unbounded; larger is better. It depends on the scale of the features, through s.
    The authors add |L|_*, the confidence and -log Σ_c |P_c|_*, each scaled to [0, 1] over the pool
    of candidates, so that a score depends on the other candidates. Here N, C and the class sizes
    alone make the terms comparable. L comes from the scatter of the class means, where the authors'
    solver shrinks the total scatter too. Beyond 20,000 rows the directions are of all rows, and the
    discriminant and the terms are of the seeded sample. The score is not defined where every class
    is a single point. Wang et al., "How Far Pre-trained Models Are from Neural Collapse on the
    Target Dataset Informs their Transferability", ICCV 2023.
    """
    terms = _terms(statistics)
    return terms if isinstance(terms, Status) else terms.confidence + terms.features - terms.classes


def term(
    statistics: Statistics, *, name: Literal["confidence", "features", "classes"]
) -> float | Status:
    """One term of `ncti` alone."""
    terms = _terms(statistics)
    return terms if isinstance(terms, Status) else getattr(terms, name)


def _terms(statistics: Statistics) -> Terms | Status:
    spectrum, labels = statistics[Spectrum], statistics[Rows].labels
    if spectrum.is_constant:
        return Status.CONSTANT
    if len(np.unique(labels)) < 2:
        return Status.TOO_FEW_ROWS  # the sample has one class alone
    number = int((spectrum.eigenvalues[:NUM_COMPONENTS] > 0).sum())
    rows = jnp.asarray(statistics[PrincipalRows].components(number))
    variances = spectrum.eigenvalues[:SHRINKAGE_COMPONENTS] / (spectrum.count - 1)
    shrinkage = jnp.maximum(jnp.exp(-variances.sum()), 1e-10)
    classes, compact = np.unique(labels, return_inverse=True)
    posterior, singular_values = _discriminant(
        rows, jax.nn.one_hot(compact.reshape(-1), len(classes), dtype=rows.dtype), shrinkage
    )
    members = np.asarray(posterior)
    if not np.isfinite(members).all():
        return Status.UNDEFINED  # all rows of the sample are alike
    own = members[np.arange(len(labels)), compact.reshape(-1)].mean()
    parts = [members[labels == label] for label in classes]
    scatter = math.fsum(np.linalg.svd(part, compute_uv=False).sum() for part in parts)
    directions = min(len(classes) - 1, number)
    spread = float(singular_values.sum()) / (directions * math.sqrt(len(labels)))
    features = math.log(spread) if spread > 0 else math.nan
    least = math.fsum(math.sqrt(len(part)) for part in parts)
    return Terms(float(own), features, math.log(scatter / least))


@jax.jit
def _discriminant(
    rows: jax.Array, members: jax.Array, shrinkage: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Posteriors (M, C) of the rows (M, d), and the rows' singular values in its directions.

    They are NaN where all classes are single points.
    """
    count, size = rows.shape
    rows = rows - rows.mean(axis=0)
    counts = members.sum(axis=0)
    means = (members.T @ rows) / counts[:, None]
    residuals = rows - members @ means
    within = symmetric_product(residuals) / count
    spread = jnp.trace(within) / size
    floor = jnp.finfo(rows.dtype).eps * (rows * rows).sum() / count
    ridge = jnp.maximum(shrinkage * spread, floor)
    points, centres = whitened(within, shrinkage, ridge, rows, means)
    logits = points @ centres.T - (centres**2).sum(axis=1) / 2 + jnp.log(counts / count)
    # the class means span C - 1 directions; only these are kept
    _, directions = jnp.linalg.eigh(centres.T @ (counts[:, None] * centres), symmetrize_input=False)
    kept = points @ directions[:, ::-1][:, : min(members.shape[1] - 1, size)]
    return jax.nn.softmax(logits), jnp.where(
        spread > floor, jnp.linalg.svd(kept, compute_uv=False), jnp.nan
    )


_NEEDS = frozenset({Spectrum, Rows, PrincipalRows})
_INVARIANCES = frozenset({"rotation", "shift"})
NCTI = Scorer(
    "ncti", compute, _NEEDS, "nearness to neural collapse", True, invariances=_INVARIANCES
)


def _variant(
    name: Literal["confidence", "features", "classes"], summary: str, *, larger_is_better: bool
) -> Scorer:
    return Scorer(
        f"ncti_{name}",
        partial(term, name=name),
        _NEEDS,
        summary,
        larger_is_better,
        invariances=_INVARIANCES,
        variant=True,
    )


NCTI_CONFIDENCE = _variant(
    "confidence", "posterior of the own class in NCTI", larger_is_better=True
)
NCTI_FEATURES = _variant("features", "spread of the classes in NCTI", larger_is_better=True)
NCTI_CLASSES = _variant(
    "classes", "scatter of the posteriors of a class in NCTI", larger_is_better=False
)
