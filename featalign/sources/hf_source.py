"""hf/NAME@REVISION#LAYER: text and image models of transformers, from a local folder or the hub.

Weights must be safetensors, and no remote code runs.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from featalign.errors import FeatalignError, first_line
from featalign.sources.address import Address, parse
from featalign.sources.extras import require
from featalign.sources.hf_reading import image_reading, quiet, text_reading
from featalign.sources.hf_tokens import PIECES, SENTENCE
from featalign.sources.hub import model_folder
from featalign.sources.parts import AtOnce
from featalign.sources.reading import Reading
from featalign.sources.resident import Resident
from featalign.sources.source import Source
from featalign.sources.torch_models import (
    PARTS,
    as_numpy,
    device,
    forward_pass,
    pool,
    with_fresh_weights,
    with_twins,
)

POOLINGS = ("mean", "cls", "last")


def load_hf_source(rest: str) -> Source:
    """A model of transformers as a source.

    Layers are `embeddings.POOLING`, `layer_1.POOLING` and so on, after each block.

    For a model that reads texts the pooling is `mean` over its tokens, or the `last` token of a
    mere decoder such as GPT-2. For a vision transformer it is `cls` where there is a class token,
    and otherwise `mean` over its places. `#layer_3`, `#layer_3.cls` or `#cls` choose others. Only
    the encoder of encoder-decoder models runs, and only the image part of models of images and
    texts. Raises FeatalignError for a name, revision or layer that does not exist, pickled weights,
    or no network.
    """
    address = parse("hf/", rest)
    require("transformers", extra="hf", address=address.text)
    require("torch", extra="hf", address=address.text)
    network = Network(address, model_folder(address, extra="hf"))
    layers, default = network.layers_and_default()
    reading, where = network.reading(), device()

    def source_of(revision: str, model: Resident[Any]) -> Source:
        def embed_batch(
            prepared: Mapping[str, np.ndarray], wanted: tuple[str, ...]
        ) -> dict[str, np.ndarray]:
            return _run(address.text, model(), prepared, wanted, where, len(layers) - 1)

        return Source(
            address.text,
            revision,
            embed_batch,
            layers,
            default,
            reading=reading,
            at_once=AtOnce(PARTS[where]),
        )

    return with_twins(network, source_of, "torch", "transformers")


@dataclass(frozen=True)
class Network:
    """A model's folder, and what it tells before the model is in memory."""

    address: Address
    folder: Path

    @property
    def config(self) -> Any:
        """The configuration of the part that runs."""
        return _config(self.address, self.folder)

    @property
    def reads_images(self) -> bool:
        """Whether the model comes with a preprocessing of images."""
        return (self.folder / "preprocessor_config.json").is_file() and not hasattr(
            self.config, "vocab_size"
        )

    @property
    def pooling(self) -> str:
        """The pooling that fits the architecture."""
        if self.reads_images:
            return "cls" if self.has_class_token else "mean"
        return "last" if is_decoder_alone(self.config) else "mean"

    @property
    def has_class_token(self) -> bool:
        """Whether a vision transformer puts a class token before the places."""
        from safetensors import safe_open

        names: list[str] = []
        for path in self.folder.glob("*.safetensors"):
            with safe_open(path, framework="numpy") as weights:
                names += weights.keys()
        return any(name.endswith(("cls_token", "class_embedding")) for name in names)

    def layers_and_default(self) -> tuple[tuple[str, ...], str]:
        """Names of all layers with their pooling, and the one to score.

        Raises FeatalignError for a layer or pooling that does not exist.
        """
        blocks = getattr(self.config, "num_hidden_layers", None) or len(
            getattr(self.config, "depths", ())
        )
        if not blocks:
            raise FeatalignError(
                f"{self.address.text}: how many layers a {self.config.model_type} has is not "
                "known; use py:MODULE:FACTORY for it"
            )
        names = ["embeddings", *(f"layer_{place}" for place in range(1, blocks + 1))]
        layer, _, pooling = (self.address.layer or names[-1]).partition(".")
        if layer in POOLINGS and not pooling:
            layer, pooling = names[-1], layer
        pooling = pooling or self.pooling
        if (
            layer not in names
            or pooling not in POOLINGS
            or (pooling == "cls" and self.reads_images and not self.has_class_token)
        ):
            raise FeatalignError(
                f"layer: {self.address.name} has no layer {self.address.layer!r}; it has "
                f"{', '.join(names)}, "
                "each with .mean, .last or, where there is such a token, .cls"
            )
        return tuple(f"{name}.{pooling}" for name in names), f"{layer}.{pooling}"

    def pretrained(self) -> Any:
        """The model with its weights."""
        transformers = require("transformers", extra="hf", address=self.address.text)
        options = {
            "local_files_only": True,
            "trust_remote_code": False,
            "use_safetensors": True,
            "dtype": "float32",
        }
        with quiet():
            try:
                return _inner(transformers.AutoModel.from_pretrained(self.folder, **options))
            except (OSError, ValueError, KeyError, RuntimeError) as error:
                raise FeatalignError(
                    f"{self.address.text}: transformers cannot load it ({first_line(error)}); save "
                    "it anew with transformers"
                ) from error

    def fresh(self, seed: int) -> Any:
        """The same architecture as it is before any training."""
        transformers = require("transformers", extra="hf", address=self.address.text)
        whole = transformers.AutoConfig.from_pretrained(
            self.folder, local_files_only=True, trust_remote_code=False
        )
        with quiet():
            return _inner(
                with_fresh_weights(
                    lambda: transformers.AutoModel.from_config(whole, dtype="float32"), seed
                )
            )

    def reading(self) -> Reading:
        """The model's tokenizer or image processor as a preprocessing."""
        if self.reads_images:
            return image_reading(self.address, self.folder)
        return text_reading(self.address, self.folder, self.config)


def _run(
    name: str,
    model: Any,
    prepared: Mapping[str, np.ndarray],
    wanted: tuple[str, ...],
    where: str,
    num_blocks: int,
) -> dict[str, np.ndarray]:
    import torch

    tensors = {
        key: torch.from_numpy(np.ascontiguousarray(values)).to(where)
        for key, values in prepared.items()
    }
    sentences, pieces = tensors.pop(SENTENCE, None), tensors.pop(PIECES, None)
    deep = any(not layer.startswith(f"layer_{num_blocks}.") for layer in wanted)
    with forward_pass(where):
        output = model(**tensors, output_hidden_states=deep, return_dict=True)
        emitted = {}
        for layer in wanted:
            block, _, pooling = layer.partition(".")
            place = 0 if block == "embeddings" else int(block.removeprefix("layer_"))
            if deep and len(output.hidden_states) != num_blocks + 1:
                raise FeatalignError(
                    f"{name}: it gives {len(output.hidden_states)} hidden states instead of "
                    f"{num_blocks + 1}; ask for layer_{num_blocks}"
                )
            states = (
                output.last_hidden_state if place == num_blocks else output.hidden_states[place]
            )
            if pieces is not None:
                if pooling == "cls":
                    raise FeatalignError(
                        f"layer: {name} was asked for {layer!r}, which is the same for all words; "
                        f"use {block}.mean or {block}.last"
                    )
                has_pieces = pieces.any(dim=1, keepdim=True)  # a word may have none
                emitted[layer] = as_numpy(pool(states[sentences], pooling, pieces) * has_pieces)
                continue
            prefix = 0
            if "pixel_values" in tensors and states.ndim == 3:
                prefix = _num_prefix_tokens(model)
            emitted[layer] = as_numpy(pool(states, pooling, tensors.get("attention_mask"), prefix))
    return emitted


def _num_prefix_tokens(model: Any) -> int:
    """The number of class and register tokens before the places."""
    has = any(
        name.endswith(("cls_token", "class_embedding")) for name, _ in model.named_parameters()
    )
    return int(has) + int(getattr(model.config, "num_register_tokens", 0) or 0) if has else 0


def _config(address: Address, folder: Path) -> Any:
    return _read_config(
        address, str(folder.resolve()), hashlib.sha256(_bytes(folder / "config.json")).hexdigest()
    )


@cache
def _read_config(address: Address, folder: str, digest: str) -> Any:
    del digest  # a folder that was saved anew is read anew
    transformers = require("transformers", extra="hf", address=address.text)
    try:
        config = transformers.AutoConfig.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, KeyError) as error:
        raise FeatalignError(
            f"{address.text}: transformers cannot read its config.json ({first_line(error)}); "
            "models that bring code of their own are not run"
        ) from error
    return getattr(config, "vision_config", None) or config


def _bytes(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _inner(model: Any) -> Any:
    """The part of a model that runs.

    It is the image part of a model that also reads texts, and the encoder of one that also writes.
    """
    if hasattr(model, "vision_model"):
        model = model.vision_model
    elif getattr(model.config, "is_encoder_decoder", False):
        model = model.get_encoder()
    return model.eval().to(device())


def is_decoder_alone(config: Any) -> bool:
    """Whether a model is a mere decoder, whose last token alone has seen the whole text."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    writes = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return (
        writes
        and config.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
        and not getattr(config, "is_encoder_decoder", False)
    )
