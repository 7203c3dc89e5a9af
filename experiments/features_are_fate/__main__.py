"""Make every figure and results.json anew.

    python -m experiments.features_are_fate [--quick] [--stage NAME ...]

A stage that results.json already holds, with the same settings, is left alone (`--anew` forgets it
first); one that was stopped goes on from its last part. `real networks` measures zoo networks on
the image sets in ../shared, and `study` compares that with records of really trained arms, by
default those that ship with featalign.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from experiments.features_are_fate.distance_argument import (
    QUICK_DISTANCES,
    DistancePlan,
    run_distances,
)
from experiments.features_are_fate.figures import draw_figures
from experiments.features_are_fate.page import write_page
from experiments.features_are_fate.phase import run_phase
from experiments.features_are_fate.plan import QUICK, Plan
from experiments.features_are_fate.pretraining import singular_values
from experiments.features_are_fate.real_networks import QUICK_REAL, RealPlan, measure_networks
from experiments.features_are_fate.relu import QUICK_RELU, ReluPlan, run_relu
from experiments.features_are_fate.results import Save, plain, read_results, write_results
from experiments.features_are_fate.slices import (
    run_checks,
    run_decay,
    run_finite_source,
    run_slices,
)
from experiments.features_are_fate.study import compare_with_study
from experiments.study.targets import DATA
from featalign.study.gathering import EVIDENCE_KEY
from featalign.study.ground_truth import ground_truth
from featalign.study.records import read_records
from featalign.study.shipped import EVIDENCE, RECORDS

HERE = Path(__file__).parent

Found = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """What runs it, from its plan, what is stored of it, and all results before it.

    And its two plans.
    """

    run: Callable[[Any, Found, Save, Found], Found]
    plan: Any
    quick: Any


def _alone(run: Callable[[Any, Found, Save], Found]) -> Callable[[Any, Found, Save, Found], Found]:
    return lambda plan, stored, save, results: run(plan, stored, save)


STAGES = {
    "sparsification": Stage(
        lambda plan, stored, save, results: singular_values(plan), Plan(), QUICK
    ),
    "phase": Stage(_alone(run_phase), Plan(), QUICK),
    "slices": Stage(run_slices, Plan(), QUICK),
    "decay": Stage(_alone(run_decay), Plan(), QUICK),
    "finite source": Stage(_alone(run_finite_source), Plan(), QUICK),
    "checks": Stage(_alone(run_checks), Plan(), QUICK),
    "distances": Stage(run_distances, DistancePlan(), QUICK_DISTANCES),
    "relu": Stage(run_relu, ReluPlan(), QUICK_RELU),
}
REAL = ("real networks", "study")


def run_stage(name: str, plan: Any, results: Found, path: Path) -> None:
    """Run a stage unless it is there, and keep what it finds."""
    settings = hashlib.sha256(json.dumps(asdict(plan), sort_keys=True).encode()).hexdigest()[:12]
    stored = results.get(name, {})
    if stored.get("settings") != settings:
        stored = {}
    if stored.get("complete"):
        return
    start = time.process_time()
    spent = stored.get("processor seconds", 0.0)

    def save(found: Found, complete: bool = False) -> None:
        seconds = round(spent + time.process_time() - start, 1)
        results[name] = plain(
            {"settings": settings, "complete": complete, "processor seconds": seconds, **found}
        )
        write_results(path, results)

    save(STAGES[name].run(plan, stored, save, results), True)
    print(f"{name}: {results[name]['processor seconds']} s of processor time", flush=True)


def run_real(names: Sequence[str], chosen: argparse.Namespace, results: Found, path: Path) -> None:
    """Measure what pairs with records lack, and compare all that is measured with the records.

    Both are done at every run, since records grow.
    """
    records = read_records(chosen.records)
    if "real networks" in names:
        pairs = list(dict.fromkeys((pair.source, pair.target) for pair in ground_truth(records)))

        def save(found: Found) -> None:
            results["real networks"] = plain(found)
            write_results(path, results)

        plan = QUICK_REAL if chosen.quick else RealPlan()
        save(
            measure_networks(
                plan, results.get("real networks", {}), save, pairs=pairs, data=chosen.data
            )
        )
    if "study" in names:
        evidence = read_records(chosen.evidence, key=EVIDENCE_KEY)
        results["study"] = plain(
            compare_with_study(records, evidence, results.get("real networks", {}))
        )
        write_results(path, results)
        print(
            f"study: {results['study']['num_pairs']} pairs with records and measured features",
            flush=True,
        )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a small grid, in a few minutes")
    parser.add_argument(
        "--stage",
        action="append",
        choices=[*STAGES, *REAL, "figures"],
        help="run this stage alone (may be repeated)",
    )
    parser.add_argument(
        "--anew", action="store_true", help="forget what the chosen stages had found"
    )
    parser.add_argument(
        "--out", type=Path, default=HERE, help="folder of results.json and the figures"
    )
    parser.add_argument(
        "--records",
        type=Path,
        default=RECORDS,
        help="records of really trained arms (default: those that ship)",
    )
    parser.add_argument(
        "--evidence",
        type=Path,
        default=EVIDENCE,
        help="evidence on the same pairs (default: that which ships)",
    )
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the image sets")
    chosen = parser.parse_args(arguments)
    chosen.out.mkdir(parents=True, exist_ok=True)
    path = chosen.out / "results.json"
    results = read_results(path)
    names = chosen.stage or [*STAGES, *REAL, "figures"]
    for name in names:
        if chosen.anew and name in results:
            del results[name]
        if name in STAGES:
            run_stage(
                name, STAGES[name].quick if chosen.quick else STAGES[name].plan, results, path
            )
    run_real(names, chosen, results, path)
    if "figures" in names:
        draw_figures(results, chosen.out)
        if not chosen.quick and all(name in results for name in STAGES):
            write_page(results, chosen.out)


if __name__ == "__main__":
    main()
