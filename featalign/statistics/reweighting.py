"""Statistics as they would be with some rows counted a little more.

Intervals of scores without a value per row are made from them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from featalign.statistics.activity import Activity
from featalign.statistics.class_moments import ClassMoments, TargetMoments
from featalign.statistics.class_scatter import ClassScatter
from featalign.statistics.collected import Statistics, label_columns
from featalign.statistics.moments import Moments
from featalign.statistics.spectrum import Spectrum

NUM_GROUPS = 20
GROUP_ROWS = 100
CLOSE = 1e-3  # turns by more are no small change


@dataclass(frozen=True)
class Reweighted:
    """`statistics` with the rows of each of G groups given a little more weight.

    The weight is 1 + `step`, and all rows have a little less, so that N stays.

    A score θ has the standard error `scale` times the deviation (G - 1) of θ over `statistics`: its
    derivatives in the weights of the rows are its influences, and Var θ = Σ influences² (Jaeckel,
    "The infinitesimal jackknife", 1972), here over groups of rows, with changes so small that the
    derivative of the eigendecomposition serves in place of another one. Directions whose
    eigenvalues lie as close as the change is large are decomposed anew among themselves.
    """

    statistics: Iterator[Statistics]  # one at a time: each may be large
    scale: float


def reweighted(statistics: Statistics) -> Reweighted | None:
    """The reweighted statistics from the sample of rows; None for too few rows.

    Fields that no moments give (rows, tables) are left as they are.
    """
    sample = statistics.sample
    if (
        sample is None
        or len(sample.labels) < 2 * NUM_GROUPS
        or float(statistics.activity.not_finite) > 0
    ):
        return None
    size = min(len(sample.labels) // NUM_GROUPS, GROUP_ROWS)
    order = np.random.default_rng([statistics.seed, 2]).permutation(len(sample.labels))[
        : size * NUM_GROUPS
    ]
    chosen = np.sort(order.reshape(NUM_GROUPS, size), axis=1)
    step = 1e-6 * statistics.num_rows / size
    return Reweighted(_each(statistics, chosen, step), np.sqrt(statistics.num_rows / size) / step)


def _each(statistics: Statistics, chosen: np.ndarray, step: float) -> Iterator[Statistics]:
    average = jax.tree.map(
        lambda part: part / len(chosen), _changes(statistics, chosen.reshape(-1))
    )
    for places in chosen:
        contrast = jax.tree.map(
            lambda part, mean: step * (part - mean), _changes(statistics, places), average
        )
        moved = {
            name: _moved(getattr(statistics, name), change) for name, change in contrast.items()
        }
        yield replace(statistics, rows=None, known={}, **moved)


def _changes(statistics: Statistics, places: np.ndarray) -> dict[str, dict[str, jax.Array]]:
    """The derivative of each record in the weight of these rows of the sample."""
    sample = statistics.sample
    assert sample is not None
    features = jnp.asarray(sample.features[places]).astype(jnp.float64)
    columns = jnp.asarray(label_columns(sample.labels[places], statistics.num_classes))
    changes = {"activity": _activity(features)}
    if statistics.moments is not None:
        changes["moments"] = _moments(statistics.moments, features)
    if statistics.spectrum is not None:
        coordinates = _coordinates(statistics.spectrum, features, sample.numbers[places])
        changes["spectrum"] = _spectrum(statistics.spectrum, features, coordinates, columns)
    match statistics.label_moments:
        case ClassMoments() as moments:
            changes["label_moments"] = _class_moments(moments, features, columns)
        case TargetMoments() as moments:
            changes["label_moments"] = _target_moments(moments, features, columns)
    if statistics.class_scatter is not None:
        changes["class_scatter"] = _class_scatter(statistics.class_scatter, features, columns)
    return changes


def _moved(record: object, contrast: dict) -> object:
    """The record with its fields changed; the spectrum through its own coordinates."""
    if isinstance(record, Spectrum):
        return _turned(*_grouped(record, contrast))
    fields = {name: getattr(record, name) + value for name, value in contrast.items()}
    return replace(record, **fields)  # type: ignore[type-var]


@jax.jit
def _activity(features: jax.Array) -> dict:
    sums = Activity.from_batch(features, jnp.ones(len(features), bool))
    return {
        name: getattr(sums, name)
        for name in (
            "active",
            "live_rows",
            "row_sparsity",
            "column_active",
            "column_sums",
            "column_squares",
        )
    }


@jax.jit
def _moments(moments: Moments, features: jax.Array) -> dict:
    centred = features - moments.mean
    squares, total = (centred * centred).sum(axis=1), centred.sum(axis=0)
    return {
        "mean": total / moments.count,
        "quartic": squares @ squares - 4 / moments.count * (total @ moments.cubic),
    }


@jax.jit
def _class_moments(moments: ClassMoments, features: jax.Array, members: jax.Array) -> dict:
    counts, residuals = members.sum(axis=0), features - members @ moments.means
    means = members.T @ residuals / moments.counts[:, None]
    return {
        "counts": counts,
        "means": means,
        "spreads": members.T @ (residuals * residuals).sum(axis=1),
    }


@jax.jit
def _target_moments(moments: TargetMoments, features: jax.Array, targets: jax.Array) -> dict:
    centred, residuals = features - moments.feature_mean, targets - moments.mean
    return {
        "feature_mean": centred.sum(axis=0) / moments.count,
        "mean": residuals.sum(axis=0) / moments.count,
        "scatter": residuals.T @ residuals,
        "cross": residuals.T @ centred,
    }


@jax.jit
def _class_scatter(scatter: ClassScatter, features: jax.Array, members: jax.Array) -> dict:
    residuals = features - members @ scatter.means
    means = members.T @ residuals / scatter.counts[:, None]
    return {
        "counts": members.sum(axis=0),
        "means": means,
        "squares": members.T @ (residuals * residuals),
    }


def _coordinates(spectrum: Spectrum, features: jax.Array, numbers: np.ndarray) -> jax.Array:
    """Centred rows in the directions of the spectrum (M, R)."""
    if spectrum.basis_is_left:
        return spectrum.basis[numbers] * jnp.sqrt(spectrum.eigenvalues)
    return (features - spectrum.mean) @ spectrum.basis


@jax.jit
def _spectrum(
    spectrum: Spectrum, features: jax.Array, coordinates: jax.Array, columns: jax.Array
) -> dict:
    residuals = columns - spectrum.label_means
    return {
        "scatter": coordinates.T @ coordinates,  # (R, R), in the directions of the spectrum
        "cross": coordinates.T @ residuals,
        "label_means": residuals.sum(axis=0) / spectrum.count,
        "label_squares": (residuals * residuals).sum(axis=0),
        "mean": (features - spectrum.mean).sum(axis=0) / spectrum.count,
        "mean_projections": coordinates.sum(axis=0) / spectrum.count,
    }


def _grouped(spectrum: Spectrum, change: dict) -> tuple[Spectrum, dict]:
    """The same in directions that the change turns little.

    Those of close eigenvalues are first turned to where it takes them. Where eigenvalues are equal,
    as those of whitened features, any basis is as good as another, and none has a derivative.
    """
    values, scatter = (np.array(part) for part in (spectrum.eigenvalues, change["scatter"]))
    live = values > 0
    close = np.abs(scatter) > CLOSE * np.abs(values[None, :] - values[:, None])
    close &= live[None, :] & live[:, None] & ~np.eye(len(values), dtype=bool)
    if not close.any():
        return spectrum, change
    cross, shift = (np.array(part) for part in (spectrum.label_projections, change["cross"]))
    means, moved = np.array(spectrum.mean_projections), np.array(change["mean_projections"])
    cross *= np.sqrt(values)[:, None]
    for start, stop in _runs(close):
        block = slice(start, stop)
        ascending, turn = np.linalg.eigh(np.diag(values[block]) + scatter[block, block])
        values[block], turn = ascending[::-1], turn[:, ::-1]
        scatter[:, block] = scatter[:, block] @ turn
        scatter[block] = turn.T @ scatter[block]
        scatter[block, block] = 0.0
        for part in (cross, shift, means, moved):
            part[block] = turn.T @ part[block]
    roots = np.sqrt(np.where(live, values, 1.0))[:, None]
    turned = replace(
        spectrum,
        eigenvalues=jnp.asarray(values),
        label_projections=jnp.asarray(np.where(live[:, None], cross / roots, 0.0)),
        mean_projections=jnp.asarray(means),
    )
    parts = {"scatter": scatter, "cross": shift, "mean_projections": moved}
    return turned, change | {name: jnp.asarray(part) for name, part in parts.items()}


def _runs(close: np.ndarray) -> list[tuple[int, int]]:
    """Start and stop of the runs of directions that hold all pairs that are close (R, R)."""
    runs: list[tuple[int, int]] = []
    for first in np.flatnonzero(np.triu(close).any(axis=1)).tolist():
        stop = int(np.flatnonzero(close[first])[-1]) + 1
        if runs and first < runs[-1][1]:
            runs[-1] = runs[-1][0], max(runs[-1][1], stop)
        else:
            runs.append((first, stop))
    return runs


@jax.jit
def _turned(spectrum: Spectrum, change: dict) -> Spectrum:
    """The spectrum where λ_j moves by S_jj and direction i turns to j by S_ij/(λ_j - λ_i).

    The square of the turn is kept: without it turned vectors grow, by as much as the change where
    values are near.
    """
    values = spectrum.eigenvalues
    live = values > 0
    gaps = values[None, :] - values[:, None]
    apart = (gaps != 0) & live[None, :] & live[:, None]
    turn = jnp.where(apart, change["scatter"] / jnp.where(apart, gaps, 1.0), 0.0)
    moved = jnp.where(live, values + jnp.diag(change["scatter"]), 0.0)
    cross = jnp.sqrt(values)[:, None] * spectrum.label_projections
    cross = cross + turn.T @ (cross + turn.T @ cross / 2) + change["cross"]
    scale = jnp.where(live, 1 / jnp.sqrt(jnp.where(live, moved, 1.0)), 0.0)
    means = spectrum.mean_projections
    means = means + turn.T @ (means + turn.T @ means / 2) + change["mean_projections"]
    return replace(
        spectrum,
        eigenvalues=moved,
        label_projections=cross * scale[:, None],
        mean_projections=jnp.where(live, means, 0.0),
        label_means=spectrum.label_means + change["label_means"],
        label_squares=spectrum.label_squares + change["label_squares"],
        mean=spectrum.mean + change["mean"],
    )
