"""Risks of the three ways to train on the target, simulated on the same draws."""

from dataclasses import dataclass

import numpy as np

from experiments.features_are_fate.descent import descend_all
from experiments.features_are_fate.draws import Draw, draw_rows, initial_weights
from experiments.features_are_fate.plan import Plan
from experiments.features_are_fate.pretraining import in_basis

TRAINING_SEED = 50_000


@dataclass(frozen=True, eq=False)
class Rows:
    """R draws of target rows at one ratio, with A angles.

    It has the targets (R, A, d) and right sides (R, A, d) of the angles.
    """

    draws: list[Draw]
    teachers: np.ndarray
    right_sides: np.ndarray

    @property
    def eigenvalues(self) -> np.ndarray:
        """(R, d)."""
        return np.stack([draw.eigenvalues for draw in self.draws])

    @property
    def bases(self) -> list[np.ndarray]:
        """R bases (d, d)."""
        return [draw.basis for draw in self.draws]


def draw_all(
    plan: Plan, ratio: float, noise: float, angles: np.ndarray, draws: int, *, first_seed: int = 0
) -> Rows:
    """Draws of one ratio; the same seeds for every noise and angle."""
    found = [draw_rows(plan.rows(ratio), plan.width, first_seed + seed) for seed in range(draws)]
    teachers = np.stack([draw.teachers(angles) for draw in found])
    return Rows(
        found,
        teachers,
        np.stack(
            [draw.right_sides(each, noise) for draw, each in zip(found, teachers, strict=True)]
        ),
    )


def scratch_risks(
    plan: Plan, rows: Rows, *, decays: np.ndarray | None = None, hidden: int | None = None
) -> np.ndarray:
    """Risks (R,) of gradient descent on the first target from small weights.

    With K weight decays they are (R, K).
    """
    starts = [
        initial_weights(plan.width, hidden or plan.hidden, plan.scale, TRAINING_SEED + seed)
        for seed in range(len(rows.draws))
    ]
    first = in_basis(np.stack([first for first, _ in starts]), rows.bases)
    last = np.stack([last for _, last in starts])
    count = 1 if decays is None else len(decays)
    sides = np.repeat(rows.right_sides[:, :1], count, axis=1)
    repeated = None if decays is None else np.tile(decays, (len(rows.draws), 1))
    coefficients = _trained(plan, rows, sides, (first, last), repeated)
    risks = ((coefficients - rows.teachers[:, :1]) ** 2).sum(axis=-1)
    return risks[:, 0] if decays is None else risks


def fine_tuning_risks(plan: Plan, rows: Rows, source: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    """Risks (R, A) of gradient descent on all weights from pretrained ones.

    The pretrained ones are first layers (R, d, m) and last layers (R, m).
    """
    first = in_basis(source[0][: len(rows.draws)], rows.bases)
    coefficients = _trained(
        plan, rows, rows.right_sides, (first, source[1][: len(rows.draws)]), None
    )
    return ((coefficients - rows.teachers) ** 2).sum(axis=-1)


def linear_transfer_risks(rows: Rows, firsts: np.ndarray, penalty: float) -> np.ndarray:
    """Risks (R, A) of ridge regression on the frozen first layers (R, d, m).

    The solution is v = (W^T Λ W + λ)⁻¹ W^T b, β = W v.

    The penalty 1e-5 of the published code is far above the square of what pretraining leaves in the
    other directions (about 1e-10), so that these do not leak into the fit, and far below 1.
    """
    first = in_basis(firsts[: len(rows.draws)], rows.bases)
    gram = np.einsum("rdm,rd,rdk->rmk", first, rows.eigenvalues, first) + penalty * np.eye(
        first.shape[2]
    )
    moments = np.einsum("rdm,rad->rma", first, rows.right_sides)
    coefficients = np.einsum("rdm,rma->rad", first, np.linalg.solve(gram, moments))
    return ((coefficients - rows.teachers) ** 2).sum(axis=-1)


def interpolator_risks(rows: Rows) -> np.ndarray:
    """Risks (R, A) of the least-norm interpolator.

    It is the limit that training from scratch is said to have.
    """
    found = np.stack(
        [
            draw.interpolators(sides)
            for draw, sides in zip(rows.draws, rows.right_sides, strict=True)
        ]
    )
    return ((found - rows.teachers) ** 2).sum(axis=-1)


def _trained(
    plan: Plan,
    rows: Rows,
    sides: np.ndarray,
    start: tuple[np.ndarray, np.ndarray],
    decays: np.ndarray | None,
) -> np.ndarray:
    """Coefficients (R, K, d) after gradient descent in float32."""
    first, last, eigenvalues, sides = (
        array.astype(np.float32) for array in (*start, rows.eigenvalues, sides)
    )
    decays = None if decays is None else decays.astype(np.float32)
    return descend_all(
        eigenvalues,
        sides,
        first,
        last,
        decays=decays,
        max_steps=plan.max_steps,
        tolerance=plan.tolerance,
    ).coefficients
