"""What is known of the pairs of a grid before they are trained: evidence and short runs."""

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from featalign.jobs.examine import Wanted, examine
from featalign.jobs.gather_evidence import REFERENCE
from featalign.jobs.given import session_at
from featalign.jobs.shift import shift_of
from featalign.jobs.short import short_evidence
from featalign.progress import Report, silent
from featalign.records.plain import to_plain
from featalign.study.design import Unit
from featalign.study.grid import Grid, fitting, grid_part, grid_source
from featalign.study.records import KEY, read_records
from featalign.study.run import is_of, run_units
from featalign.training.rows import VALIDATION_SHARE
from featalign.training.short import SHORT_VERSION, ShortArm, part_of

EVIDENCE_VERSION = 2  # raise it whenever a number of the evidence changes its meaning
EVIDENCE_KEY = ("source", "target", "size", "seed")
SHORT_SHARE = 0.5  # the length of short runs as a part of one training


def run_evidence(
    grid: Grid,
    path: Path,
    *,
    cache: Path | None = None,
    report: Report = silent,
) -> int:
    """Add the evidence of each source, and of the reference network, on each part of a grid.

    Returns the number of records that were added. It can be stopped and run by several processes at
    once, as `run_study` can.
    """
    from featalign.scorers.registry import select

    session = session_at(cache)
    names = tuple(scorer.name for scorer in select(None))
    wanted = Wanted(scorers=names, evidence=True, study=True)

    def look(unit: Unit) -> Iterator[dict[str, Any]]:
        known = {
            tuple(record[name] for name in EVIDENCE_KEY): record
            for record in read_records(path, key=EVIDENCE_KEY)
        }
        for seed in wanted_seeds[unit]:
            source, part = grid_source(unit.source), grid_part(grid, unit, seed)
            record = known.get((unit.source, unit.target, unit.size, seed))
            if record is not None and is_of(record, EVIDENCE_VERSION, source, part):
                continue
            start = time.perf_counter()
            (found,) = examine(source, part, wanted, session)
            shift = shift_of(part, session)
            key = dict(zip(EVIDENCE_KEY, (unit.source, unit.target, unit.size, seed), strict=True))
            of = {
                "version": EVIDENCE_VERSION,
                "revision": source.revision,
                "fingerprint": part.fingerprint,
            }
            yield {
                **key,
                **of,
                "seconds": round(time.perf_counter() - start, 2),
                "evidence": to_plain(found.answer.evidence),
                "shift": None if shift is None else asdict(shift),
            }

    wanted_seeds = _with_reference(grid)
    return run_units(list(wanted_seeds), path, look, report)


def _with_reference(grid: Grid) -> dict[Unit, tuple[int, ...]]:
    """The units with their seeds, and the reference network on every part of a target of images.

    Its twins stand beside sources that are seen as black boxes.
    """
    found = {unit: grid.seeds_of(unit) for unit in fitting(grid)}
    for unit, seeds in list(found.items()):
        reference = Unit(REFERENCE, unit.target, unit.size)
        if grid_part(grid, unit, seeds[0]).kind == "image":
            found[reference] = tuple(dict.fromkeys((*found.get(reference, ()), *seeds)))
    return found


def run_short(
    grid: Grid,
    path: Path,
    *,
    cache: Path | None = None,
    report: Report = silent,
) -> int:
    """Add the short runs of each source, and of training from scratch.

    They are on each part that is trained on. Returns the number of records that were added. The
    runs are half as long as a training, and are measured after every twentieth of one. The work can
    be stopped and run by several processes at once.
    """
    session = session_at(cache)
    arms: dict[Unit, list[tuple[int, ShortArm]]] = {}
    for unit in fitting(grid):
        scratch = Unit(grid.scratch_of(unit.source), unit.target, unit.size)
        arms.setdefault(scratch, []).extend((seed, "scratch") for seed in grid.seeds_of(unit))
        arms.setdefault(unit, []).extend((seed, "full") for seed in grid.seeds_of(unit))

    def run(unit: Unit) -> Iterator[dict[str, Any]]:
        known = {tuple(record[name] for name in KEY): record for record in read_records(path)}
        for seed, arm in sorted(dict.fromkeys(arms[unit]), key=lambda pair: pair[0]):
            source, part = grid_source(unit.source), grid_part(grid, unit, seed)
            record = known.get((unit.source, unit.target, unit.size, seed, arm))
            whole = grid.steps(round((1 - VALIDATION_SHARE) * len(part)))
            current = record is not None and is_of(record, SHORT_VERSION, source, part)
            if record is not None and current and record.get("whole") == whole:
                continue
            start = time.perf_counter()
            steps = part_of(whole, SHORT_SHARE)
            found = short_evidence(source, part, arm, steps, session, batch_size=grid.batch_size)
            named = dict(zip(KEY, (unit.source, unit.target, unit.size, seed, arm), strict=True))
            identity = {"revision": source.revision, "fingerprint": part.fingerprint}
            of = {"version": SHORT_VERSION, **identity, "whole": whole}
            curves = {"losses": found.losses, "accuracies": found.accuracies}
            points = {name: _digits(values) for name, values in curves.items()}
            seconds = round(time.perf_counter() - start, 2)
            yield {**named, **of, "steps": list(found.steps), **points, "seconds": seconds}

    return run_units(list(arms), path, run, report)


def _digits(values: Iterable[float]) -> list[float | None]:
    """The values to five digits, with None for those of diverged runs, which are not finite."""
    return [float(f"{value:.5g}") if math.isfinite(value) else None for value in values]
