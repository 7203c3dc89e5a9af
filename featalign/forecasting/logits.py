"""Accuracies as log-odds, on which both arms are forecast, and back."""

import numpy as np
from numpy.typing import ArrayLike

MEASURED_ROWS = 1000  # measured accuracies count as if on so many rows, so that 0 and 1 are finite


def logit(share: ArrayLike, num_rows: ArrayLike = MEASURED_ROWS) -> np.ndarray:
    """The log-odds of shares of so many rows: log (p / (1 - p)), p = (n share + 1/2) / (n + 1).

    They are finite where no row, or every row, is right, and NaN where the share is.

    >>> round(float(logit(0.5)), 3), round(float(logit(1.0, 100)), 2)
    (0.0, 5.3)
    """
    shares, rows = np.asarray(share, np.float64), np.asarray(num_rows, np.float64)
    odds = (rows * shares + 0.5) / (rows * (1 - shares) + 0.5)
    return np.log(odds)


def share_of(log_odds: ArrayLike) -> np.ndarray:
    """The share with these log-odds: 1 / (1 + exp(-z)), between 0 and 1.

    >>> float(share_of(0.0))
    0.5
    """
    return 0.5 * (1 + np.tanh(np.asarray(log_odds, np.float64) / 2))


def drawing_variance(share: float, num_rows: int) -> float:
    """The variance of the log-odds of a share because so many rows were drawn: 1 / (n p (1 - p)).

    p is the share as `logit` counts it, so that the variance is finite.

    >>> round(drawing_variance(0.5, 100), 3)
    0.04
    """
    counted = float(share_of(logit(share, num_rows)))
    return 1 / (num_rows * counted * (1 - counted))
