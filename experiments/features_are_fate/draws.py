"""Draws of target rows, seen through what a full-batch gradient sees of them: their Gram matrix."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np


@dataclass(frozen=True, eq=False)
class Draw:
    """Gaussian rows X (n, d) and noise ε of unit variance, as descent needs them.

    That is X^T X / n = V Λ V^T, and V^T X^T ε / n.

    The gradient of the mean squared error depends on the data through Λ and V^T X^T y / n = Λ V^T β
    + σ `noise` alone. In the basis V each step costs d times the hidden width instead of n times d,
    and it is the same step.
    """

    eigenvalues: np.ndarray  # (d,)
    basis: np.ndarray  # V (d, d)
    noise: np.ndarray  # (d,)

    def teachers(self, angles: np.ndarray) -> np.ndarray:
        """Targets cos θ e_1 + sin θ e_2 (A, d) in the basis; the source is e_1."""
        return np.cos(angles)[:, None] * self.basis[0] + np.sin(angles)[:, None] * self.basis[1]

    def right_sides(self, teachers: np.ndarray, noise: float) -> np.ndarray:
        """V^T X^T y / n (A, d) of teachers (A, d) in the basis."""
        return self.eigenvalues * teachers + noise * self.noise

    def interpolators(self, right_sides: np.ndarray) -> np.ndarray:
        """The least-squares solutions of least norm (A, d) in the basis.

        Training from scratch tends to them.
        """
        live = self.eigenvalues > 0
        return np.where(live, right_sides / np.where(live, self.eigenvalues, 1.0), 0.0)


def gaussian_rows(rows: int, width: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs X (n, d) and noise ε (n,) of unit variance."""
    random = np.random.default_rng([seed, rows, width])
    return random.normal(size=(rows, width)), random.normal(size=rows)


@lru_cache(maxsize=32)
def draw_rows(rows: int, width: int, seed: int) -> Draw:
    """Gaussian rows of a seed, decomposed."""
    inputs, noise = gaussian_rows(rows, width, seed)
    eigenvalues, basis = np.linalg.eigh(inputs.T @ inputs / rows)
    eigenvalues[: max(0, width - rows)] = 0.0  # exactly so: the rows do not see these directions
    return Draw(eigenvalues, basis, basis.T @ (inputs.T @ noise) / rows)


def initial_weights(
    width: int, hidden: int, scale: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """First layer (d, m) and last layer (m,), as in the published code.

    The first has the scale N(0, 1/d), the last N(0, 1).
    """
    random = np.random.default_rng([seed, width, hidden, 7])
    return scale * random.normal(size=(width, hidden)) / np.sqrt(width), scale * random.normal(
        size=hidden
    )
