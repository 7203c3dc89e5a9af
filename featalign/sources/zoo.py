"""The zoo: small pretrained image models that ship inside the package, addressed as zoo/NAME."""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.sources.preprocessing import ImagePreprocessing
from featalign.sources.source import Pretraining, Source, digest_arrays

WEIGHTS = Path(str(files("featalign") / "sources" / "zoo_weights"))


@cache
def zoo_names() -> tuple[str, ...]:
    """The names of all sources of the zoo, sorted.

    >>> "resnet_cifar10" in zoo_names()
    True
    """
    return tuple(sorted(path.stem for path in WEIGHTS.glob("*.json")))


def read_card(name: str) -> dict[str, Any]:
    """What is known of one source: architecture, parameters, pretraining, accuracy, preprocessing, training.

    Raises FeatalignError for a name that does not exist.
    """
    if name not in zoo_names():
        raise FeatalignError(f"source: there is no zoo/{name}; the zoo has {', '.join(zoo_names())}")
    return json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))


def load_zoo_source(name: str) -> Source:
    """The source zoo/NAME."""
    from flax import nnx
    from safetensors.numpy import load_file

    from featalign.sources.flax_modules import flax_source
    from featalign.sources.zoo_networks import ARCHITECTURES

    card = read_card(name)
    pretraining, preprocessing = card["pretraining"], card["preprocessing"]
    num_classes = pretraining["num_classes"]
    architecture = ARCHITECTURES[card["architecture"]]
    network = nnx.eval_shape(lambda: architecture(num_classes, rngs=nnx.Rngs(0)))
    weights = load_file(WEIGHTS / f"{name}.safetensors")
    nnx.update(network, _nested(weights))
    return flax_source(
        f"zoo/{name}",
        network,
        preprocessing=ImagePreprocessing(preprocessing["size"], tuple(preprocessing["mean"]), tuple(preprocessing["std"])),
        input_kind="image",
        logits_layer="logits",
        layers=card["layers"],
        initialise=lambda seed: architecture(num_classes, rngs=nnx.Rngs(seed)),
        revision=digest_arrays(weights | {f"architecture {card['architecture']}": np.zeros(0)}),
        pretraining=Pretraining(
            pretraining["dataset"],
            pretraining["description"],
            pretraining["num_examples"],
            num_classes,
            card["accuracy"]["value"],
            card["num_parameters"],
        ),
    )


def _nested(flat: dict[str, np.ndarray]) -> Any:
    """Dotted names as nested dictionaries; parts that are numbers are places in a list."""
    tree: dict = {}
    for name, value in flat.items():
        *parents, last = name.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(int(parent) if parent.isdigit() else parent, {})
        node[last] = value
    return tree
