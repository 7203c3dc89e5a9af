"""The formulas of Tahir, Ganguli and Rotskoff, "Features are fate".

They are of "Features are fate: a theory of transfer learning in high-dimensional regression", ICML
2025.

Inputs are x ~ N(0, I_d), labels y = β·x + ε, ε ~ N(0, σ²), |β| = 1 for the source and the target;
`angle` θ is between the two, `ratio` γ = n / d is rows of the target per dimension, `noise` is σ.
The network is a deep linear one from vanishing initial weights; the risk is |β̂ - β_target|². A
gain is the risk from scratch less the risk after transfer, so that positive means that transfer
helps.
"""

import math

import numpy as np


def scratch_risk(ratio: float, noise: float) -> float:
    """Risk of training from scratch, the interpolator of least norm (equation 8).

    It is ((1 - γ)² + γσ²) / (1 - γ) below γ = 1, and σ² / (γ - 1) above.
    """
    if ratio == 1:
        return math.inf if noise else 0.0
    return 1 - ratio + ratio * noise**2 / (1 - ratio) if ratio < 1 else noise**2 / (ratio - 1)


def scratch_risk_of_rows(rows: int, width: int, noise: float) -> float:
    """The risk of training from scratch in expectation at finite n and d.

    It is 1 - n/d + σ² n / (d - n - 1) or σ² d / (n - d - 1), and infinite where n is within 1 of d.
    """
    if abs(rows - width) <= 1:
        return math.inf if noise else 0.0
    return (
        1 - rows / width + noise**2 * rows / (width - rows - 1)
        if rows < width
        else noise**2 * width / (rows - width - 1)
    )


def linear_transfer_risk(angle: float, rows: float, noise: float) -> float:
    """Risk of least squares on the one feature that pretraining leaves (equation 10).

    It is sin²θ + (σ² + sin²θ) / (n - 2).
    """
    floor = math.sin(angle) ** 2
    return floor + (noise**2 + floor) / (rows - 2)


def ridge_transfer_risk(angle: float, penalty: float) -> float:
    """The same with a ridge penalty λ and many rows (equation 13).

    It is 1 - (1 + 2λ) / (1 + λ)² cos²θ.
    """
    return 1 - (1 + 2 * penalty) / (1 + penalty) ** 2 * math.cos(angle) ** 2


def linear_transfer_gain(angle: float, ratio: float, noise: float) -> float:
    """R_scratch - sin²θ (equation 11)."""
    return scratch_risk(ratio, noise) - math.sin(angle) ** 2


def sign_flips(angle: float, noise: float) -> tuple[float, ...]:
    """The ratios at which the gain of linear transfer changes its sign, ascending.

    Below 1 the roots of γ² - (1 + cos²θ - σ²) γ + cos²θ, above 1 at 1 + σ² / sin²θ.

    >>> [round(flip, 3) for flip in sign_flips(math.pi / 4, 0.2)]
    [0.549, 0.911, 1.08]
    """
    cosine, sine = math.cos(angle) ** 2, math.sin(angle) ** 2
    half, flips = (1 + cosine - noise**2) / 2, []
    if half**2 > cosine:
        root = math.sqrt(half**2 - cosine)
        flips = [flip for flip in (half - root, half + root) if 0 < flip < 1]
    return (*flips, *((1 + noise**2 / sine,) if sine > 0 and noise > 0 else ()))


def fine_tuning_gain(angle: float, ratio: float) -> float:
    """(1 - γ)(2 cos θ - 1) below γ = 1, 0 above (equation 15).

    Fine-tuning keeps of the source what the rows do not see.
    """
    return max(0.0, 1 - ratio) * (2 * math.cos(angle) - 1)


def kept_scale(ratio: float, noise: float, source_square: float = 1.0) -> float:
    """By how much fine-tuning scales what it keeps of the source.

    It is the positive root of c⁴ - (1 - γ) c² - R / B = 0.

    R = γ + σ²γ/(1 - γ) is the square of the interpolator of least norm, B that of the pretrained β
    (1 after infinite data). Gradient flow conserves the balance of the layers, so that the last
    layer, and with it what is kept, grows with the norm of the fit. The root is 1 where σ = 0 and B
    = 1, which is what equation 15 takes it for.
    """
    fitted = ratio + noise**2 * ratio / (1 - ratio)
    return math.sqrt((1 - ratio + math.sqrt((1 - ratio) ** 2 + 4 * fitted / source_square)) / 2)


def fine_tuning_gain_scaled(angle: float, ratio: float, noise: float) -> float:
    """(1 - γ)(2 c cos θ - c²), c as `kept_scale` has it."""
    if ratio >= 1:
        return 0.0
    scale = kept_scale(ratio, noise)
    return (1 - ratio) * (2 * scale * math.cos(angle) - scale**2)


def pretrained_square(source_ratio: float, source_noise: float) -> float:
    """|β̂|² after pretraining on γ_s d rows.

    It is γ_s + σ_s²γ_s/(1 - γ_s) below γ_s = 1, and 1 + σ_s²/(γ_s - 1) above.
    """
    if source_ratio < 1:
        return source_ratio + source_noise**2 * source_ratio / (1 - source_ratio)
    return 1 + source_noise**2 / (source_ratio - 1)


def fine_tuning_gain_finite_source(
    angle: float, ratio: float, source_ratio: float, source_noise: float, *, scale: float = 1.0
) -> float:
    """(1 - γ)(2 c m cos θ - c² B), the gain after pretraining on finite data.

    B is the `pretrained_square`, and m = min(γ_s, 1) the share of the source that its rows saw.

    With c = 1, as the paper has it, these are equations 22 and 23; `scale` may be
    `kept_scale(ratio, noise, B)`.
    """
    seen = min(source_ratio, 1.0)
    return max(0.0, 1 - ratio) * (
        2 * scale * seen * math.cos(angle)
        - scale**2 * pretrained_square(source_ratio, source_noise)
    )


def tuned_decay_risk(ratio: float, noise: float) -> float:
    """Risk from scratch with the best weight decay: σ²/γ m(-σ²/γ).

    m is the Stieltjes transform of the Marchenko-Pastur law of X^T X / n.

    Weight decay on two balanced layers penalises |β|, whose solutions are those of ridge
    regression; the best ridge is σ²/γ (Dobriban and Wager, "High-dimensional asymptotics of
    prediction", 2018). It has no peak at γ = 1.
    """
    shape = 1 / ratio
    penalty = shape * noise**2
    if penalty == 0:
        return max(0.0, 1 - ratio)
    difference = 1 - shape + penalty
    transform = (-difference + math.sqrt(difference**2 + 4 * shape * penalty)) / (
        2 * shape * penalty
    )
    return penalty * transform


def on_grid(function, *axes) -> np.ndarray:
    """Values of a function of numbers on the product of axes, one axis of the array for each."""
    grids = np.meshgrid(*axes, indexing="ij")
    return np.array(
        [function(*point) for point in zip(*(grid.ravel() for grid in grids), strict=True)]
    ).reshape(grids[0].shape)
