"""Zoo networks on targets.

This measures features before and after pretraining, and distances between pretraining images and
the target's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from experiments.features_are_fate.pictures import pretraining_pixels, small, target_pixels
from experiments.features_are_fate.results import Save
from experiments.zoo.recipes import RECIPES, Recipe
from featalign.api import score
from featalign.distances.registry import measure
from featalign.jobs.tangent import FIRST_TWIN
from featalign.sources import catalogue
from featalign.sources.capabilities import Differentiable
from featalign.sources.jax_networks import chosen_layers
from featalign.sources.source import Source

SCORERS = (
    "label_overlap",
    "rankme",
    "participation_ratio",
    "active_fraction",
    "hoyer",
    "treves_rolls",
)
BATCH = 100
VERSION = 1  # to be raised whenever a number changes its meaning


@dataclass(frozen=True)
class RealPlan:
    """How many images of each set are looked at, and of how many sources and targets.

    None means all that have records.
    """

    rows: int = 300
    sources: int | None = None
    targets: int | None = None


QUICK_REAL = RealPlan(200, 2, 2)


def measure_networks(
    plan: RealPlan,
    stored: dict[str, Any],
    save: Save,
    *,
    pairs: Sequence[tuple[str, str]],
    data: Path,
) -> dict[str, Any]:
    """What is measured of each pair of a source and a target.

    That is scores of the source's features and of its random twin's, and distances in its features
    and in pixels.

    A pair is measured again only where the source's weights have changed. Without the image sets,
    what is stored stays as it is.
    """
    found: dict[str, Any] = {"rows": plan.rows, "pairs": dict(stored.get("pairs", {}))}
    if not data.is_dir():
        print(f"real networks: no image sets in {data}; what results.json has is kept")
        return found
    sources, targets = (
        list(dict.fromkeys(each for each, _ in pairs))[: plan.sources],
        list(dict.fromkeys(each for _, each in pairs))[: plan.targets],
    )
    pixel_distances: dict[tuple[str, str, str], Mapping[str, float]] = {}
    for address in sources:
        source, recipe = (
            catalogue.load(address),
            next(recipe for recipe in RECIPES if f"zoo/{recipe.name}" == address),
        )
        wanted = [target for one, target in pairs if one == address and target in targets]
        missing = [
            target
            for target in wanted
            if not _current(found["pairs"].get(f"{address} {target}"), source)
        ]
        if not missing:
            continue
        own = _seen(recipe, data, plan.rows)
        own_features = _features(source, source.differentiable, own)
        for target in missing:
            pixels, labels = _target(target, data, plan.rows)
            known = (
                recipe.dataset,
                recipe.spoil if recipe.spoil in ("pixels", "noise") else "",
                target,
            )
            if known not in pixel_distances:
                pixel_distances[known] = _distances(small(own), small(pixels))
            features = _features(source, source.differentiable, pixels)
            found["pairs"][f"{address} {target}"] = {
                "version": VERSION,
                "revision": source.revision[:16],
                "source": _scores(features, labels),
                "twin": _twin_scores(address, target, data, plan.rows),
                "feature distances": _distances(own_features, features),
                "pixel distances": pixel_distances[known],
            }
            save(found)
    return found


def _current(stored: Mapping[str, Any] | None, source: Source) -> bool:
    return (
        stored is not None
        and stored["version"] == VERSION
        and stored["revision"] == source.revision[:16]
    )


def _scores(features: np.ndarray, labels: np.ndarray) -> dict[str, float | None]:
    found = score(features, labels, scorers=SCORERS)
    return {name: result.value if result.ok else None for name, result in found.items()}


def _distances(reference: np.ndarray, other: np.ndarray) -> dict[str, float]:
    return {name: result.value for name, result in measure(reference, other).items()}


@lru_cache(maxsize=16)
def _target(name: str, data: Path, rows: int) -> tuple[np.ndarray, np.ndarray]:
    return target_pixels(name, data, rows)


@lru_cache(maxsize=2)
def _seen(recipe: Recipe, data: Path, rows: int) -> np.ndarray:
    return pretraining_pixels(recipe, data, rows)


def _twin_scores(address: str, target: str, data: Path, rows: int) -> dict[str, float | None]:
    """Of fresh weights.

    Sources of one architecture share the twin, as they share training from scratch in the study.
    """
    architecture = next(
        recipe.architecture for recipe in RECIPES if f"zoo/{recipe.name}" == address
    )
    return _twin_of(_scratch_of(architecture), target, data, rows)


@cache
def _twin_of(address: str, target: str, data: Path, rows: int) -> dict[str, float | None]:
    source = catalogue.load(address)
    pixels, labels = _target(target, data, rows)
    return _scores(_features(source, source.random_twin(FIRST_TWIN).differentiable, pixels), labels)


def _scratch_of(architecture: str) -> str:
    """The first source of an architecture, by name."""
    return next(
        address
        for address in catalogue.expand(["zoo/*"])
        if fnmatchcase(address, f"zoo/{architecture}_*")
    )


def _features(source: Source, network: Differentiable | None, pixels: np.ndarray) -> np.ndarray:
    """Features (N, D) of pixels in [0, 1], standardised as the source does.

    Batches are padded, so that one shape is compiled.
    """
    assert network is not None
    mean, std = (np.asarray(source.preprocessing[name], np.float32) for name in ("mean", "std"))
    padded = np.concatenate(
        [pixels, np.zeros((-len(pixels) % BATCH, *pixels.shape[1:]), pixels.dtype)]
    )
    batches = np.split(((padded - mean) / std).astype(np.float32), len(padded) // BATCH)
    layer = source.default_layer
    emitted = [
        np.asarray(chosen_layers()(network.apply, network.parameters, batch, (layer,))[layer])
        for batch in batches
    ]
    return np.concatenate(emitted)[: len(pixels)]
