"""Distances between source and target do not change with the number of rows.

The sign of the gain does. What overlap and the scratch curve say.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from experiments.features_are_fate.draws import gaussian_rows
from experiments.features_are_fate.phase import cell_name, gains
from experiments.features_are_fate.plan import QUICK, Plan
from experiments.features_are_fate.pretraining import pretrained
from experiments.features_are_fate.results import Save
from experiments.features_are_fate.slices import NOISE
from featalign.api import score
from featalign.distances.registry import measure
from featalign.study.agreement import sign_agreement

SHARE = 0.5  # θ = 45 degrees
# singular values of the first layer above this share of the largest are features, the rest is what
# the start left
ACTIVATED = 1e-3
SOURCE_ROWS = 1000


@dataclass(frozen=True)
class DistancePlan:
    """The simulation it belongs to, and where samples are compared."""

    simulation: Plan = field(default_factory=Plan)
    ratios: tuple[float, ...] = (0.2, 0.5, 1.0, 2.0)
    draws: int = 1
    overlap_draws: int = 10


QUICK_DISTANCES = DistancePlan(QUICK, (0.5, 1.5), 1, 4)


def run_distances(
    plan: DistancePlan, stored: dict[str, Any], save: Save, results: dict[str, Any]
) -> dict[str, Any]:
    """Exact distances of the two laws of (x, y), and estimates from samples.

    Beside them is the gain that label overlap and the scratch curve forecast.
    """
    found = {name: stored[name] for name in ("samples", "overlap") if name in stored}
    found["law"] = law_distances(SHARE * math.pi / 2, NOISE, plan.simulation.width)
    found["fixed rows"] = _at_fixed_rows(plan.simulation, results["phase"])
    for name, part in (("overlap", _overlap), ("samples", _samples)):
        if name not in found:
            found[name] = part(plan, results["slices"])
            save(found)
    return found


def law_distances(angle: float, noise: float, width: int) -> dict[str, float]:
    """Distances of the joint laws of (x, y) under source and target: none of them knows n.

    KL = (1 - cos θ) / σ²; JS by quadrature over ε and x·(β_s - β_t), on which alone the densities'
    ratio depends; the squared 2-Wasserstein distance of Gaussians; the squared MMD of Gaussians
    with kernel exp(-|z - z'|² / 2ℓ²), ℓ² the mean squared distance of two source points. The
    columns of x and y, one by one, have the same law under both.
    """
    apart = 2 - 2 * math.cos(angle)
    nodes, weights = np.polynomial.hermite_e.hermegauss(160)
    weights = weights / weights.sum()
    ratio = (
        noise**2 * nodes[:, None] ** 2
        - (noise * nodes[:, None] + math.sqrt(apart) * nodes[None, :]) ** 2
    ) / (2 * noise**2)
    js = float(weights @ (1 - np.logaddexp(0, ratio) / math.log(2)) @ weights)
    source, target = (_covariance(each, noise) for each in (0.0, angle))
    values, vectors = np.linalg.eigh(source)
    root = vectors * np.sqrt(values) @ vectors.T
    bures = float(
        np.trace(source + target)
        - 2 * np.sqrt(np.maximum(np.linalg.eigvalsh(root @ target @ root), 0)).sum()
    )
    bandwidth = 2 * (width + 1 + noise**2)

    def kernel_mean(first: np.ndarray, second: np.ndarray) -> float:
        block = np.eye(3) + (first + second) / bandwidth
        return float(np.linalg.det(block)) ** -0.5 * (1 + 2 / bandwidth) ** (-(width - 2) / 2)

    mmd = (
        kernel_mean(source, source) + kernel_mean(target, target) - 2 * kernel_mean(source, target)
    )
    return {
        "kl (nats)": (1 - math.cos(angle)) / noise**2,
        "js (bits)": js,
        "squared 2-wasserstein": bures,
        "squared mmd": mmd,
    }


def _covariance(angle: float, noise: float) -> np.ndarray:
    """Of x·e_1, x·e_2 and y."""
    beta = np.array([math.cos(angle), math.sin(angle)])
    return np.block([[np.eye(2), beta[:, None]], [beta[None, :], np.array([[1 + noise**2]])]])


def _samples(plan: DistancePlan, slices: dict[str, Any]) -> dict[str, Any]:
    """Mean estimates from 1000 source rows and n target rows of (x, y).

    They are at 45 degrees and at 0, where both have one law.
    """
    del slices
    width, found = plan.simulation.width, {}
    for ratio in plan.ratios:
        found[str(ratio)] = {}
        for label, angle in (("45 degrees", SHARE * math.pi / 2), ("same law", 0.0)):
            values: dict[str, list[float]] = {}
            for seed in range(plan.draws):
                source = _joint(SOURCE_ROWS, width, 0.0, 70_000 + seed)
                target = _joint(round(ratio * width), width, angle, seed)
                for name, result in measure(source, target).items():
                    values.setdefault(name, []).append(result.value)
            found[str(ratio)][label] = {name: float(np.mean(each)) for name, each in values.items()}
    return found


def _joint(rows: int, width: int, angle: float, seed: int) -> np.ndarray:
    inputs, noise = gaussian_rows(rows, width, seed)
    return np.column_stack(
        [inputs, math.cos(angle) * inputs[:, 0] + math.sin(angle) * inputs[:, 1] + NOISE * noise]
    )


def _overlap(plan: DistancePlan, slices: dict[str, Any]) -> dict[str, Any]:
    """The gain forecast from the label overlap of the pretrained features, by ratio.

    The overlap is on the target rows; the forecast also takes the measured scratch curve.

    With v the label's variance, s the overlap and R the risk from scratch, the forecast is (R + σ²)
    - v (1 - s)(1 + 1 / (n - 2)), both errors on noisy labels. `label_overlap` is the share of the
    label in the span of the features less what chance gives, s (1 - r / (n - 1)).
    """
    simulation = plan.simulation
    firsts, _ = pretrained(simulation)
    angle, place = SHARE * math.pi / 2, simulation.slice_angles.index(SHARE)
    cells: dict[str, Any] = {}
    for ratio, measured in slices["cells"].items():
        rows, forecasts = simulation.rows(float(ratio)), []
        for seed in range(min(plan.overlap_draws, simulation.draws)):
            inputs, noise = gaussian_rows(rows, simulation.width, seed)
            labels = math.cos(angle) * inputs[:, 0] + math.sin(angle) * inputs[:, 1] + NOISE * noise
            directions, values, _ = np.linalg.svd(firsts[seed], full_matrices=False)
            features = inputs @ directions[:, values > ACTIVATED * values[0]]
            overlap = score(features, labels, scorers=["label_overlap"])["label_overlap"].value
            share = overlap / (1 - features.shape[1] / (rows - 1))
            forecasts.append(
                measured["scratch"]
                + NOISE**2
                - labels.var(ddof=1) * (1 - share) * (1 + 1 / (rows - 2))
            )
        cells[str(ratio)] = {
            "forecast": np.mean(forecasts),
            "by draw": forecasts,
            "simulated": measured["linear transfer gain"][place],
        }
    truth, forecast = (
        np.array([cell[name] for cell in cells.values()]) for name in ("simulated", "forecast")
    )
    right = np.sign(truth) == np.sign(forecast)
    each = np.array(
        [np.sign(cell["by draw"]) == np.sign(cell["simulated"]) for cell in cells.values()]
    )
    return {
        "cells": cells,
        "ratios": len(cells),
        "signs right": int(right.sum()),
        "wrong": {
            ratio: [cell["simulated"], cell["forecast"]]
            for (ratio, cell), good in zip(cells.items(), right, strict=True)
            if not good
        },
        "share of single draws right": each.mean(),
        "mean absolute error": np.abs(truth - forecast).mean(),
    }


def _at_fixed_rows(simulation: Plan, phase: dict[str, Any]) -> dict[str, Any]:
    """What is true of distances: at any one n they rank these sources rightly.

    Spearman of -KL with the gain; AUROC of its sign over all cells.
    """
    kind, angles = f"linear transfer {simulation.penalties[0]:g}", simulation.radians()
    simulated = gains(simulation, phase["cells"], kind, NOISE)
    nearness = -(1 - np.cos(angles)) / NOISE**2
    by_ratio = {
        str(ratio): float(np.asarray(spearmanr(nearness, row))[0])
        for ratio, row in zip(simulation.ratios, simulated, strict=True)
    }
    errors = np.array(
        [
            phase["cells"][cell_name(NOISE, ratio)][f"{kind} gain error"]
            for ratio in simulation.ratios
        ]
    )
    pooled = sign_agreement(
        np.tile(nearness, len(simulated)), simulated.ravel(), 2 * errors.ravel()
    )
    return {
        "smallest spearman over ratios": min(by_ratio.values()),
        "auroc of the sign over all cells": pooled.auroc,
        "cells": int(simulated.size),
    }
