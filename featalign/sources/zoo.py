"""The zoo: small pretrained image models that ship inside the package, addressed as zoo/NAME."""

import hashlib
import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.nearest import did_you_mean
from featalign.sources.capabilities import Differentiable
from featalign.sources.input_form import InputForm
from featalign.sources.jax_networks import embedding, with_network
from featalign.sources.preprocessing import ImagePreprocessing
from featalign.sources.pretrained_on import RowSketch
from featalign.sources.reading import Reading
from featalign.sources.source import Pretraining, Source, digest_arrays

WEIGHTS = Path(str(files("featalign") / "sources" / "zoo_weights"))
ROWS = WEIGHTS / "pretraining_rows.npz"  # see experiments/zoo/rows.py


@cache
def zoo_names() -> tuple[str, ...]:
    """The names of all sources of the zoo, sorted.

    >>> "resnet_cifar10" in zoo_names()
    True
    """
    return tuple(sorted(path.stem for path in WEIGHTS.glob("*.json")))


def read_card(name: str) -> dict[str, Any]:
    """What is known of one source.

    That is architecture, parameters, pretraining, accuracy, preprocessing and training. Raises
    FeatalignError for a name that does not exist.
    """
    if name not in zoo_names():
        raise FeatalignError(
            f"source: there is no zoo/{name}; "
            f"{did_you_mean(f'zoo/{name}', [f'zoo/{known}' for known in zoo_names()])}"
            f"the zoo has {', '.join(zoo_names())}"
        )
    return json.loads((WEIGHTS / f"{name}.json").read_text(encoding="utf-8"))


def load_zoo_source(name: str) -> Source:
    """The source zoo/NAME.

    The network is built when it first has to compute; ranking from the cache never needs it.
    """
    source = source_of_card(f"zoo/{name}", read_card(name), WEIGHTS / f"{name}.safetensors")
    return replace(source, pretraining=replace(source.pretraining, rows=_sketches().get(name)))


@cache
def _sketches() -> Mapping[str, RowSketch]:
    """The sketch of the pretraining rows of each source that has one."""
    with np.load(ROWS, allow_pickle=False) as stored:
        counted = [name for name in stored.files if name.endswith(" rows")]
        return {
            name: RowSketch(stored[name], int(stored[f"{name} rows"]))
            for name in (each.removesuffix(" rows") for each in counted)
        }


def source_of_card(
    title: str,
    card: dict[str, Any],
    weights_path: Path,
    architectures: Mapping[str, Any] | None = None,
) -> Source:
    """The source of a card and a file of weights, by the zoo's architectures or the given ones."""
    from safetensors.numpy import load_file

    pretraining = card["pretraining"]
    stored = load_file(weights_path)
    weights = {name: values.astype(np.float32) for name, values in stored.items()}
    # measured on other images, the accuracy says nothing about what was learnt
    is_known = card["accuracy"]["measured_on"] == "test images"
    preprocessing = ImagePreprocessing(
        card["preprocessing"]["size"],
        tuple(card["preprocessing"]["mean"]),
        tuple(card["preprocessing"]["std"]),
    )
    network = partial(_network, title, card, architectures)
    load = cache(lambda: network(partial(_with_weights, weights=weights)))
    source = Source(
        name=title,
        revision=digest_arrays(weights | {f"architecture {card['architecture']}": np.zeros(0)}),
        embed_batch=embedding(load),
        layers=tuple(card["layers"]),
        logits_layer="logits",
        reading=Reading(
            input_kind="image",
            preprocessing=preprocessing.identity(),
            prepare=preprocessing,
            form=InputForm((preprocessing.size, preprocessing.size)),
        ),
        pretraining=Pretraining(
            pretraining["dataset"],
            pretraining["description"],
            pretraining["num_examples"],
            pretraining["num_classes"],
            card["accuracy"]["value"] if is_known else None,
            card["num_parameters"],
        ),
    )
    return with_network(
        source,
        load,
        lambda seed: network(partial(_drawn, seed=seed)),
        drawn_by=_initialiser() if architectures is None else None,
        architecture=f"{card['architecture']} of {preprocessing.size} pixels",
    )


def _network(
    title: str,
    card: dict[str, Any],
    architectures: Mapping[str, Any] | None,
    make: Callable[[Any, int], Any],
) -> Differentiable:
    """The network that `make` makes from the card's architecture and its number of classes."""
    from featalign.sources.flax_modules import taken_apart
    from featalign.sources.zoo_networks import ARCHITECTURES

    architecture = (architectures or ARCHITECTURES)[card["architecture"]]
    made = make(architecture, card["pretraining"]["num_classes"])
    return taken_apart(title, made, None, default_layer="features")


def _with_weights(architecture: Any, num_classes: int, weights: dict[str, np.ndarray]) -> Any:
    from flax import nnx

    network = nnx.eval_shape(lambda: architecture(num_classes, rngs=nnx.Rngs(0)))
    nnx.update(network, _nested(weights))
    return network


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
def _initialiser() -> str | None:
    """What fresh weights depend on beside architecture and seed.

    That is the text of the code that draws them, and the releases it uses. It is None where the
    text is not there; then the drawn weights themselves identify them.
    """
    try:
        code = hashlib.sha256(_code()).hexdigest()
    except OSError:
        return None
    releases = " ".join(f"{package} {version(package)}" for package in ("jax", "jaxlib", "flax"))
    return f"{code} {releases}"


def _code() -> bytes:
    return (
        Path(__file__).with_name("zoo_networks.py").read_bytes()
        + inspect.getsource(_drawn).encode()
    )


def _nested(flat: dict[str, np.ndarray]) -> Any:
    """Dotted names as nested dictionaries, in which numbers are places in a list."""
    tree: dict = {}
    for name, value in flat.items():
        *parents, last = name.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(int(parent) if parent.isdigit() else parent, {})
        node[last] = value
    return tree
