"""A design: the sources to train on each target, with sizes and seeds, one target a line."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featalign.checks import is_whole
from featalign.errors import FeatalignError

ENTRIES = ("target", "dataset", "address", "pairs")


@dataclass(frozen=True)
class Unit:
    """What one process trains at a time: a source on a part of a target, in all seeds and arms."""

    source: str
    target: str
    size: int

    @property
    def place(self) -> int:
        """The unit's own number, for claims."""
        return int.from_bytes(
            hashlib.sha256(f"{self.source}\0{self.target}\0{self.size}".encode()).digest()[:7],
            "big",
        )


@dataclass(frozen=True)
class Design:
    """The addresses and data sets of targets, and the seeds of units in the order of training."""

    targets: Mapping[str, str]
    datasets: Mapping[str, str]
    units: Mapping[Unit, tuple[int, ...]]


def read_design(path: Path) -> Design:
    """A design from JSON lines with "target", "dataset", "address" and "pairs".

    A pair is [source, size, [seed, ...]]. A source must not have been pretrained on the data set,
    and a data set is left out as a whole when forecasts are judged. Raises FeatalignError, naming
    the line, for a design that cannot be used.
    """
    targets, datasets, units = {}, {}, {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        wrong = f"{path}: expected a design in JSON lines, but it cannot be read ({error})"
        raise FeatalignError(f"{wrong}; check the path") from error
    for number, line in enumerate(lines, 1):
        where = f"{path}: line {number}"
        stated = _entries(line, where)
        target = stated["target"]
        if target in targets:
            raise FeatalignError(f"{where}: expected a target once, got {target!r} again; mend it")
        targets[target], datasets[target] = stated["address"], stated["dataset"]
        for pair in stated["pairs"]:
            unit, seeds = _pair(pair, target, where)
            if unit in units:
                again = f"{unit.source!r}, {unit.size} again"
                raise FeatalignError(
                    f"{where}: expected each source and size once, got {again}; join their seeds",
                )
            units[unit] = seeds
    if not units:
        raise FeatalignError(f"{path}: expected at least one pair, got none; add a line a target")
    return Design(targets, datasets, units)


def _entries(line: str, where: str) -> dict[str, Any]:
    try:
        stated = json.loads(line)
    except ValueError as error:
        wrong = f"{where}: expected an object in JSON, got {line[:40]!r}"
        raise FeatalignError(f"{wrong}; mend or remove it") from error
    if not isinstance(stated, dict) or set(stated) != set(ENTRIES):
        wrong = f"{where}: expected an object with {', '.join(ENTRIES)}, got {line[:40]!r}"
        raise FeatalignError(f"{wrong}; mend or remove it")
    for name in ENTRIES[:3]:
        if not isinstance(stated[name], str) or not stated[name]:
            raise FeatalignError(f"{where}: expected a word in {name!r}, got {stated[name]!r}")
    if not isinstance(stated["pairs"], list):
        raise FeatalignError(f"{where}: expected a list in 'pairs', got {stated['pairs']!r}")
    return stated


def _pair(pair: Any, target: str, where: str) -> tuple[Unit, tuple[int, ...]]:
    match pair:
        case [str(source), size, [_, *_] as seeds] if is_whole(size):
            if all(is_whole(seed, 0) for seed in seeds) and len(set(seeds)) == len(seeds):
                return Unit(source, target, size), tuple(seeds)
    raise FeatalignError(f"{where}: expected [source, size, [seed, ...]], got {pair!r}; mend it")
