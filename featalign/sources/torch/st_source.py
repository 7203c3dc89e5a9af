"""st/NAME@REVISION#LAYER: models of sentence-transformers, with the pooling that they declare.

Weights must be safetensors, and no remote code runs.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from featalign.errors import FeatalignError, first_line
from featalign.sources.address import Address, parse
from featalign.sources.extras import require
from featalign.sources.hub import model_folder, read_json
from featalign.sources.input_form import InputForm
from featalign.sources.reading import Reading
from featalign.sources.source import Source, check_layer
from featalign.sources.torch.checkpoint import lacking, with_missing, without_missing
from featalign.sources.torch.hf_families import kind_of
from featalign.sources.torch.hf_reading import quiet, text_reading
from featalign.sources.torch.hf_source import Network
from featalign.sources.torch.models import (
    device,
    folder_revision,
    fresh_revisions,
    pool,
    with_fresh_weights,
)
from featalign.sources.torch.network import TorchNetwork

FEATURES = "features"


def load_st_source(rest: str) -> Source:
    """A model of sentence-transformers as a source.

    `features` are its sentence embeddings; `embeddings.mean`, `layer_1.mean` ... are its hidden
    layers. The model's default prompt, if it has one, is used. Raises FeatalignError for a name,
    revision or layer that does not exist, pickled weights, or no network.
    """
    address = parse("st/", rest)
    require("sentence_transformers", extra="st", address=address.text)
    folder = model_folder(
        address
        if "/" in address.name or address.folder
        else replace(address, name=f"sentence-transformers/{address.name}"),
        extra="st",
    )
    encoder = Encoder(address, folder)
    layers = encoder.layers()
    default = address.layer or FEATURES
    check_layer(default, layers, name=address.name)
    packages = ("torch", "transformers", "sentence-transformers")
    return TorchNetwork(
        name=address.text,
        revision=folder_revision(folder, *packages),
        build=encoder.pretrained,
        emit=_emitted,
        layers=layers,
        default_layer=default,
        reading=encoder.reading(),
        fresh=encoder.fresh,
        fresh_revision=fresh_revisions(*packages),
        prepare=_prepared,
    ).source()


@dataclass(frozen=True)
class Encoder:
    """A folder of sentence-transformers."""

    address: Address
    folder: Path

    @property
    def network(self) -> Network | None:
        """The transformer that it begins with, or None where it begins with something else."""
        modules: Any = read_json(self.folder / "modules.json", self.address)
        first = self.folder / modules[0].get("path", "")
        return (
            Network(self.address, first)
            if modules[0]["type"].endswith(".Transformer") and (first / "config.json").is_file()
            else None
        )

    def layers(self) -> tuple[str, ...]:
        """Hidden layers, averaged over tokens, then the sentence embedding."""
        network = self.network
        blocks = 0
        if network is not None and kind_of(network.config) == "text":
            blocks = getattr(network.config, "num_hidden_layers", 0)
        hidden = (
            ("embeddings", *(f"layer_{place}" for place in range(1, blocks + 1))) if blocks else ()
        )
        return (*(f"{name}.mean" for name in hidden), FEATURES)

    def pretrained(self) -> Any:
        """The model with its weights, on the device."""
        library = require("sentence_transformers", extra="st", address=self.address.text)
        options = (
            {"use_safetensors": True, "dtype": "float32"} if self.network is not None else None
        )
        with quiet():
            try:
                model = library.SentenceTransformer(
                    str(self.folder),
                    device=device(),
                    trust_remote_code=False,
                    local_files_only=True,
                    model_kwargs=options,
                ).eval()
                if (network := self.network) is not None:
                    inner = model[0].model
                    with_missing(model, inner, lacking(inner, network.folder))
                return model
            except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
                raise FeatalignError(
                    f"{self.address.text}: sentence-transformers cannot load it "
                    f"({first_line(error)}); save it anew with sentence-transformers"
                ) from error

    def fresh(self, seed: int) -> Any:
        """The same modules with fresh weights.

        The transformer begins anew from its configuration, others by their own way. Raises
        FeatalignError for a module that knows none.
        """

        def build() -> Any:
            model = self.pretrained()
            if (network := self.network) is not None:
                drawn_anew(model[0].model, seed)
            for module in (
                inner
                for outer in list(model)[1 if network is not None else 0 :]
                for inner in outer.modules()
            ):
                if callable(getattr(module, "reset_parameters", None)):
                    module.reset_parameters()
                elif any(True for _ in module.parameters(recurse=False)):
                    raise FeatalignError(
                        f"{self.address.text}: its {type(module).__name__} does not say how its "
                        "weights begin anew, so that it has no random twin"
                    )
            return without_missing(model)

        return with_fresh_weights(build, seed)

    def reading(self) -> Reading:
        """The inputs that it takes; the model itself prepares texts, once it is in memory."""
        return Reading(
            input_kind="text",
            preprocessing={
                "kind": "text",
                "tokenizer": "in the revision",
                **({"truncate_dim": self.width} if self.width else {}),
            },
            form=self._form(),
            static_shapes=False,
        )

    @property
    def width(self) -> int | None:
        """To how many numbers it cuts its embeddings; None where it does not."""
        own = self.folder / "config_sentence_transformers.json"
        return read_json(own, self.address).get("truncate_dim") if own.is_file() else None

    def _form(self) -> InputForm:
        if (network := self.network) is None:
            return InputForm()
        form = text_reading(self.address, network.folder, network.config).form
        own = network.folder / "sentence_bert_config.json"
        longest = read_json(own, self.address).get("max_seq_length") if own.is_file() else None
        return replace(form, max_tokens=longest) if longest else form


def _prepared(model: Any, texts: list[str]) -> Mapping[str, Any]:
    """Texts as the model's own tokenizer gives them, with the prompt that it uses by default."""
    prompt = model.prompts.get(model.default_prompt_name) if model.default_prompt_name else None
    return model.preprocess(list(texts), prompt=prompt)


def drawn_anew(network: Any, seed: int) -> None:
    """Draw a transformer's weights anew, as its own class begins with its own configuration."""
    options = {"dtype": "float32"}
    fresh = with_fresh_weights(
        lambda: type(network)._from_config(deepcopy(network.config), **options), seed
    )
    network.load_state_dict(fresh.state_dict())


def _emitted(model: Any, tensors: Mapping[str, Any], wanted: tuple[str, ...]) -> dict[str, Any]:
    """The layers as torch has them."""
    hidden, emitted = [layer for layer in wanted if layer != FEATURES], {}
    if hidden:
        model[0].model.config.output_hidden_states = True
    try:
        output = model(dict(tensors))
    finally:
        if hidden:
            model[0].model.config.output_hidden_states = False
    for layer in wanted:
        if layer == FEATURES:
            emitted[layer] = output["sentence_embedding"][:, : model.truncate_dim]
            continue
        name = layer.partition(".")[0]
        place = 0 if name == "embeddings" else int(name.removeprefix("layer_"))
        states = output["all_layer_embeddings"][place]
        emitted[layer] = pool(states, "mean", tensors["attention_mask"])
    return emitted
