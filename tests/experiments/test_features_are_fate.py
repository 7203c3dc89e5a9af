"""The reproduction of the theory.

This tests its formulas, its simulation against plain gradient descent, a small run of everything,
and what is shipped.
"""

import csv
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.features_are_fate import theory
from experiments.features_are_fate.__main__ import HERE, main
from experiments.features_are_fate.descent import BETWEEN, CAREFUL, CAREFUL_STEPS, descend_all
from experiments.features_are_fate.distance_argument import law_distances
from experiments.features_are_fate.draws import draw_rows, gaussian_rows, initial_weights
from experiments.features_are_fate.figures import FIGURES, draw_figures
from experiments.features_are_fate.page import write_page
from experiments.features_are_fate.pictures import pretraining_pixels
from experiments.features_are_fate.relu import pretrain, products
from experiments.features_are_fate.results import plain, read_results
from experiments.features_are_fate.slices import crossings
from experiments.features_are_fate.study import BEFORE_AND_AFTER, compare_with_study
from experiments.zoo.datasets import load_arrays
from experiments.zoo.recipes import Recipe
from featalign.distances.registry import DISTANCES
from featalign.study.ground_truth import ground_truth
from tests.shared import SHARED, needs_shared

pytestmark = pytest.mark.slow

REFERENCE = SHARED / "reference" / "tables" / "faf_theory_reference_d500.csv"


@needs_shared
def test_formulas_are_those_of_the_reference_table():
    with REFERENCE.open() as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    assert len(rows) == 30
    for row in rows:
        noise, ratio, angle = row["sigma"], row["gamma"], row["theta_over_half_pi"] * math.pi / 2
        assert theory.scratch_risk(ratio, noise) == pytest.approx(row["R_scratch_theory"], abs=1e-4)
        assert theory.scratch_risk_of_rows(round(500 * ratio), 500, noise) == pytest.approx(
            row["R_scratch_exact_finite"], abs=1e-4
        )
        assert theory.linear_transfer_risk(angle, 500 * ratio, noise) == pytest.approx(
            row["R_lt_exact"], abs=1e-4
        )
        assert theory.ridge_transfer_risk(angle, 0.1) == pytest.approx(
            row["R_lt_ridge0.1_theory"], abs=1e-4
        )
        tuned = theory.scratch_risk(ratio, noise) - theory.fine_tuning_gain(angle, ratio)
        assert tuned == pytest.approx(row["R_ft_theory"], abs=1e-4)
        assert tuned == pytest.approx(row["R_ft_mc"], abs=max(0.012, 4 * row["se_ft"]))


def test_formulas_agree_with_one_another():
    assert theory.sign_flips(math.pi / 2, 0.2) == pytest.approx((0.960, 1.04), abs=1e-3)
    assert theory.sign_flips(math.radians(30), 0.2) == pytest.approx((1.16,))
    for flip in theory.sign_flips(math.pi / 4, 0.2):
        assert theory.linear_transfer_gain(math.pi / 4, flip, 0.2) == pytest.approx(0, abs=1e-12)
    assert theory.kept_scale(0.4, 0.0) == pytest.approx(1)
    assert theory.kept_scale(0.25, 0.2) == pytest.approx(1.005, abs=1e-3)
    assert theory.fine_tuning_gain_finite_source(0.7, 0.5, 1e9, 0.2) == pytest.approx(
        theory.fine_tuning_gain(0.7, 0.5)
    )
    # the best ridge is no worse than none, and follows σ² / γ with many rows
    for ratio in (0.3, 0.9, 1.1, 2.0):
        assert theory.tuned_decay_risk(ratio, 0.2) < theory.scratch_risk(ratio, 0.2)
    assert theory.tuned_decay_risk(50, 0.2) == pytest.approx(0.2**2 / 50, rel=0.05)


def test_descent_in_the_eigenbasis_is_descent_on_the_rows():
    """Descent in the eigenbasis agrees with plain gradient descent on X and y.

    The latter has the gradient of the mean squared error by both layers, the same size of steps and
    decay.
    """
    rows, width, hidden, decay = 8, 12, 3, 0.01
    inputs, noise = gaussian_rows(rows, width, 5)
    labels = inputs[:, 0] + 0.3 * noise
    first, last = initial_weights(width, hidden, 0.1, 5)
    draw = draw_rows(rows, width, 5)
    with jax.enable_x64(True):
        trained = descend_all(
            draw.eigenvalues[None],
            draw.right_sides(draw.teachers(np.zeros(1)), 0.3)[None],
            (draw.basis.T @ first)[None],
            last[None],
            decays=np.full((1, 1), decay),
            max_steps=CAREFUL_STEPS,
            tolerance=0.0,
        )
    largest = np.linalg.eigvalsh(inputs.T @ inputs / rows)[-1]
    for _ in range(CAREFUL_STEPS):
        error = inputs @ first @ last - labels
        slope = inputs.T @ error / rows
        size = CAREFUL / (
            2 * (largest * ((first**2).sum() + (last**2).sum()) + np.linalg.norm(slope)) + decay
        )
        gradients = (
            2 * inputs.T @ np.outer(error, last) / rows,
            2 * (inputs @ first).T @ error / rows,
        )
        first, last = (
            first - size * (gradients[0] + decay * first),
            last - size * (gradients[1] + decay * last),
        )
    assert trained.steps.item() == CAREFUL_STEPS == 6 * BETWEEN
    np.testing.assert_allclose(draw.basis @ trained.coefficients[0, 0], first @ last, atol=1e-10)
    np.testing.assert_allclose(draw.basis @ trained.first[0, 0], first, atol=1e-10)


def test_crossings():
    assert crossings(
        np.array([0.0, 1.0, 2.0, 3.0]), np.array([1.0, -1.0, -2.0, 2.0])
    ) == pytest.approx([0.5, 2.5])


def test_distances_of_the_laws():
    found = law_distances(math.pi / 4, 0.2, 500)
    assert found["kl (nats)"] == pytest.approx((1 - math.cos(math.pi / 4)) / 0.04)
    random = np.random.default_rng(0)
    noise, apart = (
        0.2 * random.normal(size=400_000),
        math.sqrt(2 - math.sqrt(2)) * random.normal(size=400_000),
    )
    ratio = (noise**2 - (noise + apart) ** 2) / (2 * 0.04)
    assert found["js (bits)"] == pytest.approx(
        np.mean(1 - np.logaddexp(0, ratio) / math.log(2)), abs=3e-3
    )
    same = law_distances(0.0, 0.2, 500)
    assert max(abs(value) for value in same.values()) < 1e-12


def test_expectations_of_rectified_units():
    random = np.random.default_rng(0)
    first, second = random.normal(size=(3, 4)), random.normal(size=(2, 4))
    inputs = random.normal(size=(400_000, 4))
    sampled = np.maximum(inputs @ first.T, 0).T @ np.maximum(inputs @ second.T, 0) / len(inputs)
    np.testing.assert_allclose(
        products(jnp.asarray(first), jnp.asarray(second)), sampled, atol=0.02
    )
    own = jnp.asarray(first, jnp.float32)
    neurons, outputs, loss = pretrain(
        own, jnp.ones(3), own, jnp.ones(3) / 3, 50
    )  # starts at the teacher, where cosines are 1
    assert np.isfinite(np.asarray(neurons)).all()
    assert float(loss) == pytest.approx(0, abs=1e-3)
    assert len(outputs) == 3


@needs_shared
@pytest.mark.parametrize("spoil", ["", "pixels"])
def test_images_are_those_of_the_pretraining(spoil):
    recipe = Recipe("made up", "resnet", "dtd10", "textures", spoil=spoil, limit=60)
    folder = SHARED / "data" / "images"
    arrays = load_arrays(recipe, folder)
    seen = np.concatenate([arrays.train_images, arrays.validation_images])
    pixels = pretraining_pixels(recipe, folder, 1000)
    standardised = (pixels - np.asarray(arrays.preprocessing.mean, np.float32)) / np.asarray(
        arrays.preprocessing.std, np.float32
    )
    order, other = (
        np.lexsort(each.reshape(len(each), -1)[:, :3].T) for each in (standardised, seen)
    )
    np.testing.assert_allclose(standardised[order], seen[other], atol=1e-5)


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    folder = tmp_path_factory.mktemp("features are fate")
    main(["--quick", "--out", str(folder), "--data", str(folder / "absent")])
    return folder


def test_a_small_run_of_everything(quick, capsys):
    results = read_results(quick / "results.json")
    assert all(
        results[stage]["complete"]
        for stage in ("phase", "slices", "decay", "finite source", "checks", "distances", "relu")
    )
    for kind in ("fine-tuning, noise 0.2", "linear transfer 1e-05, noise 0.0"):
        assert results["phase"]["agreement"][kind]["mean absolute error"] < 0.08
    values = results["sparsification"]
    assert values["first"][-1] == pytest.approx(1, abs=1e-3)
    assert values["second"][-1] < 3 * values["scale"]
    assert (
        results["checks"]["cells"]["ratio 0.5 angle 0.5"]["largest change with full width"] < 0.02
    )
    for name, stages, _ in FIGURES:
        if not {"real networks", "study"} & set(stages):
            assert (quick / name).stat().st_size > 10_000
    before = (quick / "results.json").read_bytes()
    main(
        [
            "--quick",
            "--out",
            str(quick),
            "--data",
            str(quick / "absent"),
            "--stage",
            "phase",
            "--stage",
            "relu",
            "--stage",
            "distances",
        ]
    )
    assert (quick / "results.json").read_bytes() == before
    assert "processor time" not in capsys.readouterr().out


def test_a_stopped_stage_goes_on(quick):
    results = read_results(quick / "results.json")
    whole = results["decay"]["cells"]
    cut = results | {
        "decay": results["decay"] | {"complete": False, "cells": dict(list(whole.items())[:1])}
    }
    (quick / "results.json").write_text(json.dumps(cut))
    main(["--quick", "--out", str(quick), "--stage", "decay"])
    again = read_results(quick / "results.json")["decay"]
    assert again["complete"]
    assert again["cells"] == whole


def test_comparison_with_a_study_made_up():
    """Overlap decides the gain and a distance decides nothing."""
    records, pairs = [], {}
    random = np.random.default_rng(0)
    for target in ("a", "b", "c"):
        for place, source in enumerate(
            ("zoo/resnet_digits", "zoo/resnet_cifar10", "zoo/resnet_aerial", "zoo/resnet_noise")
        ):
            overlap = 0.2 * place
            fresh = dict.fromkeys(BEFORE_AND_AFTER, 0.3)
            pairs[f"{source} {target}"] = {
                "source": fresh | {"label_overlap": overlap},
                "twin": fresh,
                "feature distances": {distance.name: random.normal() for distance in DISTANCES},
                "pixel distances": {distance.name: 1.0 for distance in DISTANCES},
            }
            for arm, accuracy in (("scratch", 0.5), ("full", 0.4 + overlap / 2)):
                records.append(
                    {
                        "source": source,
                        "target": target,
                        "size": 100,
                        "seed": 0,
                        "arm": arm,
                        "scratch": source,
                        "fingerprint": "x",
                    }
                    | {
                        "num_classes": 2,
                        "num_test": 10_000,
                        "accuracy": {"value": accuracy},
                        "setting": {"learning_rate": 1e-3},
                    }
                    | {
                        "runs": [
                            {
                                "learning_rate": 1e-3,
                                "validation_accuracy": accuracy,
                                "validation_loss": 1.0,
                            }
                        ]
                    }
                )
    found = compare_with_study(records, [], {"pairs": pairs})
    assert found["num_pairs"] == 12 == len(ground_truth(records))
    assert found["signs"] == {"gain": 6, "loss": 3, "neither": 3}
    rows = {(each["group"], each["name"]): each for each in found["predictors"]}
    assert rows["theory", "label overlap"]["auroc"][0] == 1
    assert rows["theory", "label overlap"]["kendall within"][0] == pytest.approx(1)
    assert rows["distances of pixels", "- mmd"]["auroc"][0] == 0.5
    assert rows["featalign", "tangent gain"]["pairs"] == 0
    assert found["before and after"]["honest sources"]["label_overlap"]["before"] == pytest.approx(
        0.3
    )
    assert json.dumps(plain(found), allow_nan=False)


SHIPPED = HERE / "results.json"


def test_shipped_results_meet_the_theory():
    """At d = 500, 20 draws and the grid of the published code."""
    results = read_results(SHIPPED)
    agreement = results["phase"]["agreement"]
    compared = [
        value
        for name, value in agreement.items()
        if name.startswith(("fine-tuning", "linear transfer 1e-05"))
    ]
    assert len(compared) == 4
    assert all(
        each["mean absolute error"] <= 0.02 and each["same sign"] >= 0.97 for each in compared
    )
    assert all(0.95 <= agreement[f"slope, noise {noise}"]["pooled"] <= 1.05 for noise in (0.0, 0.2))
    flips = results["slices"]["flips"]["0.5"]
    assert flips["simulated"] == pytest.approx(flips["theory"], abs=0.03)


def test_the_page_is_made_from_the_results(tmp_path):
    (tmp_path / "conclusion.md").write_text(
        (HERE / "conclusion.md").read_text(encoding="utf-8"), encoding="utf-8"
    )
    write_page(read_results(SHIPPED), tmp_path)
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == (HERE / "README.md").read_text(
        encoding="utf-8"
    )


def test_figures_are_made_from_the_results(tmp_path):
    assert set(draw_figures(read_results(SHIPPED), tmp_path)) == {
        path.name for path in HERE.glob("*.png")
    }


def test_what_the_cache_says_was_found_for_every_pair():
    study = read_results(SHIPPED)["study"]
    counts = {each["name"]: each["pairs"] for each in study["predictors"]}
    for name in ("label overlap less twin, at n rows", "linear probe less twin", "tangent gain"):
        assert counts[name] == study["num_pairs"] > 200, name
