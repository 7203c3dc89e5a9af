"""The zoo: small pretrained image models that ship inside the package, addressed as zoo/NAME."""

import hashlib
import inspect
import json
from collections.abc import Mapping
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.sources.input_form import InputForm
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
    """What is known of one source.

    That is architecture, parameters, pretraining, accuracy, preprocessing and training.

    Raises FeatalignError for a name that does not exist.
    """
    if name not in zoo_names():
        raise FeatalignError(
            f"source: there is no zoo/{name}; the zoo has {', '.join(zoo_names())}"
        )
    return json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))


def load_zoo_source(name: str) -> Source:
    """The source zoo/NAME.

    The network is built when it first has to compute: ranking from the cache never needs it.
    """
    return source_of_card(f"zoo/{name}", read_card(name), WEIGHTS / f"{name}.safetensors")


def source_of_card(
    title: str,
    card: dict[str, Any],
    weights_path: Path,
    architectures: Mapping[str, Any] | None = None,
) -> Source:
    """The source of a card and a file of weights; its architecture is the zoo's or of others."""
    from safetensors.numpy import load_file

    pretraining = card["pretraining"]
    stored = load_file(weights_path)
    weights = {name: values.astype(np.float32) for name, values in stored.items()}
    built = cache(lambda: _build(title, card, weights, architectures))
    return Source(
        name=title,
        revision=_revision(card, weights),
        embed_batch=lambda inputs, layers: built().embed_batch(inputs, layers),
        layers=tuple(card["layers"]),
        logits_layer="logits",
        preprocessing=_preprocessing(card).identity(),
        input_kind="image",
        pretraining=Pretraining(
            pretraining["dataset"],
            pretraining["description"],
            pretraining["num_examples"],
            pretraining["num_classes"],
            card["accuracy"]["value"]
            if card["accuracy"]["measured_on"] == "test images"
            else None,  # else it says nothing of what was learnt
            card["num_parameters"],
        ),
        load_differentiable=lambda: built().differentiable,
        initialiser=_initialiser() if architectures is None else None,
        input_form=InputForm((card["preprocessing"]["size"],) * 2),
    )


def _build(
    title: str,
    card: dict[str, Any],
    weights: dict[str, np.ndarray],
    architectures: Mapping[str, Any] | None,
) -> Source:
    from flax import nnx

    from featalign.sources.flax_modules import flax_source
    from featalign.sources.zoo_networks import ARCHITECTURES

    architecture = (architectures or ARCHITECTURES)[card["architecture"]]
    num_classes = card["pretraining"]["num_classes"]
    network = nnx.eval_shape(lambda: architecture(num_classes, rngs=nnx.Rngs(0)))
    nnx.update(network, _nested(weights))
    return flax_source(
        title,
        network,
        preprocessing=_preprocessing(card),
        logits_layer="logits",
        layers=card["layers"],
        initialise=lambda seed: _drawn(architecture, num_classes, seed),
        revision=_revision(card, weights),
    )


def _drawn(architecture: Any, num_classes: int, seed: int) -> Any:
    """A network with fresh weights, which are the same whatever the user's settings of JAX."""
    import jax
    from flax import nnx

    offset = jax.config.jax_random_seed_offset  # type: ignore[attr-defined]
    with (
        jax.enable_x64(False),
        jax.threefry_partitionable(True),
        jax.default_prng_impl("threefry2x32"),
    ):
        return architecture(num_classes, rngs=nnx.Rngs(seed - offset))


@cache
def _initialiser() -> str:
    """What fresh weights depend on but architecture and seed.

    That is the code that draws them, as text and as releases.
    """
    releases = " ".join(f"{package} {version(package)}" for package in ("jax", "jaxlib", "flax"))
    return f"{hashlib.sha256(_code()).hexdigest()} {releases}"


def _code() -> bytes:
    return (
        Path(__file__).with_name("zoo_networks.py").read_bytes()
        + inspect.getsource(_drawn).encode()
    )


def _preprocessing(card: dict[str, Any]) -> ImagePreprocessing:
    return ImagePreprocessing(
        card["preprocessing"]["size"],
        tuple(card["preprocessing"]["mean"]),
        tuple(card["preprocessing"]["std"]),
    )


def _revision(card: dict[str, Any], weights: dict[str, np.ndarray]) -> str:
    return digest_arrays(weights | {f"architecture {card['architecture']}": np.zeros(0)})


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
