"""Sketches of the images that the sources of the zoo were pretrained on.

`python -m experiments.zoo.rows` writes featalign/sources/zoo_weights/pretraining_rows.npz. Images
are taken as they lie in the sets, because a target is compared before it is prepared. The sources
of noise and of shuffled pixels saw no image that a target has.
"""

import argparse
from pathlib import Path

import numpy as np

import featalign as fa
from experiments.zoo.datasets import _decoded, _grouped
from experiments.zoo.recipes import RECIPES, Recipe
from featalign.sources.pretrained_on import RowSketch
from featalign.sources.zoo import ROWS, zoo_names


def sketch(recipe: Recipe, folder: Path) -> RowSketch:
    """The sketch of a source's images: those to train on, and those that chose the epoch."""
    images, labels, _, _ = _decoded(folder / f"{recipe.dataset}.npz")
    if recipe.groups:
        images, labels = _grouped(images, labels, recipe.groups)
    if recipe.limit:
        keep = np.random.default_rng(0).permutation(len(labels))[: recipe.limit]
        images, labels = images[keep], labels[keep]
    return RowSketch.of(fa.Target.from_arrays(recipe.name, images, labels))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m experiments.zoo.rows", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/images"))
    folder = parser.parse_args().data
    shipped = [recipe for recipe in RECIPES if recipe.name in zoo_names()]
    found = {
        recipe.name: sketch(recipe, folder)
        for recipe in sorted(shipped, key=lambda each: each.dataset)
        if recipe.spoil not in ("pixels", "noise")
    }
    arrays = {name: each.lowest for name, each in found.items()}
    counts = {f"{name} rows": np.array(each.num_rows) for name, each in found.items()}
    np.savez_compressed(ROWS, allow_pickle=False, **arrays, **counts)


if __name__ == "__main__":
    main()
