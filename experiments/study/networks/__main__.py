"""Trains what is not here yet: python -m experiments.study.networks [NAME ...]."""

import argparse
from pathlib import Path

from experiments.study.networks import FOLDER
from experiments.study.networks.architectures import ARCHITECTURES
from experiments.study.networks.recipes import RECIPES
from experiments.zoo.__main__ import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="networks to train (default: all)")
    images = Path("../shared/data/images")
    parser.add_argument("--data", type=Path, default=images, help="folder of the image sets")
    arguments = parser.parse_args()
    for recipe in RECIPES:
        wanted = not arguments.names or recipe.name in arguments.names
        if wanted and not (FOLDER / f"{recipe.name}.json").exists():
            train(recipe, arguments.data, architectures=ARCHITECTURES, into=FOLDER)


if __name__ == "__main__":
    main()
