"""A folder of an adapter, as peft saves it, with the model that it was trained beside."""

import hashlib
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from featalign.errors import FeatalignError, first_line
from featalign.sources.address import Address
from featalign.sources.extras import releases, require
from featalign.sources.hub import ADAPTER, model_folder, read_json

WEIGHTS = "adapter_model.safetensors"
PREFIX = "base_model.model."  # peft puts it before every name
WHERE = ("base_model_name_or_path", "revision")  # where the base was, which changes no feature


def base_of(address: Address, folder: Path) -> Path:
    """The folder of the model that an adapter in this folder was trained beside.

    The adapter's configuration names a folder, which may lie beside the adapter, or a model of the
    hub. Raises FeatalignError where it names none that can be found.
    """
    config = read_json(folder / ADAPTER, address)
    name = config.get("base_model_name_or_path")
    if not name:
        raise FeatalignError(
            f"{address.text}: its {ADAPTER} names no base model; write the folder or the name on "
            "the hub there as base_model_name_or_path"
        )
    beside = folder / name
    base = replace(
        address,
        name=str(beside) if beside.exists() and not Path(name).exists() else name,
        revision=None if Path(name).exists() or beside.exists() else config.get("revision"),
    )
    return model_folder(base, extra="hf")


def adapter_digest(address: Address, folder: Path) -> dict[str, Any]:
    """What of an adapter changes the features: its weights, its settings, and the release."""
    path = folder / WEIGHTS
    if not path.is_file():
        raise FeatalignError(
            f"{address.text}: expected the adapter's weights as {WEIGHTS}, found none; save it "
            "anew with peft"
        )
    config = read_json(folder / ADAPTER, address)
    settings = {name: value for name, value in config.items() if name not in WHERE}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update(path.read_bytes())
    return {"adapter": digest.hexdigest(), **releases("peft")}


def merge_adapter(address: Address, model: Any, folder: Path) -> None:
    """Merge the weights of an adapter into those of its base model.

    Heads that were saved with it are left out. Raises FeatalignError where it does not fit, or is
    no adapter whose weights can be merged.
    """
    peft = require("peft", extra="hf", address=address.text)
    from peft.tuners.tuners_utils import BaseTunerLayer
    from safetensors.torch import load_file

    def misfit(why: str) -> FeatalignError:
        return FeatalignError(
            f"{address.text}: its adapter does not fit its base model ({why}); name the base that "
            f"it was trained beside in {ADAPTER}"
        )

    try:
        config = peft.PeftConfig.from_pretrained(str(folder))
        config.modules_to_save = config.task_type = None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            peft.inject_adapter_in_model(config, model)
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise misfit(first_line(error)) from error
    layers = [
        (name, layer) for name, layer in model.named_modules() if isinstance(layer, BaseTunerLayer)
    ]
    within = tuple(f"{name}." for name, _ in layers)
    own = f"{model.base_model_prefix}."
    weights: dict[str, Any] = {}
    for name, value in load_file(folder / WEIGHTS).items():
        plain = name.removeprefix(PREFIX)
        plain = plain if plain.startswith(within) else plain.removeprefix(own)
        if plain.startswith(within):
            weights[plain] = value
        elif ".lora_" in plain:
            raise misfit(f"it has no {plain}")
    said = peft.set_peft_model_state_dict(model, weights)
    lacking = [name for name in said.missing_keys if ".lora_" in name]
    if said.unexpected_keys or lacking or not weights:
        other = next(iter([*said.unexpected_keys, *lacking]), "any of its layers")
        raise misfit(f"its weights are not those of {other}")
    for name, layer in layers:
        layer.merge()
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent) if parent else model, last, layer.get_base_layer())
