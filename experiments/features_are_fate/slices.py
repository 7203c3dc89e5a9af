"""Stages that go along one line of the phase diagram at a time.

They are about sign flips, weight decay, finite source data, and checks of the simulation itself.
"""

from dataclasses import replace
from typing import Any

import jax
import numpy as np

from experiments.features_are_fate import theory
from experiments.features_are_fate.descent import descend_all
from experiments.features_are_fate.draws import initial_weights
from experiments.features_are_fate.phase import cell_name, standard_error
from experiments.features_are_fate.plan import Plan
from experiments.features_are_fate.pretraining import in_basis, pretrained, pretrained_on_rows
from experiments.features_are_fate.results import Save
from experiments.features_are_fate.simulate import (
    draw_all,
    fine_tuning_risks,
    interpolator_risks,
    linear_transfer_risks,
    scratch_risks,
)

NOISE, SOURCE_NOISE = 0.2, 0.2
NEAR, PATIENT_STEPS = (
    0.15,
    40_000,
)  # around γ = 1 descent is slow, and the peak of scratch is what is looked at


def run_slices(
    plan: Plan, stored: dict[str, Any], save: Save, results: dict[str, Any]
) -> dict[str, Any]:
    """Scratch and linear transfer at σ = 0.2, and where the mean gain changes its sign.

    The ratios are those of the phase diagram and those between.
    """
    cells: dict[str, Any] = dict(stored.get("cells", {}))
    angles, source = plan.radians(plan.slice_angles), pretrained(plan)
    places, kind = (
        [plan.angles.index(share) for share in plan.slice_angles],
        f"linear transfer {plan.penalties[0]:g}",
    )
    for ratio in sorted({*plan.ratios, *plan.slice_ratios}):
        cell, near = results["phase"]["cells"].get(cell_name(NOISE, ratio)), abs(ratio - 1) < NEAR
        if cell is not None and not near:
            gains, errors = (
                cell["scratch"] - np.array(cell[kind]),
                np.array(cell[f"{kind} gain error"]),
            )
            found = {name: cell[name] for name in ("scratch", "scratch error", "interpolator")}
            cells[str(ratio)] = found | {
                "linear transfer gain": gains[places],
                "error": errors[places],
            }
        elif str(ratio) not in cells:
            rows = draw_all(plan, ratio, NOISE, angles, plan.draws)
            scratch = scratch_risks(
                replace(plan, max_steps=max(plan.max_steps, PATIENT_STEPS if near else 0)), rows
            )
            by_draw = scratch[:, None] - linear_transfer_risks(rows, source[0], plan.penalties[0])
            cells[str(ratio)] = {
                "scratch": scratch.mean(),
                "scratch error": standard_error(scratch),
                "interpolator": interpolator_risks(rows)[:, 0].mean(),
                "linear transfer gain": by_draw.mean(axis=0),
                "error": standard_error(by_draw),
            }
            save({"cells": cells})
    cells = dict(sorted(cells.items(), key=lambda item: float(item[0])))
    ratios, flips = np.array([float(ratio) for ratio in cells]), {}
    for place, share in enumerate(plan.slice_angles):
        values = np.array([cell["linear transfer gain"][place] for cell in cells.values()])
        limit = np.array(
            [
                cell["interpolator"] - cell["scratch"] + cell["linear transfer gain"][place]
                for cell in cells.values()
            ]
        )
        flips[str(share)] = {
            "simulated": crossings(ratios, values),
            "with the interpolator": crossings(
                ratios, limit
            ),  # in the place of descent from scratch, which near γ = 1 has not ended
            "theory": theory.sign_flips(float(angles[place]), NOISE),
        }
    return {"cells": cells, "flips": flips}


def crossings(places: np.ndarray, values: np.ndarray) -> list[float]:
    """Where values on a grid change their sign, between the neighbours by a straight line."""
    changes = np.flatnonzero(np.sign(values[:-1]) != np.sign(values[1:]))
    return [
        float(places[k] - values[k] * (places[k + 1] - places[k]) / (values[k + 1] - values[k]))
        for k in changes
    ]


def run_decay(plan: Plan, stored: dict[str, Any], save: Save) -> dict[str, Any]:
    """Risk from scratch with each weight decay (decays,), by ratio, at σ = 0.2."""
    cells: dict[str, Any] = dict(stored.get("cells", {}))
    decays = np.array(plan.decays)
    for ratio in plan.ratios:
        if str(ratio) not in cells:
            rows = draw_all(plan, ratio, NOISE, np.zeros(1), plan.decay_draws)
            risks = scratch_risks(plan, rows, decays=decays)
            cells[str(ratio)] = {"risks": risks.mean(axis=0), "errors": standard_error(risks)}
            save({"cells": cells})
    best = {ratio: min(cell["risks"]) for ratio, cell in cells.items()}
    expected = {ratio: theory.tuned_decay_risk(float(ratio), NOISE) for ratio in cells}
    errors = [abs(best[ratio] - expected[ratio]) for ratio in cells]
    return {
        "cells": cells,
        "decays": plan.decays,
        "best": best,
        "theory": expected,
        "mean absolute error": float(np.mean(errors)),
    }


def run_finite_source(plan: Plan, stored: dict[str, Any], save: Save) -> dict[str, Any]:
    """Gains of fine-tuning after pretraining on γ_s d noisy rows.

    They are over the angles, without noise on the target.
    """
    cells: dict[str, Any] = dict(stored.get("cells", {}))
    angles, ratios = plan.radians(), [ratio for ratio in (0.25, 0.5, 0.75) if ratio < 1]
    for source_ratio in plan.source_ratios:
        missing = [ratio for ratio in ratios if f"{source_ratio} {ratio}" not in cells]
        source = pretrained_on_rows(plan, source_ratio, SOURCE_NOISE) if missing else None
        for ratio in missing:
            assert source is not None
            rows = draw_all(plan, ratio, 0.0, angles, plan.draws)
            simulated = scratch_risks(plan, rows)[:, None] - fine_tuning_risks(plan, rows, source)
            square = theory.pretrained_square(source_ratio, SOURCE_NOISE)
            scale = theory.kept_scale(ratio, 0.0, square)
            published, scaled = (
                np.array(
                    [
                        theory.fine_tuning_gain_finite_source(
                            angle, ratio, source_ratio, SOURCE_NOISE, scale=each
                        )
                        for angle in angles
                    ]
                )
                for each in (1.0, scale)
            )
            mean = simulated.mean(axis=0)
            cells[f"{source_ratio} {ratio}"] = {
                "simulated": mean,
                "error": standard_error(simulated),
                "published": published,
                "scaled": scaled,
                "scale c": scale,
                "mean absolute error, published": np.abs(mean - published).mean(),
                "mean absolute error, scaled": np.abs(mean - scaled).mean(),
            }
            save({"cells": cells})
    return {"cells": cells}


def run_checks(plan: Plan, stored: dict[str, Any], save: Save) -> dict[str, Any]:
    """The changes of the gain in a few cells that are done again.

    Once they have as many hidden units as inputs, once they are in float64.
    """
    cells: dict[str, Any] = dict(stored.get("cells", {}))
    wide = replace(plan, hidden=plan.width, draws=3)
    narrow = replace(plan, draws=3)
    for ratio, share in plan.full_width_cells:
        name = f"ratio {ratio} angle {share}"
        if name in cells:
            continue
        rows = draw_all(plan, ratio, NOISE, plan.radians((share,)), narrow.draws)
        gains = {}
        for label, each in (("narrow", narrow), ("wide", wide)):
            gains[label] = scratch_risks(each, rows)[:, None] - fine_tuning_risks(
                each, rows, pretrained(each)
            )
        scratch_double, tuned_double = _in_double(narrow, rows)
        cells[name] = {
            "hidden units": [plan.hidden, plan.width],
            "gain": gains["narrow"].mean(),
            "largest change with full width": np.abs(gains["wide"] - gains["narrow"]).max(),
            "largest change in float64": np.abs(
                scratch_double - tuned_double - gains["narrow"]
            ).max(),
        }
        save({"cells": cells})
    return {"cells": cells}


def _in_double(plan: Plan, rows: Any) -> tuple[np.ndarray, np.ndarray]:
    """Risks (R, 1) from scratch and after fine-tuning, in float64."""
    starts = [
        initial_weights(plan.width, plan.hidden, plan.scale, 50_000 + seed)
        for seed in range(len(rows.draws))
    ]
    pairs = [
        (np.stack([first for first, _ in starts]), np.stack([last for _, last in starts])),
        pretrained(plan),
    ]
    found = []
    with jax.enable_x64(True):
        for first, last in pairs:
            start = in_basis(first[: len(rows.draws)], rows.bases), last[: len(rows.draws)]
            trained = descend_all(
                rows.eigenvalues,
                rows.right_sides,
                *start,
                max_steps=plan.max_steps,
                tolerance=plan.tolerance,
            )
            found.append(((trained.coefficients - rows.teachers) ** 2).sum(axis=-1))
    return found[0], found[1]
