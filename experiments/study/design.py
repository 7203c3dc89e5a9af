"""Draws the design: python -m experiments.study.design writes design.jsonl for design.toml.

Data sets take turns, in a new order every round, so that each beginning of the run has as many
targets of one as of another. Target by target, sources and sizes are drawn among those that were
drawn least for their weight.
"""

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from experiments.study.derived import TARGETS, Derived
from experiments.study.networks.recipes import RECIPES
from experiments.study.targets import UNPACKED
from experiments.third_party import sources as third_party
from experiments.zoo.recipes import RECIPES as ZOO_RECIPES
from featalign.sources import catalogue
from featalign.sources.zoo import zoo_names
from featalign.study.records import read_records
from featalign.study.shipped import RECORDS

HERE = Path(__file__).parent
SEED = 1
HANDFULS = (5, 5, 6, 6, 7)  # sources of a target
NUM_SIZES = (2, 2, 2, 2, 2, 2, 2, 2, 2, 3)  # sizes of a target
WEIGHTS = {50: 1, 100: 3, 200: 3, 400: 3, 800: 2, 1600: 1}  # how often a size is to be drawn
ROWS_A_CLASS = 2
REPEATED = 3  # of so many parts one has a second seed, for all its sources
OWN, OTHERS = "py:experiments.study.networks:", "py:experiments.third_party.sources:"
SECONDS = {  # of two threads an arm takes about so many processor seconds; all others about 15
    "wide_resnet_*": 45,
    "deep_resnet_*": 25,
    "wide_plain_*": 40,
    "deep_vit_*": 60,
    "vit_*": 20,
    "cvx_*": 3,
    "doodlenet_*": 20,
    "conv4_*": 45,
    "mlperf_*": 40,
    "resnet20_cifar10*": 30,
    "resnet32_cifar10*": 45,
    "resnet44_cifar10*": 65,
    "resnet56_cifar10*": 80,
    "mini_xception_*": 35,
    "big_xception_*": 55,
    "deeplab_mnv2_050_*": 40,
    "deeplab_mnv2_100_*": 80,
    "faceapi_agegender*": 75,
    "faceapi_landmarks*": 55,
    "mobilenet_v1_025_*": 35,
    "keras_mobilenet_*": 25,
    "mobilenet_v1_050_*": 45,
    "mobilenet_v1_075_*": 75,
    "mobilenet_v1_100_*": 105,
    "mobilenet_v2_*": 110,
    "posenet_*": 50,
    "slim_*": 40,
    "squeezenet_*": 60,
    "tinyengine_*": 60,
}
CHEAP, LEAST = 15, 0.2  # at most so many seconds: drawn as often as any; the dearest
PIXELS = {  # third-party networks that are trained at another size than their own
    "big_xception_fer2013": 24,
    "conv4_miniimagenet_1shot": 28,
    "deeplab_mnv2_050_voc": 32,
    "deeplab_mnv2_100_voc": 32,
    "faceapi_agegender": 32,
    "faceapi_landmarks": 32,
    "keras_mobilenet_v1_025_224_imagenet": 48,
    "mini_xception_fer2013": 24,
    "mini_xception_gender": 24,
    "mobilenet_v1_025_128_imagenet": 64,
    "mobilenet_v1_050_160_imagenet": 32,
    "mobilenet_v1_075_192_imagenet": 32,
    "mobilenet_v1_100_224_embedding": 32,
    "mobilenet_v2_100_224_imagenet": 32,
    "mobilenet_v2_100_224_inat_bird": 32,
    "posenet_mnv1_075_coco": 32,
    "resnet20_cifar10": 16,
    "resnet32_cifar10": 16,
    "resnet44_cifar10": 16,
    "resnet56_cifar10": 16,
    "slim_widerface": 32,
    "squeezenet_v10_imagenet": 32,
    "tinyengine_vww80": 32,
}


def all_sources() -> list[str]:
    """The addresses of the pool."""
    own = [f"{OWN}{recipe.name}" for recipe in RECIPES]
    sizes = {name: f"_at_{PIXELS[name]}" if name in PIXELS else "" for name in third_party.names()}
    others = [f"{OTHERS}{name}{size}" for name, size in sizes.items()]
    return [*(f"zoo/{name}" for name in zoo_names()), *own, *others]


def in_turn(targets: Sequence[Derived], random: np.random.Generator) -> list[Derived]:
    """The targets in rounds: one of each data set, in a new order every round."""
    left: dict[str, list[Derived]] = {}
    for target in random.permutation(np.array(targets, object)):
        left.setdefault(target.dataset, []).append(target)
    found: list[Derived] = []
    while left:
        for dataset in random.permutation(sorted(left)):
            found.append(left[dataset].pop())
            if not left[dataset]:
                del left[dataset]
    return found


def least_drawn(
    allowed: Sequence[Any],
    count: int,
    drawn: dict[Any, int],
    weight: Callable[[Any], float],
    random: np.random.Generator,
) -> list[Any]:
    """So many of what was drawn least for its weight, ties by chance; `drawn` is counted on."""
    order = sorted(
        random.permutation(len(allowed)),
        key=lambda place: (drawn.get(allowed[place], 0) + 1) / weight(allowed[place]),
    )
    chosen = [allowed[place] for place in order[:count]]
    for each in chosen:
        drawn[each] = drawn.get(each, 0) + 1
    return chosen


def fitting_sizes(target: Derived, num_rows: int, num_classes: int) -> list[int]:
    """Sizes that a target can bear, but for those at which the shipped study has it already."""
    bearable = [size for size in WEIGHTS if ROWS_A_CLASS * num_classes <= size <= num_rows]
    return [size for size in bearable if (target.name, size) not in known()]


@cache
def known() -> set[tuple[str, int]]:
    """Targets and sizes of the shipped study."""
    return {(record["target"], record["size"]) for record in read_records(RECORDS)}


def has_seen(source: str, dataset: str, seen: Mapping[str, Sequence[str]]) -> bool:
    """Whether a source was pretrained on images of a data set, by its recipe or by the grid."""
    name = source.removeprefix(OWN).removeprefix("zoo/")
    own = {recipe.dataset for recipe in (*RECIPES, *ZOO_RECIPES) if recipe.name == name}
    if source.startswith(OTHERS):
        own = {str(catalogue.load(source).pretraining.dataset)}
    by_grid = [names for pattern, names in seen.items() if fnmatchcase(source, pattern)]
    return dataset in own.union(*by_grid)


def shape(target: Derived) -> tuple[int, int]:
    """Training rows and classes."""
    if target.name == "digits":
        return 1437, 10
    with np.load(UNPACKED / f"{target.name}.npz") as stored:
        return len(stored["y_train"]), len(stored["classes"])


def draw(seen: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The lines of the design."""
    random = np.random.default_rng(SEED)
    pool, drawn_sources, drawn_sizes = all_sources(), {}, {}
    lines, parts = [], 0
    repeated = int(random.integers(REPEATED))
    for target in in_turn(TARGETS, random):
        allowed = [source for source in pool if not has_seen(source, target.dataset, seen)]
        count = random.choice(HANDFULS)
        sources = least_drawn(allowed, count, drawn_sources, source_weight, random)
        sizes = least_drawn(
            fitting_sizes(target, *shape(target)),
            random.choice(NUM_SIZES),
            drawn_sizes,
            lambda size: WEIGHTS[size],
            random,
        )
        pairs = []
        for size in sorted(sizes):
            if parts % REPEATED == 0:
                repeated = int(random.integers(REPEATED))
            seeds = [0, 1] if parts % REPEATED == repeated else [0]
            parts += 1
            pairs += [[source, size, seeds] for source in sources]
        address = "sklearn:digits" if target.name == "digits" else f"targets/{target.name}.npz"
        named = {"target": target.name, "dataset": target.dataset, "address": address}
        lines.append({**named, "pairs": pairs})
    return lines


def seconds(source: str) -> float:
    """About how long an arm of a source takes, in processor seconds."""
    name = source.removeprefix(OTHERS).removeprefix(OWN).removeprefix("zoo/")
    return next((found for pattern, found in SECONDS.items() if fnmatchcase(name, pattern)), 15)


def source_weight(source: str) -> float:
    """How often a source is to be drawn: less often where it is dear."""
    return float(np.clip(CHEAP / seconds(source), LEAST, 1))


def main() -> None:
    stated = tomllib.loads((HERE / "design.toml").read_text(encoding="utf-8"))
    lines = draw(stated["seen"])
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (HERE / "design.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
