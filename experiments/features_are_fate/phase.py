"""The phase diagrams: simulated risks over angle, ratio and noise.

They also show how well the formulas describe the risks.
"""

from typing import Any

import numpy as np

from experiments.features_are_fate import theory
from experiments.features_are_fate.plan import Plan
from experiments.features_are_fate.pretraining import pretrained
from experiments.features_are_fate.results import Save
from experiments.features_are_fate.simulate import (
    draw_all,
    fine_tuning_risks,
    interpolator_risks,
    linear_transfer_risks,
    scratch_risks,
)

BAND = 0.1  # around γ = 1, where scratch has its peak, nothing is compared
SMALL = 0.03  # gains below this have no sign to compare


def run_phase(plan: Plan, stored: dict[str, Any], save: Save) -> dict[str, Any]:
    """Mean risks over the draws and their standard errors, one cell for each noise and ratio.

    Lists are over the angles.
    """
    cells: dict[str, Any] = dict(stored.get("cells", {}))
    for ratio in plan.ratios:
        for noise in plan.noises:
            if cell_name(noise, ratio) not in cells:
                cells[cell_name(noise, ratio)] = _cell(plan, ratio, noise)
                save({"cells": cells})
    return {"angles": plan.radians(), "cells": cells, "agreement": agreement(plan, cells)}


def cell_name(noise: float, ratio: float) -> str:
    """The name of a cell in results.json."""
    return f"noise {noise} ratio {ratio}"


def _cell(plan: Plan, ratio: float, noise: float) -> dict[str, Any]:
    angles, source = plan.radians(), pretrained(plan)
    rows = draw_all(plan, ratio, noise, angles, plan.draws)
    scratch = scratch_risks(plan, rows)
    fine_tuned = fine_tuning_risks(plan, rows, source)
    found: dict[str, Any] = {
        "scratch": scratch.mean(),
        "scratch error": standard_error(scratch),
        "interpolator": interpolator_risks(rows)[:, 0].mean(),
        "fine-tuning": fine_tuned.mean(axis=0),
        "fine-tuning gain error": standard_error(scratch[:, None] - fine_tuned),
    }
    for penalty in plan.penalties:
        risks = linear_transfer_risks(rows, source[0], penalty)
        found[f"linear transfer {penalty:g}"] = risks.mean(axis=0)
        found[f"linear transfer {penalty:g} gain error"] = standard_error(scratch[:, None] - risks)
    return found


def standard_error(values: np.ndarray) -> np.ndarray:
    """Of the mean over draws (R, ...)."""
    return values.std(axis=0, ddof=1) / np.sqrt(len(values))


def gains(plan: Plan, cells: dict[str, Any], kind: str, noise: float) -> np.ndarray:
    """Simulated gains (ratios, angles)."""
    of_noise = [cells[cell_name(noise, ratio)] for ratio in plan.ratios]
    return np.array([cell["scratch"] - np.array(cell[kind]) for cell in of_noise])


def expected_gains(plan: Plan, kind: str, noise: float) -> np.ndarray:
    """The same from the formulas; the ridge's is that of many rows."""
    if kind == "fine-tuning":
        return theory.on_grid(
            lambda ratio, angle: theory.fine_tuning_gain(angle, ratio), plan.ratios, plan.radians()
        )
    penalty = float(kind.rsplit(" ", 1)[1])
    if penalty > 1e-3:
        return theory.on_grid(
            lambda ratio, angle: (
                theory.scratch_risk(ratio, noise) - theory.ridge_transfer_risk(angle, penalty)
            ),
            plan.ratios,
            plan.radians(),
        )
    return theory.on_grid(
        lambda ratio, angle: theory.linear_transfer_gain(angle, ratio, noise),
        plan.ratios,
        plan.radians(),
    )


def kinds(plan: Plan) -> list[str]:
    """What is compared with its formula."""
    return ["fine-tuning", *(f"linear transfer {penalty:g}" for penalty in plan.penalties)]


def agreement(plan: Plan, cells: dict[str, Any]) -> dict[str, Any]:
    """Mean absolute error of the formulas and the share of right signs, away from γ = 1.

    And the slope of the fine-tuning gain.
    """
    away = np.abs(np.array(plan.ratios) - 1) > BAND - 1e-9
    found: dict[str, Any] = {"ratios compared": np.array(plan.ratios)[away]}
    for kind in kinds(plan):
        for noise in plan.noises:
            simulated, expected = (
                gains(plan, cells, kind, noise)[away],
                expected_gains(plan, kind, noise)[away],
            )
            clear = np.abs(expected) > SMALL
            found[f"{kind}, noise {noise}"] = {
                "mean absolute error": np.abs(simulated - expected).mean(),
                "largest error": np.abs(simulated - expected).max(),
                "same sign": (np.sign(simulated) == np.sign(expected))[clear].mean(),
                "cells with a sign": int(clear.sum()),
            }
    for noise in plan.noises:
        found[f"slope, noise {noise}"] = _slopes(plan, cells, noise)
    return found


def _slopes(plan: Plan, cells: dict[str, Any], noise: float) -> dict[str, Any]:
    """Least-squares slopes of the simulated gain over the formula's.

    They are taken below γ = 1 and away from it: pooled, and through each ratio.
    """
    below = [place for place, ratio in enumerate(plan.ratios) if ratio < 1 - BAND + 1e-9]
    simulated, expected = (
        gains(plan, cells, "fine-tuning", noise)[below],
        expected_gains(plan, "fine-tuning", noise)[below],
    )
    scaled = theory.on_grid(
        lambda ratio, angle: theory.fine_tuning_gain_scaled(angle, ratio, noise),
        np.array(plan.ratios)[below],
        plan.radians(),
    )
    each = [
        float(np.polyfit(cosines, row, 1)[0])
        for cosines, row in zip(expected, simulated, strict=True)
    ]
    return {
        "pooled": float(np.polyfit(expected.ravel(), simulated.ravel(), 1)[0]),
        "by ratio": dict(zip((str(plan.ratios[place]) for place in below), each, strict=True)),
        "mean absolute error with the scale c": np.abs(simulated - scaled).mean(),
    }
