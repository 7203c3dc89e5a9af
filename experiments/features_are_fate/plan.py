"""What is simulated.

That is the grid of the published code, and a small one that shows that everything runs.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Plan:
    """Settings of all simulations of linear networks.

    Angles are shares of π/2, ratios are n / d.
    """

    width: int = 500
    hidden: int = 4
    draws: int = 20
    scale: float = 1e-5
    angles: tuple[float, ...] = tuple(round(0.05 * step, 2) for step in range(1, 21))
    ratios: tuple[float, ...] = tuple(round(0.1 * step, 1) for step in range(1, 21))
    noises: tuple[float, ...] = (0.0, 0.2)
    penalties: tuple[float, ...] = (1e-5, 0.1)
    slice_angles: tuple[float, ...] = (0.25, 0.5, 0.75)
    slice_ratios: tuple[float, ...] = (
        0.45,
        0.55,
        0.65,
        *(round(0.02 * step, 2) for step in range(41, 60) if step not in (45, 50, 55)),
    )
    decays: tuple[float, ...] = (0.0, 1e-4, 1e-3, 1e-2, 0.03, 0.1, 0.2)
    decay_draws: int = 10
    source_ratios: tuple[float, ...] = (0.5, 1.5)
    max_steps: int = 5_000
    tolerance: float = 2e-3
    full_width_cells: tuple[tuple[float, float], ...] = (
        (0.5, 0.25),
        (0.5, 0.5),
        (0.7, 0.75),
        (1.5, 0.5),
    )

    def radians(self, shares: tuple[float, ...] | None = None) -> np.ndarray:
        """Angles in radians (A,)."""
        return np.array(self.angles if shares is None else shares) * np.pi / 2

    def rows(self, ratio: float) -> int:
        """Number of target rows of a ratio."""
        return round(ratio * self.width)


QUICK = Plan(
    width=100,
    hidden=4,
    draws=4,
    angles=(0.25, 0.5, 0.75, 1.0),
    ratios=(0.3, 0.6, 1.4),
    slice_ratios=(0.4, 0.5, 0.8, 0.9, 1.0, 1.2),
    decays=(0.0, 0.01, 0.1),
    decay_draws=4,
    source_ratios=(0.5,),
    max_steps=3000,
    tolerance=1e-2,
    full_width_cells=((0.5, 0.5),),
)
