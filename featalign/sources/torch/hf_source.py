"""hf/NAME@REVISION#LAYER: text and image models of transformers, from a local folder or the hub.

Weights must be safetensors, and no remote code runs.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from featalign.errors import FeatalignError, first_line
from featalign.sources.address import Address, parse
from featalign.sources.extras import require
from featalign.sources.hub import ADAPTER, model_folder
from featalign.sources.prepared import PIECES, SENTENCE
from featalign.sources.reading import Reading
from featalign.sources.source import Source
from featalign.sources.torch.adapters import adapter_digest, base_of, merge_adapter
from featalign.sources.torch.checkpoint import with_missing
from featalign.sources.torch.hf_families import (
    blocks_of,
    embedding_of,
    has_embeddings,
    kind_of,
    named_class,
    without_masking,
)
from featalign.sources.torch.hf_reading import image_reading, quiet, text_reading
from featalign.sources.torch.models import (
    device,
    folder_revision,
    fresh_revisions,
    pool,
    with_fresh_weights,
)
from featalign.sources.torch.network import TorchNetwork

POOLINGS = ("mean", "cls", "last")
PROJECTION = "projection_of_the_tower"  # where a tower keeps the projection that follows it
WHOLE = ("pooler", "projection")  # of an input as a whole, by the model's own pooling


def load_hf_source(rest: str) -> Source:
    """A model of transformers as a source.

    Layers are `embeddings.POOLING`, `layer_1.POOLING` and so on, after each block.

    For a model that reads texts the pooling is `mean` over its tokens, or the `last` token of a
    mere decoder such as GPT-2. For a vision transformer it is `cls` where there is a class token,
    and otherwise `mean` over its places. `#layer_3`, `#layer_3.cls` or `#cls` choose others. Only
    the encoder of encoder-decoder models runs, and only the image part of models of images and
    texts. A folder of an adapter of peft is merged into the base model that its configuration
    names. Raises FeatalignError for a name, revision or layer that does not exist, pickled weights,
    or no network.
    """
    address = parse("hf/", rest)
    require("transformers", extra="hf", address=address.text)
    require("torch", extra="hf", address=address.text)
    folder, adapter = model_folder(address, extra="hf", adapters=True), None
    if (folder / ADAPTER).is_file():
        folder, adapter = base_of(address, folder), folder
    network = Network(address, folder, adapter)
    layers, default = network.layers_and_default()
    blocks = sum(name.startswith("layer_") for name in layers)
    packages = ("torch", "transformers")
    return TorchNetwork(
        name=address.text,
        revision=folder_revision(
            folder, *packages, more=adapter and adapter_digest(address, adapter)
        ),
        build=network.pretrained,
        emit=lambda model, tensors, wanted: _emitted(address.text, model, tensors, wanted, blocks),
        layers=layers,
        default_layer=default,
        reading=network.reading(),
        fresh=network.fresh,
        fresh_revision=fresh_revisions(*packages),
    ).source()


@dataclass(frozen=True)
class Network:
    """A model's folder, and what it tells before the model is in memory."""

    address: Address
    folder: Path
    adapter: Path | None = None  # the folder of an adapter, whose weights are merged into these

    @property
    def config(self) -> Any:
        """The configuration of the part that runs."""
        return _config(self.address, self.folder)

    @property
    def reads_images(self) -> bool:
        """Whether it reads images, which its configuration says."""
        return self.kind == "image"

    @property
    def kind(self) -> str:
        """What it reads: "image" or "text".

        Raises FeatalignError for what reads anything else.
        """
        kind = kind_of(self.config)
        if kind not in ("image", "text"):
            raise FeatalignError(
                f"{self.address.text}: a {self.config.model_type} reads {kind}, expected a model "
                "of texts or images; wrap it with py:MODULE:FACTORY"
            )
        return kind

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
        blocks = blocks_of(self.config)
        if not blocks:
            raise FeatalignError(
                f"{self.address.text}: how many layers a {self.config.model_type} has is not "
                "known; use py:MODULE:FACTORY for it"
            )
        names = [f"layer_{place}" for place in range(1, blocks + 1)]
        names = ["embeddings", *names] if has_embeddings(self.config, blocks) else names
        default = embedding_of(self.config) or names[-1]
        layer, _, pooling = (self.address.layer or default).partition(".")
        if layer in WHOLE and not pooling:
            return (*(f"{name}.{self.pooling}" for name in names), layer), layer
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
                "each with .mean, .last or, where there is such a token, .cls; and where the model "
                f"has them, {' and '.join(WHOLE)}"
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
            "output_loading_info": True,
            **without_masking(self.config),
        }
        with quiet():
            try:
                network = named_class(self.config) or transformers.AutoModel
                whole, said = network.from_pretrained(self.folder, **options)
                if self.adapter is not None:
                    merge_adapter(self.address, whole, self.adapter)
                return with_missing(_checked(self.address, _inner(whole)), whole, said)
            except FeatalignError:
                raise
            except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
                raise FeatalignError(
                    f"{self.address.text}: transformers cannot load it ({first_line(error)}); save "
                    "it anew with transformers"
                ) from error

    def fresh(self, seed: int) -> Any:
        """The same architecture as it is before any training."""
        transformers = require("transformers", extra="hf", address=self.address.text)
        whole = transformers.AutoConfig.from_pretrained(
            self.folder,
            local_files_only=True,
            trust_remote_code=False,
            **without_masking(self.config),
        )
        network = named_class(whole)

        def build() -> Any:
            if network is not None:
                return network(whole)
            return transformers.AutoModel.from_config(whole, dtype="float32")

        with quiet():
            return _inner(with_fresh_weights(build, seed))

    def reading(self) -> Reading:
        """The model's tokenizer or image processor as a preprocessing."""
        if self.reads_images:
            return image_reading(self.address, self.folder, self.config)
        return text_reading(self.address, self.folder, self.config)


def _emitted(
    name: str, model: Any, tensors: Mapping[str, Any], wanted: tuple[str, ...], num_blocks: int
) -> dict[str, Any]:
    """The layers as torch has them."""
    inputs = {key: value for key, value in tensors.items() if key not in (SENTENCE, PIECES)}
    sentences, pieces = tensors.get(SENTENCE), tensors.get(PIECES)
    last = f"layer_{num_blocks}"
    deep = any(layer not in WHOLE and layer.partition(".")[0] != last for layer in wanted)
    output = model(**inputs, output_hidden_states=deep, return_dict=True)
    lacks_last = getattr(output, "last_hidden_state", None) is None  # as that of DPR
    if lacks_last and any(layer not in WHOLE for layer in wanted):
        output = model(**inputs, output_hidden_states=True, return_dict=True)
    emitted = {}
    for layer in wanted:
        block, _, pooling = layer.partition(".")
        if pieces is not None and (block in WHOLE or pooling == "cls"):
            instead = f"{last if block in WHOLE else block}"
            raise FeatalignError(
                f"layer: {name} was asked for {layer!r}, which is the same for all words; "
                f"use {instead}.mean or {instead}.last"
            )
        if block in WHOLE:
            emitted[layer] = _whole(name, model, output, block)
            continue
        states = output.hidden_states[-1] if lacks_last else output.last_hidden_state
        if block != last:
            states = _hidden(name, output.hidden_states, block, num_blocks)
        if pieces is not None:
            has_pieces = pieces.any(dim=1, keepdim=True)  # a word may have none
            emitted[layer] = pool(states[sentences], pooling, pieces) * has_pieces
            continue
        prefix = _num_prefix_tokens(model) if "pixel_values" in inputs and states.ndim == 3 else 0
        emitted[layer] = pool(states, pooling, inputs.get("attention_mask"), prefix)
    return emitted


def _hidden(name: str, states: Any, block: str, num_blocks: int) -> Any:
    """The states after a block, or before the first; some networks do not give the latter."""
    place = 0 if block == "embeddings" else int(block.removeprefix("layer_"))
    place -= num_blocks + 1 - len(states)
    if len(states) not in (num_blocks, num_blocks + 1) or place < 0:
        raise FeatalignError(
            f"{name}: it gives {len(states)} hidden states instead of {num_blocks + 1}; ask for "
            f"layer_{num_blocks}"
        )
    return states[place]


def _whole(name: str, model: Any, output: Any, layer: str) -> Any:
    """The features of an input as a whole: the model's own pooling, or its projection of that."""
    pooled = getattr(output, "pooler_output", None)
    projection = getattr(model, PROJECTION, None)
    if pooled is None or (layer == "projection" and projection is None):
        raise FeatalignError(
            f"layer: {name} has no layer {layer!r}; leave it out for the one that is scored by "
            "default"
        )
    pooled = pooled.flatten(1)
    return pooled if layer == "pooler" or projection is None else projection(pooled)


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

    That is the image part of one that also reads texts, with its projection, a tower of texts with
    its projection, and the encoder of one that also writes.
    """
    if hasattr(model, "vision_model"):
        projection, model = getattr(model, "visual_projection", None), model.vision_model
        if projection is not None:
            model.add_module(PROJECTION, projection)
    elif hasattr(model, "text_model") and hasattr(model, "text_projection"):
        projection, model = model.text_projection, model.text_model
        model.add_module(PROJECTION, projection)
    elif getattr(model.config, "is_encoder_decoder", False):
        model = model.get_encoder()
    return model.eval().to(device())


def _checked(address: Address, model: Any) -> Any:
    """The model. Raises FeatalignError for one that wants more than tokens or pixels."""
    import inspect

    wanted = [
        parameter.name
        for parameter in inspect.signature(model.forward).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        and parameter.name not in ("input_ids", "attention_mask", "pixel_values")
    ]
    if wanted:
        raise FeatalignError(
            f"{address.text}: a {model.config.model_type} is not read: it wants "
            f"{' and '.join(wanted)} beside its inputs; wrap it with py:MODULE:FACTORY"
        )
    return model


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
