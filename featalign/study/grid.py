"""A grid of sources, targets, sizes, seeds and arms from a file, with its units and their rows."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from featalign.checks import check_one_of, check_whole
from featalign.errors import FeatalignError
from featalign.metrics import metric_for
from featalign.records.fine_tuned import ARMS, Arm
from featalign.records.setting import Setting
from featalign.sources import catalogue
from featalign.sources.source import Source
from featalign.study.design import Unit, read_design
from featalign.targets.loaders import load_target
from featalign.targets.target import Target
from featalign.training.arms import has_low_rank
from featalign.training.rows import hold_out
from featalign.training.setting import check_setting, training_steps

ROWS_A_CLASS = 2


@dataclass(frozen=True)
class Grid:
    """What is trained: every source on every target that it was not pretrained on, or a design.

    `scratch` maps patterns of sources to the source whose random twin stands for training from
    scratch, so that sources of one architecture share it. A source that fits no pattern has its own
    twin. `seen` maps patterns of sources to targets, or data sets, whose images they saw under
    another name. `pairs` are the units of a design with their seeds, and `datasets` says from which
    data set each of its targets was made. The budget for each learning rate is `epochs`, and at
    least `min_steps`, in up to `rounds` while validation improves. `metric` chooses runs in place
    of accuracy, and is recorded beside it.
    """

    path: Path
    sources: tuple[str, ...]
    targets: Mapping[str, str]
    sizes: tuple[int, ...]
    seeds: tuple[int, ...] = (0, 1)
    arms: tuple[Arm, ...] = ("scratch", "probe", "full", "probe_then_full")
    scratch: Mapping[str, str] = field(default_factory=dict)
    seen: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    learning_rates: tuple[float, ...] = (1e-3, 4e-3)
    epochs: int = 10
    min_steps: int = 300
    rounds: int = 1
    batch_size: int = 32
    max_test: int = 500
    datasets: Mapping[str, str] = field(default_factory=dict)
    pairs: Mapping[Unit, tuple[int, ...]] = field(default_factory=dict)
    metric: str | None = None

    def seeds_of(self, unit: Unit) -> tuple[int, ...]:
        """The seeds with which a source is trained on a part of a target."""
        return self.pairs.get(unit, self.seeds)

    def scratch_of(self, source: str) -> str:
        """The source whose random twin stands for training this one from scratch."""
        return next(
            (other for pattern, other in self.scratch.items() if fnmatchcase(source, pattern)),
            source,
        )

    def has_seen(self, source: str, target: str) -> bool:
        """Whether the grid says that a source was pretrained on this target's images."""
        stated = [names for pattern, names in self.seen.items() if fnmatchcase(source, pattern)]
        return any(not self.images_of(target).isdisjoint(names) for names in stated)

    def images_of(self, target: str) -> set[str]:
        """The names of a target's images: the target's own name, and that of its data set."""
        return {target, self.datasets.get(target, target)}

    def steps(self, num_training: int) -> int:
        """The number of steps of one training."""
        return training_steps(
            num_training, epochs=self.epochs, min_steps=self.min_steps, batch_size=self.batch_size
        )


def read_grid(path: Path) -> Grid:
    """A grid from a TOML file.

    The file has `sources`, `[targets]` name = address, `sizes`, and the other fields of `Grid`.
    `design` names a file of `read_design` in place of these three and of `seeds`. Addresses of
    files are relative to the grid. Raises FeatalignError, naming the entry, for a grid that cannot
    be used.
    """
    try:
        stated: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FeatalignError(
            f"{path}: expected a grid in TOML, got {error.strerror}; give the path of a file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FeatalignError(
            f"{path}: expected a grid in TOML, got something else: {error}"
        ) from error
    known = {"design", *Grid.__dataclass_fields__} - {"path", "datasets", "pairs"}
    unknown = sorted(set(stated) - known)
    if unknown:
        raise FeatalignError(
            f"{path}: expected entries {', '.join(sorted(known))}, got {unknown[0]!r}; remove or "
            "mend it"
        )
    if "design" in stated:
        stated |= _designed(path, stated)
        del stated["design"]
    for name in ("sources", "targets", "sizes"):
        if not stated.get(name):
            raise FeatalignError(f"{path}: expected an entry {name!r}, got none; add it")
    for name in ("sources", "sizes", "seeds", "arms", "learning_rates"):
        if name in stated:
            if not isinstance(stated[name], list) or not stated[name]:
                raise FeatalignError(f"{path}: expected a list in {name!r}, got {stated[name]!r}")
            stated[name] = tuple(stated[name])
    for name in ("targets", "scratch"):
        if name in stated and not (
            isinstance(stated[name], dict)
            and all(isinstance(value, str) for value in stated[name].values())
        ):
            raise FeatalignError(
                f"{path}: expected a table of names and addresses in [{name}], got {stated[name]!r}"
            )
    for pattern, targets in (
        stated.setdefault("seen", {}).items() if isinstance(stated.get("seen", {}), dict) else ()
    ):
        images = {*stated["targets"], *stated.get("datasets", {}).values()}
        if not isinstance(targets, list) or not set(targets) <= images:
            raise FeatalignError(
                f"{path}: expected a list of targets of the grid in [seen] {pattern!r}, got "
                f"{targets!r}"
            )
        stated["seen"][pattern] = tuple(targets)
    for name in ("sizes", "seeds"):
        for number in stated.get(name, ()):
            least = 1 if name == "sizes" else 0
            check_whole(number, str(path), least, expected=f"whole numbers in {name!r}")
    for name in ("epochs", "min_steps", "batch_size", "max_test", "rounds"):
        expected = f"a whole number of at least 1 in {name!r}"
        check_whole(stated.get(name, 1), str(path), expected=expected)
    if "metric" in stated:
        metric_for("classification", stated["metric"])
    for arm in stated.get("arms", ()):
        check_one_of(arm, ARMS, str(path), expected=f"arms among {', '.join(ARMS)}")
    stated["sources"] = tuple(catalogue.expand(list(stated["sources"])))
    for address in stated["sources"]:
        if grid_source(address).features_file is not None:
            raise FeatalignError(
                f"{path}: expected sources that embed any target, {address} holds the features of "
                "one; take it out of the grid"
            )
    grid = Grid(path, **stated)
    for unit in grid.pairs:
        if not _is_new(grid, unit):
            found = f"{unit.source} was pretrained on {unit.target}"
            raise FeatalignError(f"{path}: expected sources new to a target, {found}; take it out")
    return replace(grid, learning_rates=check_setting(Setting(0.0), grid.learning_rates))


def _designed(path: Path, stated: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of a grid that a design stands for."""
    for name in ("sources", "targets", "sizes", "seeds"):
        if name in stated:
            raise FeatalignError(f"{path}: expected 'design' or {name!r}, got both; leave one out")
    if not isinstance(stated["design"], str):
        found = stated["design"]
        raise FeatalignError(f"{path}: expected the name of a file in 'design', got {found!r}")
    design = read_design(path.parent / stated["design"])
    return {
        "targets": dict(design.targets),
        "sources": list(dict.fromkeys(unit.source for unit in design.units)),
        "sizes": sorted({unit.size for unit in design.units}),
        "seeds": sorted({seed for seeds in design.units.values() for seed in seeds}),
        "datasets": design.datasets,
        "pairs": design.units,
    }


def units(grid: Grid) -> Iterator[Unit]:
    """All units, small sizes first, or in the order of the design.

    Stopped early, either leaves a smaller study.
    """
    if grid.pairs:
        yield from grid.pairs
        return
    for size in grid.sizes:
        for target in grid.targets:
            for source in grid.sources:
                if _is_new(grid, unit := Unit(source, target, size)):
                    yield unit


def _is_new(grid: Grid, unit: Unit) -> bool:
    """Whether a source was not pretrained on a target's images.

    The source's own word and the grid's decide.
    """
    own = grid_source(unit.source).pretraining.dataset
    return own not in grid.images_of(unit.target) and not grid.has_seen(unit.source, unit.target)


def fitting(grid: Grid) -> Iterator[Unit]:
    """The units that can be trained.

    Sizes that a target does not have are left out, and so are sizes with fewer than 2 rows a class,
    one to train and one to choose.
    """
    for unit in units(grid):
        target = _load_target(grid, unit.target)
        if ROWS_A_CLASS * target.num_classes <= unit.size <= len(target):
            yield unit


def jobs(grid: Grid) -> list[tuple[Unit, list[tuple[int, Arm]]]]:
    """Units with their seeds and arms; a source that cannot be trained gets the probe alone.

    One that does not run in torch has no arm `lora`. Training from scratch comes before the sources
    for which it stands.
    """
    found: dict[Unit, list[tuple[int, Arm]]] = {}
    for unit in fitting(grid):
        first: Arm = "scratch"
        seeds = grid.seeds_of(unit)
        if grid_source(unit.source).trainable is None:
            if "probe" in grid.arms:
                found[unit] = [(seed, "probe") for seed in seeds]
            continue
        if first in grid.arms:
            scratch = Unit(grid.scratch_of(unit.source), unit.target, unit.size)
            already = found.setdefault(scratch, [])
            already += [(seed, first) for seed in seeds if (seed, first) not in already]
        lacks: set[Arm] = {first} if has_low_rank(grid_source(unit.source)) else {first, "lora"}
        others: list[Arm] = [arm for arm in grid.arms if arm not in lacks]
        found.setdefault(unit, []).extend((seed, arm) for seed in seeds for arm in others)
    return list(found.items())


@cache
def grid_source(address: str) -> Source:
    """The source at an address, loaded once; its model is in memory only while it is used."""
    source = catalogue.load(address)
    release(source)
    return source


def release(source: Source) -> None:
    """Let the model of a source leave memory."""
    if source.model is not None:
        source.model.release()


def grid_part(grid: Grid, unit: Unit, seed: int) -> Target:
    """The rows of a unit that a seed draws."""
    return _part(_load_target(grid, unit.target), unit.size, seed)


def _load_target(grid: Grid, name: str) -> Target:
    address = grid.targets[name]
    beside = grid.path.parent / address
    return _loaded(
        str(beside)
        if not address.startswith("sklearn:") and not Path(address).is_absolute()
        else address
    )


@lru_cache(maxsize=16)
def _part(target: Target, size: int, seed: int) -> Target:
    return target.subset(size, seed)


@cache
def _loaded(address: str) -> Target:
    target = load_target(address)
    return target if target.held_out is not None else hold_out(target)
