"""Linear centred kernel alignment, of features with the labels and between two embeddings."""

import jax
import jax.numpy as jnp
import numpy as np

from featalign.arrays import check_features
from featalign.errors import FeatalignError
from featalign.records.score import Status
from featalign.scorers.scorer import ALL_TASKS, Scorer
from featalign.statistics.class_moments import ClassMoments, TargetMoments
from featalign.statistics.collected import Statistics
from featalign.statistics.moments import Moments
from featalign.statistics.precision import double_precision
from featalign.statistics.spectrum import Spectrum


def compute(statistics: Statistics) -> jax.Array | Status:
    """Debiased linear CKA of the features with the one-hot labels.

    It is HSIC₁(K, L) / √(HSIC₁(K, K) HSIC₁(L, L)).

    HSIC₁ is the unbiased estimator of Song et al. (JMLR 2012), so independent features score about
    0 (the biased form gives 0.705 at n = 32 and D = 64). The value is at most 1 and can be slightly
    negative; larger is better. It needs at least 4 rows. Kornblith et al., "Similarity of Neural
    Network Representations Revisited", ICML 2019; the debiased form is from Nguyen, Raghu and
    Kornblith, ICLR 2021.
    """
    if statistics.num_rows < 4:
        return Status.TOO_FEW_ROWS
    spectrum = statistics[Spectrum]
    if spectrum.is_constant:
        return Status.CONSTANT
    return _debiased(spectrum, statistics[Moments], statistics[ClassMoments])


def compute_biased(statistics: Statistics) -> jax.Array | Status:
    """Biased linear CKA of the features with the one-hot labels.

    It is |Yᵀ Z|² / (|Zᵀ Z| |Yᵀ Y|), where Y and Z are centred. It lies in [0, 1] and is inflated at
    small n. Several labels a row and float targets serve as columns of Y as they are.
    """
    spectrum = statistics[Spectrum]
    if spectrum.is_constant:
        return Status.CONSTANT
    if statistics.num_classes:
        return _biased(spectrum, _label_norm(statistics[ClassMoments].counts))
    return _biased(spectrum, (statistics[TargetMoments].scatter ** 2).sum())


def _label_norm(counts: jax.Array) -> jax.Array:
    """|Yᵀ Y|² of centred one-hot labels: the squared Frobenius norm of diag(n) - n nᵀ / N."""
    total = counts.sum()
    return (counts**2).sum() - 2 * (counts**3).sum() / total + ((counts**2).sum() / total) ** 2


@jax.jit
def _biased(spectrum: Spectrum, label_norm: jax.Array) -> jax.Array:
    aligned = (spectrum.eigenvalues[:, None] * spectrum.label_projections**2).sum()
    return aligned / jnp.sqrt((spectrum.eigenvalues**2).sum() * label_norm)


@jax.jit
def _debiased(spectrum: Spectrum, moments: Moments, classes: ClassMoments) -> jax.Array:
    count, shares = spectrum.count, classes.counts / spectrum.count
    aligned = (spectrum.eigenvalues[:, None] * spectrum.label_projections**2).sum()
    # squared norms of the centred one-hot rows, which depend on the class alone, and squared norms
    # of the features of each class
    label_squares = 1 - 2 * shares + (shares**2).sum()
    offsets = classes.means - moments.mean
    feature_squares = classes.spreads + classes.counts * (offsets * offsets).sum(axis=1)
    trace, label_trace = spectrum.eigenvalues.sum(), (classes.counts * label_squares).sum()
    mixed = (feature_squares * label_squares).sum()
    label_quartic = (classes.counts * label_squares**2).sum()
    features_labels = hsic(aligned, mixed, trace, label_trace, count)
    features_features = squared_norm((spectrum.eigenvalues**2).sum(), moments.quartic, trace, count)
    labels_labels = squared_norm(_label_norm(classes.counts), label_quartic, label_trace, count)
    return features_labels / jnp.sqrt(features_features * labels_labels)


def hsic(
    aligned: jax.Array,
    mixed: jax.Array,
    trace_1: jax.Array,
    trace_2: jax.Array,
    count: jax.Array | float,
) -> jax.Array:
    """HSIC₁ of two centred Gram matrices K, L from tr(K L), Σ K_ii L_ii, tr K and tr L.

    With zeroed diagonals K̃, L̃ it is
    [tr(K̃ L̃) + 1ᵀK̃1 1ᵀL̃1 / ((n-1)(n-2)) - 2 1ᵀK̃L̃1 / (n-2)] / (n (n-3)).
    The rows of a centred Gram sum to zero, so 1ᵀK̃1 = -tr K and 1ᵀK̃L̃1 = Σ K_ii L_ii.
    """
    return (
        (aligned - mixed)
        + trace_1 * trace_2 / ((count - 1) * (count - 2))
        - 2 * mixed / (count - 2)
    ) / (count * (count - 3))


def squared_norm(
    aligned: jax.Array, quartic: jax.Array, trace: jax.Array, count: jax.Array | float
) -> jax.Array:
    """HSIC₁ of a Gram matrix with itself.

    It is NaN where only rounding is left of it, because all rows but one are alike.
    """
    value = hsic(aligned, quartic, trace, trace, count)
    return jnp.where(value * count * (count - 3) > 1e-11 * aligned, value, jnp.nan)


def cka_between(features: object, other: object, *, debiased: bool = True) -> float:
    """Linear CKA between two embeddings (N, D₁) and (N, D₂) of the same rows.

    It is 1 for embeddings equal up to rotation and scale. For unrelated ones it is about 0 when
    `debiased` (the default), and inflated at small N otherwise. Raises FeatalignError for other
    rows, fewer than 4 rows, values that are not finite, or rows that are all alike.

    >>> import numpy as np
    >>> features = np.random.default_rng(0).normal(size=(50, 8))
    >>> round(cka_between(features, 3 * features[:, ::-1]), 6)
    1.0
    """
    first, second = check_features(features), check_features(other, name="other")
    if len(first) != len(second) or len(first) < 4:
        raise FeatalignError(
            f"other: expected the same rows as features and at least 4, got {len(first)} and "
            f"{len(second)}; embed the same target"
        )
    for name, array in (("features", first), ("other", second)):
        if not np.isfinite(array.astype(np.float64)).all():
            raise FeatalignError(
                f"{name}: expected finite values, got NaN or infinity; drop those rows in both "
                "embeddings"
            )
    with double_precision():
        a, b = (jnp.asarray(_centred(rows.astype(np.float64))) for rows in (first, second))
        if debiased:
            value = _between_debiased(a, b)
        else:
            value = jnp.sum((a.T @ b) ** 2) / jnp.sqrt(
                jnp.sum((a.T @ a) ** 2) * jnp.sum((b.T @ b) ** 2)
            )
    if not np.isfinite(float(value)):
        raise FeatalignError(
            "features, other: expected rows that differ, got an embedding with all rows (or all "
            "but one) alike; CKA is not defined for it"
        )
    return float(value)


def _centred(rows: np.ndarray) -> np.ndarray:
    """Rows about their mean, scaled to differences of at most 1; constant columns are exactly 0."""
    differences = rows - rows[0]
    differences /= np.abs(differences).max() or 1.0
    return differences - differences.mean(axis=0)


@jax.jit
def _between_debiased(a: jax.Array, b: jax.Array) -> jax.Array:
    def pair(first: jax.Array, second: jax.Array) -> jax.Array:
        squares, others = (first**2).sum(axis=1), (second**2).sum(axis=1)
        return hsic(
            ((first.T @ second) ** 2).sum(),
            squares @ others,
            squares.sum(),
            others.sum(),
            float(len(first)),
        )

    def norm(rows: jax.Array) -> jax.Array:
        squares = (rows**2).sum(axis=1)
        return squared_norm(
            ((rows.T @ rows) ** 2).sum(), squares @ squares, squares.sum(), float(len(rows))
        )

    return pair(a, b) / jnp.sqrt(norm(a) * norm(b))


_INVARIANCES = frozenset({"rotation", "scale", "shift"})
CKA = Scorer(
    "cka",
    compute,
    frozenset({Spectrum, Moments, ClassMoments}),
    "alignment of the features with the labels, debiased",
    True,
    invariances=_INVARIANCES,
)
CKA_BIASED = Scorer(
    "cka_biased",
    compute_biased,
    frozenset({Spectrum, ClassMoments, TargetMoments}),
    "alignment of the features with the labels, biased",
    True,
    ALL_TASKS,
    invariances=_INVARIANCES | {"duplication"},
    variant=True,
)
