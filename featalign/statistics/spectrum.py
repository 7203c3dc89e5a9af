"""The spectrum of an embedding, which all spectral scorers share, and how it changes."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from featalign.statistics.products import group_sums
from featalign.statistics.statistic import Change, Group, Statistic

if TYPE_CHECKING:
    from featalign.statistics.label_orders import LabelOrders

CLOSE = 1e-3  # a turn by more is no small change


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Spectrum(Statistic):
    """The centred features Z = U √Λ Vᵀ (N, D), with labels Y (N, K) and mean μ in that basis.

    R = min(N, D). The `eigenvalues` Λ of Zᵀ Z descend. Those below max(N, D) ε Λ₁ are set to zero,
    and their projections with them. `label_projections` = Uᵀ Y, `mean_projections` = Vᵀ μ,
    `mean_remainder` = |μ|² outside the span of Z. U is orthogonal to the vector of ones, so the
    uncentred features are Z plus one rank: F Fᵀ in the basis (1/√N, U) is an arrowhead matrix.
    Therefore nothing needs a second decomposition.
    """

    count: jax.Array  # ()
    eigenvalues: jax.Array  # (R,)
    label_projections: jax.Array  # (R, K)
    mean_projections: jax.Array  # (R,)
    mean_remainder: jax.Array  # ()
    label_means: jax.Array  # (K,)
    label_squares: jax.Array  # (K,) Σ (y - ȳ)²
    mean: jax.Array  # (D,)
    # V (D, D) where the D x D scatter was decomposed, U (N, N) where the N x N Gram was
    basis: jax.Array
    basis_is_left: bool = field(metadata={"static": True})

    @property
    def is_constant(self) -> bool:
        """Whether all rows are alike; a compiled function cannot ask this."""
        return not np.asarray(self.eigenvalues)[0] > 0

    def under(self, orders: "LabelOrders") -> Iterator["Spectrum"]:
        """The spectrum with the projections of the labels in each order."""
        for projections in _label_projections(self, orders):
            yield replace(self, label_projections=projections)

    def derivative(self, group: Group) -> Change:
        """The derivatives of scatter, cross moments and means, in the spectrum's directions."""
        if self.basis_is_left:
            coordinates = self.basis[group.numbers] * jnp.sqrt(self.eigenvalues)
        else:
            coordinates = (group.features - self.mean) @ self.basis
        return _derivative(self, group.features, coordinates, group.columns)

    def moved(self, change: Change) -> "Spectrum":
        """The spectrum of the changed scatter, by the derivative of the eigendecomposition.

        This spares a second decomposition of everything. Only directions whose eigenvalues are too
        close for the size of the change are decomposed anew, among themselves.
        """
        return _turned(*_grouped(self, change))


def _label_projections(spectrum: Spectrum, orders: "LabelOrders") -> jax.Array:
    """Uᵀ Y (P, R, K) in each order."""
    labels = orders.labels
    if spectrum.basis_is_left:
        basis = np.asarray(spectrum.basis)
        if labels.num_classes:
            sums = group_sums(basis, labels.values[orders.orders], labels.num_classes)
        else:
            sums = np.einsum(
                "pnk,nr->pkr",
                labels.values[orders.orders] - labels.values.mean(axis=0),
                basis,
                optimize=True,
            )
        # the vectors of live directions are orthogonal to that of ones, so the means need no
        # subtraction
        live = spectrum.eigenvalues > 0
        return jnp.asarray(sums).transpose(0, 2, 1) * live[:, None]
    if labels.num_classes:
        counts = jnp.asarray(np.bincount(labels.values, minlength=labels.num_classes))
        cross = jnp.asarray(orders.sums) - counts[:, None] * (spectrum.mean - orders.centre)
    else:
        cross = jnp.asarray(orders.sums)
    return _projected(cross, spectrum.basis, spectrum.eigenvalues)


@jax.jit
def _projected(cross: jax.Array, basis: jax.Array, eigenvalues: jax.Array) -> jax.Array:
    live = eigenvalues > 0
    scale = jnp.where(live, 1 / jnp.sqrt(jnp.where(live, eigenvalues, 1.0)), 0.0)
    return jnp.einsum("pkd,dr->prk", cross, basis) * scale[:, None]


@jax.jit
def _derivative(
    spectrum: Spectrum, features: jax.Array, coordinates: jax.Array, columns: jax.Array
) -> Change:
    residuals = columns - spectrum.label_means
    return {
        "scatter": coordinates.T @ coordinates,  # (R, R), in the directions of the spectrum
        "cross": coordinates.T @ residuals,
        "label_means": residuals.sum(axis=0) / spectrum.count,
        "label_squares": (residuals * residuals).sum(axis=0),
        "mean": (features - spectrum.mean).sum(axis=0) / spectrum.count,
        "mean_projections": coordinates.sum(axis=0) / spectrum.count,
    }


def _grouped(spectrum: Spectrum, change: Change) -> tuple[Spectrum, Change]:
    """The spectrum and the change in directions that the change turns little.

    Directions of close eigenvalues are first turned to where the change takes them. Where
    eigenvalues are equal, as those of whitened features, any basis is as good as another, and none
    has a derivative.
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
def _turned(spectrum: Spectrum, change: Change) -> Spectrum:
    """The spectrum where λ_j moves by S_jj and direction i turns to j by S_ij/(λ_j - λ_i).

    The square of the turn is kept. Without it turned vectors would grow, and where eigenvalues are
    near each other they would grow by as much as the change.
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
