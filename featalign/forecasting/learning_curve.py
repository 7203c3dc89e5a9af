"""Learning curves: accuracy as a power law in the number of training rows, with an asymptote."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from featalign.errors import FeatalignError

# errors fall about as the root of the number of rows; an exponent that few points do not settle
# stays near it
EXPONENT = 0.5
PULL = 0.1  # how much an exponent off by 1 costs, in accuracy
EXPONENTS = np.linspace(0.05, 1.5, 30)
MAX_ROUNDS = 5000  # rounds of reweighting; a fit usually takes a few tens
END = 1e-9  # the fit has ended when no fitted accuracy moves by more
TOLERANCE = 0.01  # residuals beyond it count by their size and no longer by their square


@dataclass(frozen=True)
class LearningCurve:
    """Accuracy after training on n rows: `asymptote` - `drop` · n^-`exponent`."""

    asymptote: float
    drop: float
    exponent: float

    def accuracy(self, size: float) -> float:
        """The accuracy at a number of rows, between 0 and 1."""
        return min(max(self.asymptote - self.drop * size**-self.exponent, 0.0), 1.0)


def fit_learning_curve(sizes: Sequence[float], accuracies: Sequence[float]) -> LearningCurve:
    """The power law a - b n^-c that fits accuracies at some sizes, with b >= 0 and a at most 1.

    For each c of a grid, a and b solve least squares, reweighted so that residuals beyond 0.01
    count by their size (Huber). Of these curves the one with the smallest mean residual + 0.1 (c -
    1/2)² / points is taken, because three or four points do not settle an exponent (Hoiem et al.,
    ICML 2021, report how unstable it is). Each curve is reweighted until its accuracies stand
    still; a curve that never does is left out. A single size, or points that do not rise, give a
    flat curve. Raises FeatalignError for sizes that are not above 0 and accuracies that are not
    finite.

    >>> sizes = [25, 50, 100, 200]
    >>> curve = fit_learning_curve(sizes, [0.9 - 2 * n**-0.5 for n in sizes])
    >>> round(curve.exponent, 2), round(curve.accuracy(800), 3)
    (0.5, 0.829)
    """
    return _fitted(tuple(map(float, sizes)), tuple(map(float, accuracies)))


@lru_cache(maxsize=4096)
def _fitted(sizes: tuple[float, ...], accuracies: tuple[float, ...]) -> LearningCurve:
    n, wanted = np.array(sizes), np.array(accuracies)
    if not (len(n) == len(wanted) > 0 and np.isfinite(n).all() and (n > 0).all()):
        raise FeatalignError(f"sizes: expected a number above 0 for each accuracy, got {sizes}")
    if not np.isfinite(wanted).all():
        got = f"got {accuracies}; leave such points out"
        raise FeatalignError(f"accuracies: expected finite numbers, {got}")
    flat = LearningCurve(float(np.clip(wanted.mean(), 0, 1)), 0.0, EXPONENT)
    if n.min() == n.max():
        return flat
    powers = n ** -EXPONENTS[:, None]  # (E, points)
    weights, shown, moves = np.ones_like(powers), np.full_like(powers, np.inf), np.array(np.inf)
    for _ in range(MAX_ROUNDS):
        total = weights.sum(axis=1)
        mean, mid = (weights * powers).sum(axis=1) / total, (weights * wanted).sum(axis=1) / total
        away = powers - mean[:, None]
        drops = -(weights * away * (wanted - mid[:, None])).sum(axis=1) / np.maximum(
            (weights * away**2).sum(axis=1), 1e-300
        )
        asymptotes = mid + drops * mean
        above = asymptotes > 1  # such curves are fitted again with the asymptote 1
        bound = (weights * (1 - wanted) * powers).sum(axis=1) / (weights * powers**2).sum(axis=1)
        asymptotes, drops = np.where(above, 1.0, asymptotes), np.where(above, bound, drops)
        before, shown = shown, asymptotes[:, None] - drops[:, None] * powers
        residuals = np.abs(wanted - shown)
        weights = 1 / np.maximum(residuals / TOLERANCE, 1)
        moves = np.abs(shown - before).max(axis=1)
        if moves.max() < END:
            break
    costs = residuals.mean(axis=1) + PULL * (EXPONENTS - EXPONENT) ** 2 / len(n)
    costs = np.where((drops > 0) & (moves < END), costs, np.inf)
    best = int(np.argmin(costs))
    return (
        LearningCurve(float(asymptotes[best]), float(drops[best]), float(EXPONENTS[best]))
        if np.isfinite(costs[best])
        else flat
    )
