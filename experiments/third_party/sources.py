"""The networks as sources: `load("resnet20_cifar10")` gives one.

Its address is py:experiments.third_party.sources:resnet20_cifar10, with _at_SIZE for smaller
images.
"""

import json
import re
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np

from experiments.study.targets import decoded
from experiments.third_party.initialisation import NOISE_IMAGES, fresh, re_estimated
from experiments.third_party.network import (
    Network,
    applying,
    joined,
    read_network,
    walk,
)
from experiments.third_party.preprocessing import ChannelPreprocessing, noise_images
from featalign.errors import FeatalignError
from featalign.sources.capabilities import Differentiable
from featalign.sources.jax_networks import embedding, flat_parameters, with_network
from featalign.sources.reading import Reading
from featalign.sources.source import Pretraining, Source, digest_arrays

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
WEIGHTS = DATA / "weights"
SETS = {  # what the sets at hand are called
    "CIFAR-10": "cifar10",
    "MNIST": "mnist",
    "Fashion-MNIST": "fashion_mnist",
    "Omniglot (few-shot episodes)": "omniglot_chars",
}
RE_ESTIMATED = {
    "Omniglot (few-shot episodes)": "omniglot_chars",
    "miniImageNet (few-shot episodes)": "tiny_imagenet175",
}
STATISTICS_IMAGES = 512
VERSION = 1  # to be raised whenever the same files give other features


@cache
def names() -> tuple[str, ...]:
    """The names of all networks, sorted.

    None where the folder ../shared/data/weights is not there.
    """
    return tuple(sorted(path.stem for path in WEIGHTS.glob("*.json")))


@cache
def load(name: str, size: int | None = None) -> Source:
    """The network of this name as a source, for images of its own size or of another one.

    Raises FeatalignError for a name that does not exist, and for another size where the network is
    not convolutional or cannot take it.

    >>> depths = ("depth_1", "depth_2", "depth_3", "depth_4")
    >>> load("resnet20_cifar10").layers if names() else (*depths, "features")
    ('depth_1', 'depth_2', 'depth_3', 'depth_4', 'features')
    """
    if name not in names():
        raise FeatalignError(
            f"source: there is no network {name!r} in {WEIGHTS}; it has "
            f"{', '.join(names()) or 'none'}"
        )
    network = read_network(WEIGHTS / f"{name}.json")
    preprocessing = ChannelPreprocessing.from_card(network.card["preprocessing"], size)
    title = f"third_party/{name}" + (f"_at_{size}" if size else "")
    _check_size(title, network, preprocessing, size)
    statistics = RE_ESTIMATED.get(network.card["trained_on"])
    load_network = cache(lambda: _pretrained(network, preprocessing, statistics))
    source = Source(
        name=title,
        revision=_revision(network, statistics),
        embed_batch=embedding(load_network),
        layers=tuple(layer for layer in network.layers if layer != "logits"),
        logits_layer="logits" if "logits" in network.layers else None,
        reading=Reading(
            input_kind="image",
            preprocessing=preprocessing.identity(),
            prepare=preprocessing,
        ),
        pretraining=_pretraining(network),
    )
    return with_network(
        source, load_network, lambda seed: _drawn(network, preprocessing, load_network(), seed)
    )


def __getattr__(name: str) -> Callable[[], Source]:
    """A factory of each network, as py: addresses name it."""
    found = re.fullmatch(r"(\w+?)(?:_at_(\d+))?", name)
    if found is None or found[1] not in names():
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; the networks are "
            f"{', '.join(names()) or 'not there'}"
        )
    return partial(load, found[1], int(found[2])) if found[2] else partial(load, found[1])


def _pretrained(
    network: Network, preprocessing: ChannelPreprocessing, statistics: str | None
) -> Differentiable:
    held = network.held
    if statistics is not None:
        held = re_estimated(network, preprocessing(some_images(statistics)))
    return Differentiable(network.parameters, applying(network, held), held)


def _drawn(
    network: Network, preprocessing: ChannelPreprocessing, own: Differentiable, seed: int
) -> Differentiable:
    """Fresh weights.

    The function is the network's own where nothing but parameters is fresh: it is compiled once.
    """
    images = preprocessing(noise_images(NOISE_IMAGES, preprocessing.size, seed))
    parameters, held = fresh(network, images, seed)
    moves = any("mean" in arrays for arrays in held.values())
    return Differentiable(parameters, applying(network, held) if moves else own.apply, held)


def some_images(name: str) -> list[np.ndarray]:
    """Evenly chosen training images of a set at hand."""
    path = DATA / "images" / f"{name}.npz"
    if path.exists():
        with np.load(path) as stored:
            images = stored["x_train"]
            return list(images[np.linspace(0, len(images) - 1, STATISTICS_IMAGES).astype(int)])
    with np.load(DATA / "images" / f"{name}_jpeg.npz") as stored:
        jpeg, offsets, rows = stored["jpeg"], stored["offsets"], np.flatnonzero(stored["is_train"])
    chosen = rows[np.linspace(0, len(rows) - 1, STATISTICS_IMAGES).astype(int)]
    return [decoded(jpeg, offsets, row) for row in chosen]


def _check_size(
    title: str, network: Network, preprocessing: ChannelPreprocessing, size: int | None
) -> None:
    if size is None:
        return
    stated = network.card["preprocessing"]["size"]
    if not network.is_convolutional:
        raise FeatalignError(
            f"{title}: expected images of {stated} pixels, got {size}; the network flattens them "
            "and has no other size"
        )
    import jax

    channels = 1 if preprocessing.channels == "gray" else 3
    example = jax.ShapeDtypeStruct((1, size, size, channels), np.float32)
    arrays = joined(network.parameters, network.held)
    try:
        values = jax.eval_shape(
            lambda prepared: [value for _, value in walk(network.nodes, arrays, prepared)], example
        )
        fits = all(value.size > 0 for value in values)
    except (TypeError, ValueError, ZeroDivisionError):
        fits = False
    if not fits:
        raise FeatalignError(
            f"{title}: expected images large enough for its convolutions, got {size} pixels; it "
            f"was made for {stated}"
        )


def _revision(network: Network, statistics: str | None) -> str:
    stated = {
        "version": VERSION,
        "nodes": network.nodes,
        "layers": network.layers,
        "statistics": [statistics, STATISTICS_IMAGES],
    }
    text = np.frombuffer(json.dumps(stated, sort_keys=True).encode(), np.uint8)
    return digest_arrays(
        flat_parameters(joined(network.parameters, network.held)) | {"network": text}
    )


def _pretraining(network: Network) -> Pretraining:
    card = network.card
    checked = re.fullmatch(r"top-1 ([\d.]+) on (\w+) test images", card["check"] or "")
    last = next((node for node in reversed(network.nodes) if node["op"] in ("conv", "dense")), None)
    classes = (
        network.parameters[last["id"]]["kernel"].shape[-1]
        if last is not None and "logits" in network.layers
        else None
    )
    return Pretraining(
        SETS.get(card["trained_on"], card["trained_on"]),
        f"{card['architecture']}, by {card['source_repo']}",
        num_classes=classes,
        accuracy=float(checked[1])
        if checked
        else None,  # on other images it says nothing of what was learnt
        num_parameters=card["n_params"],
    )
