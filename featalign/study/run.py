"""The study: the units of a grid are really trained, with one record for each training."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from featalign.jobs.frozen import on_features
from featalign.jobs.given import session_at
from featalign.metrics import ACCURACY
from featalign.progress import Report, silent
from featalign.records.fine_tuned import Arm, FineTuned
from featalign.records.plain import to_plain
from featalign.records.setting import Setting
from featalign.sources.source import Source
from featalign.study.compiled import forget_compiled
from featalign.study.design import Unit
from featalign.study.grid import Grid, grid_part, grid_source, jobs, release
from featalign.study.records import KEY, Claims, append_record, read_records
from featalign.targets.target import Target
from featalign.training.arms import Request, check_arm
from featalign.training.fine_tuning import Tuning, run_arms
from featalign.training.rows import split_rows

TRAINING_VERSIONS: Mapping[
    Arm, int
] = {  # raise a version whenever its arm is trained or measured in another way
    "scratch": 1,
    "probe": 2,
    "full": 1,
    "probe_then_full": 2,
    "gradual": 1,
    "lora": 1,
}


def run_study(
    grid: Grid,
    records: Path,
    *,
    together: bool | None = None,
    report: Report = silent,
) -> int:
    """Train what has no record yet, append the records, and return the number of trained arms.

    It can be stopped at any moment, and run by several processes at once. Finished records stay,
    and none is made twice.
    """
    arms = dict(jobs(grid))
    return run_units(
        list(arms),
        records,
        lambda unit: _train(
            grid, unit, _missing(grid, unit, arms[unit], records), together, report
        ),
        report,
    )


def run_units(
    todo: Sequence[Unit],
    path: Path,
    records_of: Callable[[Unit], Iterable[dict[str, Any]]],
    report: Report,
) -> int:
    """Append the records that `records_of` makes of each unit, and return their number.

    One process works on a unit at a time.
    """
    claims = Claims(path.with_name(path.name + ".claims"))
    left, total, added = todo, len(todo), 0
    try:
        for _ in range(2):  # the second pass takes units that a killed process had claimed
            todo, left = left, []
            for done, unit in enumerate(todo, total - len(todo)):
                report("units", done, total)
                with claims.claim(unit.place) as ours:
                    if not ours:
                        left.append(unit)
                        continue
                    for record in records_of(unit):
                        append_record(path, record)
                        added += 1
                forget_compiled()
        report("units", total, total)
    finally:
        claims.close()
    return added


def _missing(
    grid: Grid, unit: Unit, pairs: Sequence[tuple[int, Arm]], records: Path
) -> list[tuple[int, Arm]]:
    known = {tuple(record[name] for name in KEY): record for record in read_records(records)}
    found: list[tuple[int, Arm]] = []
    for seed, arm in pairs:
        record = known.get((unit.source, unit.target, unit.size, seed, arm))
        if record is None or not _is_current(grid, unit, record):
            found.append((seed, arm))
    return found


def _is_current(grid: Grid, unit: Unit, record: Mapping[str, Any]) -> bool:
    """Whether a record is of these weights, these rows and this budget, and need not be redone."""
    part = grid_part(grid, unit, record["seed"])
    setting, rates = record["setting"], [run["learning_rate"] for run in record["runs"]]
    held_out = part.held_out
    return (
        is_of(record, TRAINING_VERSIONS[record["arm"]], grid_source(unit.source), part)
        and record["scratch"] == grid.scratch_of(unit.source)
        and setting["steps"] == grid.steps(record["num_training"])
        and setting["batch_size"] == grid.batch_size
        and (record["arm"] == "probe" or setting.get("rounds", 1) == grid.rounds)
        and record.get("metric", ACCURACY) == (grid.metric or ACCURACY)
        and (record["arm"] == "probe" or rates == list(grid.learning_rates))
        and (held_out is None or record["num_test"] == min(grid.max_test, len(held_out)))
    )


def is_of(record: Mapping[str, Any], version: int, source: Source, part: Target) -> bool:
    """Whether a record is of these weights, these rows and this version."""
    return (record.get("version"), record["revision"], record["fingerprint"]) == (
        version,
        source.revision,
        part.fingerprint,
    )


def _train(
    grid: Grid, unit: Unit, pairs: Sequence[tuple[int, Arm]], together: bool | None, report: Report
) -> Iterator[dict[str, Any]]:
    if not pairs:
        return
    source = grid_source(unit.source)
    check_arm(source, pairs[0][1], None)
    trained = source
    parts = {seed: grid_part(grid, unit, seed) for seed in {seed for seed, _ in pairs}}
    rows = dict(parts)
    if source.trainable is None:
        session = session_at(None, report=report)
        for seed, part in parts.items():
            trained, rows[seed] = on_features(source, part, None, session, max_test=grid.max_test)
    splits = {
        seed: split_rows(
            some, trained.reading, seed=seed, max_test=grid.max_test, metric=grid.metric
        )
        for seed, some in rows.items()
    }
    setting = Setting(
        grid.learning_rates[0],
        grid.steps(len(next(iter(splits.values())).training.labels)),
        grid.batch_size,
        rounds=grid.rounds,
    )
    requests = [Request(arm, splits[seed], seed) for seed, arm in pairs]
    tuning = Tuning(setting, grid.learning_rates, together=together)
    try:
        for result in run_arms(trained, requests, tuning, report=report):
            if result.stopped is None or not result.stopped.startswith("interrupted"):
                yield _record(grid, unit, source, parts[result.seed], result)
    finally:
        release(source)


def _record(
    grid: Grid, unit: Unit, source: Source, part: Target, result: FineTuned
) -> dict[str, Any]:
    named = {
        "source": unit.source,
        "target": unit.target,
        "size": unit.size,
        "seed": result.seed,
        "arm": result.arm,
    }
    held_out = part.held_out
    assert held_out is not None
    known = {
        "version": TRAINING_VERSIONS[result.arm],
        "scratch": grid.scratch_of(unit.source),
        "revision": source.revision,
        "fingerprint": part.fingerprint,
        "num_classes": part.num_classes,
        "majority": float((held_out.labels == np.bincount(part.labels).argmax()).mean()),
        "backend": jax.default_backend(),
        **({"dataset": grid.datasets[unit.target]} if unit.target in grid.datasets else {}),
    }
    stated = {name: value for name, value in result.to_record().items() if name not in named}
    if result.metric == ACCURACY:
        del stated["metric"]  # records stay what they were
    elif result.measured is not None:
        stated["measured"] = to_plain(result.measured)
    if result.arm != "lora":
        del stated["num_trained"], stated["low_rank"]
    stated["runs"] = [
        {
            "learning_rate": run["learning_rate"],
            **({"head_penalty": run["head_penalty"]} if result.arm == "probe" else {}),
            **{
                name: _rounded(run[name], 5)
                for name in ("validation_accuracy", "validation_loss", "test_accuracy")
            },
            **(
                {}
                if run["validation_metric"] is None
                else {"validation_metric": _rounded(run["validation_metric"], 5)}
            ),
            "losses": [_rounded(point["loss"], 4) for point in run["curve"]],
            "validation": [_rounded(point["validation_accuracy"], 4) for point in run["curve"]],
        }
        for run in stated["runs"]
    ]
    seconds = round(result.seconds, 3)
    return {**named, **known, **stated, "seconds": seconds, "test_hits": result.chosen.test_hits}


def _rounded(value: float | None, digits: int) -> float | None:
    """The value rounded, or None, which a diverged training has."""
    return None if value is None else round(value, digits)
