"""From records to gains: which arm counts, what scratch is, and what is noise."""

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import t as student

from featalign.errors import FeatalignError
from featalign.records.evidence import Evidence
from featalign.records.plain import to_plain
from featalign.study.accuracies import reliability
from featalign.study.findings import collect_findings, of_the_same_rows, score, score_names
from featalign.study.ground_truth import ground_truth, reliabilities
from featalign.views.study_cells import findings_sheet
from featalign.views.study_figures import agreement_figure, gain_figure, save_figures
from featalign.views.text import print_sheet


def record(
    source,
    arm,
    accuracy,
    *,
    target="t",
    size=100,
    seed=0,
    validation=0.5,
    loss=1.0,
    scratch="zoo/s",
    rows=500,
    hits=None,
):
    run = {
        "learning_rate": 0.1,
        "validation_accuracy": validation,
        "validation_loss": loss,
        "test_accuracy": accuracy,
    }
    kept = {} if hits is None else {"test_hits": np.packbits(hits).tobytes().hex()}
    return kept | {
        "source": source,
        "target": target,
        "size": size,
        "seed": seed,
        "arm": arm,
        "scratch": scratch,
        "num_classes": 3,
        "num_test": rows if hits is None else len(hits),
        "accuracy": {"value": accuracy},
        "setting": {"learning_rate": 0.1},
        "runs": [run | {"learning_rate": 0.2, "validation_accuracy": 0.99}, run],
    }


def study(seeds=2, spread=0.01, targets=3, sources=6, generator_seed=0):
    """Records of `sources` on `targets`: source i gains i - 2 points, with noise."""
    random, records = np.random.default_rng(generator_seed), []
    for target in range(targets):
        for seed in range(seeds):
            records.append(
                record(
                    "zoo/s",
                    "scratch",
                    0.5 + random.normal(0, spread),
                    target=f"t{target}",
                    seed=seed,
                )
            )
            for place in range(sources):
                value = 0.5 + 0.1 * (place - 2) + random.normal(0, spread)
                records.append(
                    record(f"zoo/{place}", "full", value, target=f"t{target}", seed=seed)
                )
    return records


def test_the_arm_is_chosen_by_validation_never_by_test():
    records = [
        record("zoo/s", "scratch", 0.4),
        record("zoo/a", "full", 0.9, validation=0.6),
        record("zoo/a", "probe", 0.5, validation=0.7, loss=2.0),
        record("zoo/a", "probe_then_full", 0.3, validation=0.7, loss=1.0),
    ]
    (pair,) = ground_truth(records)
    assert pair.accuracy == 0.3
    assert pair.gain == pytest.approx(-0.1)
    assert pair.arms == {"full": 0.9, "probe": 0.5, "probe_then_full": 0.3}
    assert ground_truth(records, arm="full")[0].gain == pytest.approx(0.5)
    with pytest.raises(FeatalignError, match=r"expected the arm 'gradual' and 'scratch'"):
        ground_truth(records, arm="gradual")


def test_gains_are_paired_by_seed():
    records = [record("zoo/s", "scratch", 0.1 * (seed + 1), seed=seed) for seed in (0, 1, 2)]
    records += [record("zoo/a", "full", 0.1 * (seed + 1) + 0.05, seed=seed) for seed in (0, 2, 7)]
    (pair,) = ground_truth(records)
    assert pair.seeds == (0, 2)
    assert pair.gain == pytest.approx(0.05)
    assert pair.noise == pytest.approx(0, abs=1e-12)
    assert pair.sign == 1


def test_without_repetition_the_noise_is_that_of_the_test_rows():
    (pair,) = ground_truth(
        [record("zoo/s", "scratch", 0.5, rows=100), record("zoo/a", "full", 0.6, rows=100)]
    )
    assert pair.noise == pytest.approx(student.ppf(0.95, 99) * math.sqrt((0.25 + 0.24) / 100))
    assert pair.sign == 0


def test_arms_that_are_right_on_the_same_rows_are_compared_row_by_row():
    rows = np.arange(200)
    first, second, third = rows < 120, rows < 130, (rows * 7) % 200 < 130
    noises = []
    for hits in (second, third):
        arms = [
            record("zoo/s", "scratch", 0.6, hits=first),
            record("zoo/a", "full", 0.65, hits=hits),
        ]
        (pair,) = ground_truth(arms)
        expected = (
            student.ppf(0.95, 199) * (hits.astype(float) - first).std(ddof=1) / math.sqrt(200)
        )
        assert pair.noise == pytest.approx(expected)
        noises.append(pair.noise)
    assert noises[0] < 0.4 * noises[1]


@pytest.mark.parametrize("ratio", [0.0, 1.0, 2.0])
def test_the_interval_of_the_gain_covers_it(ratio):
    """All sources share one training from scratch for each seed.

    Its variance is `ratio` times that of the arm.
    """
    covered = []
    for trial in range(120):
        random, records = np.random.default_rng(trial), []
        for seed in range(3):
            records.append(
                record(
                    "zoo/s", "scratch", 0.5 + math.sqrt(ratio) * random.normal(0, 0.02), seed=seed
                )
            )
            records += [
                record(
                    f"zoo/{place}", "full", 0.3 + 0.05 * place + random.normal(0, 0.02), seed=seed
                )
                for place in range(8)
            ]
        covered += [
            abs(pair.gain - (0.05 * int(pair.source[-1]) - 0.2)) <= pair.noise
            for pair in ground_truth(records)
        ]
    assert 0.86 < np.mean(covered) < 0.97


def test_a_source_with_one_seed_scatters_as_those_with_more():
    records = [
        each for each in study(seeds=3) if each["source"] != "zoo/0" or each["seed"] == 0
    ]  # the first source of all
    pairs = {(pair.target, pair.source): pair for pair in ground_truth(records)}
    for target in ("t0", "t1", "t2"):
        one, more = pairs[target, "zoo/0"], pairs[target, "zoo/1"]
        assert (len(one.seeds), len(more.seeds)) == (1, 3)
        assert one.noise > 1.3 * more.noise


def test_of_penalties_the_one_that_was_chosen_counts():
    probe: dict[str, Any] = dict(record("zoo/a", "probe", 0.5))
    run: dict[str, Any] = probe["runs"][1]
    penalties = [
        run | {"head_penalty": penalty, "validation_accuracy": value}
        for penalty, value in ((0.001, 0.6), (1.0, 0.9))
    ]
    probe |= {"runs": penalties, "setting": {"learning_rate": 0.1, "head_penalty": 1.0}}
    records = [record("zoo/s", "scratch", 0.4), probe, record("zoo/a", "full", 0.7, validation=0.8)]
    assert ground_truth(records)[0].accuracy == 0.5
    probe["setting"] = {"learning_rate": 0.1, "head_penalty": 0.001}
    assert ground_truth(records)[0].accuracy == 0.7


def test_pairs_without_all_arms_or_with_other_rows_are_left_out():
    whole = [
        record("zoo/s", "scratch", 0.4),
        record("zoo/a", "full", 0.9),
        record("zoo/a", "probe", 0.5),
        record("zoo/b", "full", 0.7),
    ]
    assert [pair.source for pair in ground_truth(whole)] == ["zoo/a"]
    assert [pair.source for pair in ground_truth(whole, arm="full")] == ["zoo/a", "zoo/b"]
    other = [record("zoo/s", "scratch", 0.4) | {"fingerprint": "another"}, *whole[1:]]
    with pytest.raises(FeatalignError, match=r"found none \(arms there: full, probe\)"):
        ground_truth(other, arm="full")


def test_what_a_seed_does_to_all_alike_does_not_make_accuracies_unreliable():
    records = study(seeds=2, spread=0.002, targets=1)
    shifted = [
        each | {"accuracy": {"value": each["accuracy"]["value"] + 0.3 * each["seed"]}}
        for each in records
    ]
    plain, moved = (
        reliabilities(ground_truth(some, arm="full"))["t0", 100] for some in (records, shifted)
    )
    assert plain.coefficient == pytest.approx(moved.coefficient)
    assert plain.coefficient > 0.99


def test_what_is_taken_off_costs_degrees_of_freedom():
    within = []
    for seed in range(400):
        random = np.random.default_rng(seed)
        runs = np.arange(4.0)[:, None] + random.normal(size=(4, 3)) + 5 * random.normal(size=3)
        within.append(reliability(runs, seeds_shift_all=True).variance_over_seeds)
    assert np.mean(within) == pytest.approx(1, abs=0.08)


def evidence(records, noise=0.0):
    random = np.random.default_rng(1)
    keys = {(each["source"], each["target"]) for each in records if each["arm"] == "full"}
    found = []
    for source, target in sorted(keys):
        place = int(source[-1])
        own = {
            "linear_probe": 0.1 * place + noise * random.normal(),
            "neural_collapse": 5.0 - place,
        }
        twins = {"linear_probe": 0.25}
        known = Evidence(
            capability="gradients",
            own=own | ({} if place else {"h_score": 1.0}),
            twins=twins | ({"h_score": 1.0} if place else {}),  # no source has both
        )
        of = {"source": source, "target": target, "size": 100, "seed": 0}
        found.append({**of, "evidence": to_plain(known)})
    return found


def test_findings_compare_scores_and_baselines(tmp_path):
    records = study()
    found = collect_findings(records, evidence(records))
    assert found.num_records == len(records)
    assert dict(found.arms) == {"full": 36, "scratch": 6}
    gains, losses, neither = found.signs
    assert gains + losses + neither == 18
    assert losses >= 4
    scores = {each.score: each for each in found.scores}
    assert {
        "static list",
        "source accuracy",
        "log parameters",
        "gain elsewhere",
        "linear_probe",
        "linear_probe less twin",
        "neural_collapse",
    } <= set(scores)
    for name in (
        "linear_probe",
        "linear_probe less twin",
        "neural_collapse",
    ):  # neural collapse: smaller is better
        assert scores[name].summary.means["weighted_tau"].value > 0.8
        assert scores[name].auroc.value == 1
    assert scores["h_score less twin"].summary.means["regret"].num_groups == 0
    assert scores["gain elsewhere"].auroc.value == 1  # every source gains alike on all targets
    json.dumps(found.to_record(), allow_nan=False)
    from rich.console import Console

    console = Console(record=True, width=200)
    print_sheet(findings_sheet(found), console)
    text = console.export_text()
    assert f"{gains} gains, {losses} losses beyond noise, {neither} neither" in text
    assert len(found.to_frame()) == len(found.places)
    assert found._repr_html_().count("<table") == 2
    assert "| target | n |" in found.to_markdown()
    assert len(save_figures(found, tmp_path / "figures")) == 2
    assert (tmp_path / "figures" / "gain.png").stat().st_size > 5000
    assert len(gain_figure(found).axes) == 3
    assert len(agreement_figure(found).axes) == 2


def test_scratch_catches_up_where_the_mean_gain_crosses_nothing():
    records = []
    for size, gain in ((100, 0.1), (400, -0.1), (1600, -0.2)):
        records += [
            record("zoo/s", "scratch", 0.5, size=size),
            record("zoo/a", "full", 0.5 + gain, size=size),
        ]
    found = collect_findings(records)
    assert found.catches_up("t") == pytest.approx(200)
    assert math.isnan(collect_findings(records[:2]).catches_up("t"))


def test_scores_are_turned_so_that_larger_is_better():
    known = Evidence(
        capability="gradients",
        own={"linear_probe": 0.7, "neural_collapse": 3.0, "tangent_activations": 0.6},
        twins={"linear_probe": 0.5, "tangent_activations": 0.4, "rankme": 2.0},
        reference=0.5,
    )
    collapsed = replace(known, twins={**known.twins, "neural_collapse": 2.0})
    assert score_names([{"evidence": to_plain(each)} for each in (known, collapsed)]) == [
        "linear_probe",
        "neural_collapse",
        "tangent_activations",
        "linear_probe less twin",
        "neural_collapse less twin",
        "tangent_activations less twin",
    ]
    assert score(known, "neural_collapse") == -3
    assert score(known, "neural_collapse less twin") is None
    assert score(collapsed, "neural_collapse less twin") == -1
    assert score(known, "linear_probe less twin") == pytest.approx(0.2)
    assert score(known, "tangent_activations less twin") == pytest.approx(0.2)
    assert score(known, "not there") is None


def test_evidence_of_other_rows_or_weights_is_not_joined():
    records = [each | {"fingerprint": "rows", "revision": "weights"} for each in study()]
    known = [each | {"fingerprint": "rows", "revision": "weights"} for each in evidence(records)]
    assert of_the_same_rows(known, records) == known
    assert of_the_same_rows(evidence(records), records) == evidence(records)
    for name in ("fingerprint", "revision"):
        assert of_the_same_rows([known[0] | {name: "other"}, *known[1:]], records) == known[1:]


def test_no_records_are_refused():
    with pytest.raises(FeatalignError, match=r"expected at least one, got none"):
        collect_findings([])
