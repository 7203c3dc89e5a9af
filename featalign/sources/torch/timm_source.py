"""timm/NAME@REVISION#LAYER: image models of timm with their own preprocessing.

They come from a local folder or the hub, and weights must be safetensors.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from featalign.errors import FeatalignError, first_line
from featalign.sources.address import Address, parse
from featalign.sources.extras import require
from featalign.sources.hub import model_folder, read_json
from featalign.sources.input_form import InputForm
from featalign.sources.preprocessing import as_picture
from featalign.sources.reading import Reading
from featalign.sources.source import Source, check_layer
from featalign.sources.torch.models import (
    device,
    folder_revision,
    fresh_revisions,
    pool,
    with_fresh_weights,
)
from featalign.sources.torch.network import TorchNetwork

FEATURES, LOGITS = "features", "logits"


def load_timm_source(rest: str) -> Source:
    """A model of timm as a source.

    `features` are the input of its head, `layer_1` ... are its blocks or stages averaged over
    places, and `logits` are the output of the head. NAME is one of timm's ("resnet50.a1_in1k"), a
    name on the hub ("timm/resnet50.a1_in1k") or a folder that timm saved. Raises FeatalignError for
    a name, revision or layer that does not exist, pickled weights, or no network.
    """
    address = parse("timm/", rest)
    timm = require("timm", extra="timm", address=address.text)
    network = Network(address, model_folder(_on_the_hub(address, timm), extra="timm"))
    outline = network.outline()
    layers = _layers(outline)
    default = address.layer or FEATURES
    check_layer(default, layers, name=address.name)
    packages = ("torch", "timm")
    return TorchNetwork(
        name=address.text,
        revision=folder_revision(network.folder, *packages),
        build=network.pretrained,
        emit=_emitted,
        layers=layers,
        default_layer=default,
        logits_layer=LOGITS if getattr(outline, "num_classes", 0) else None,
        reading=_reading(timm, timm.data.resolve_model_data_config(outline)),
        fresh=network.fresh,
        fresh_revision=fresh_revisions(*packages),
    ).source()


def _reading(timm: Any, settings: dict[str, Any]) -> Reading:
    """The preprocessing that a model of timm declares."""
    transform = timm.data.create_transform(**settings, is_training=False)
    channels, height, width = settings["input_size"]
    mode = "L" if channels == 1 else "RGB"

    def prepare(images: Any) -> np.ndarray:
        return np.stack([np.asarray(transform(as_picture(image, mode))) for image in images])

    declared = {
        key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()
    }
    return Reading(
        input_kind="image",
        preprocessing={"kind": "image", "timm": declared, "transform": str(transform)},
        prepare=prepare,
        form=InputForm((height, width), channels),
        static_shapes=False,
    )


def _on_the_hub(address: Address, timm: Any) -> Address:
    """The address with the model's name on the hub.

    Raises FeatalignError for a name that timm does not know, or whose weights are not on the hub.
    """
    if address.folder is not None or "/" in address.name:
        return address
    try:
        entry = timm.get_pretrained_cfg(address.name, allow_unregistered=False)
    except RuntimeError:
        entry = None
    if entry is None or not timm.is_model(address.name):
        close = ", ".join(timm.list_models(f"*{address.name.partition('.')[0]}*")[:5])
        raise FeatalignError(
            f"{address.text}: timm has no model {address.name}"
            + (f"; near are {close}" if close else "; timm.list_models() lists them")
        )
    if not entry.hf_hub_id:
        raise FeatalignError(
            f"{address.text}: timm has no weights of {address.name} on the hub; "
            "timm.list_pretrained() lists what there is"
        )
    return replace(address, name=str(entry.hf_hub_id))


@dataclass(frozen=True)
class Network:
    """A folder of a model of timm."""

    address: Address
    folder: Path

    def _built(self, *, pretrained: bool) -> Any:
        timm = require("timm", extra="timm", address=self.address.text)
        try:
            return timm.create_model(f"local-dir:{self.folder}", pretrained=pretrained).eval()
        except (RuntimeError, OSError, ValueError, KeyError, TypeError) as error:
            raise FeatalignError(
                f"{self.address.text}: timm cannot build it ({_reason(error)}); save it anew "
                "with timm"
            ) from error

    def pretrained(self) -> Any:
        """The model with its weights."""
        return self._built(pretrained=True).to(device())

    def fresh(self, seed: int) -> Any:
        """The model as it is before any training."""
        return with_fresh_weights(lambda: self._built(pretrained=False), seed).to(device())

    def outline(self) -> Any:
        """The network, if possible without memory for its weights.

        It tells the layers and the preprocessing.
        """
        import torch

        read_json(self.folder / "config.json", self.address)
        try:
            with torch.device("meta"):
                return self._built(pretrained=False)
        except (
            FeatalignError,
            NotImplementedError,
        ):  # some compute with numbers while they are built
            return self._built(pretrained=False)


def _reason(error: Exception) -> str:
    """What an error says; of weights that a checkpoint lacks it is their names."""
    lines = (line.strip() for line in str(error).splitlines())
    return next((line for line in lines if line.startswith("Missing key")), first_line(error))[:200]


def _layers(model: Any) -> tuple[str, ...]:
    """Names of the layers from input to output."""
    blocks = (
        len(getattr(model, "feature_info", ()) or getattr(model, "blocks", ()))
        if hasattr(model, "forward_intermediates")
        else 0
    )
    return (*(f"layer_{place}" for place in range(1, blocks + 1)), FEATURES)


def _emitted(model: Any, inputs: Any, wanted: tuple[str, ...]) -> dict[str, Any]:
    """The layers as torch has them."""
    emitted: dict[str, Any] = {}
    places = [
        int(layer.removeprefix("layer_")) - 1 for layer in wanted if layer.startswith("layer_")
    ]
    if places:  # maps as (B, C, H, W), whatever the model computes in
        final, maps = model.forward_intermediates(inputs, indices=sorted(places), output_fmt="NCHW")
        emitted |= {
            f"layer_{place + 1}": pool(states, "mean")
            for place, states in zip(sorted(places), maps, strict=True)
        }
    else:
        final = model.forward_features(inputs)
    if FEATURES in wanted:
        emitted[FEATURES] = model.forward_head(final, pre_logits=True)
    if LOGITS in wanted:
        emitted[LOGITS] = model.forward_head(final)
    return emitted
