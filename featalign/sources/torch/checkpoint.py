"""Weights that a checkpoint lacks, so that a library has drawn them at random."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from featalign.errors import FeatalignError
from featalign.sources.torch.hf_reading import quiet

MISSING = "missing_from_checkpoint"  # kept with a model of torch: these weights by name


def check_learnt(name: str, model: Any, emit: Callable[[], Mapping[str, Any]]) -> None:
    """Raise FeatalignError where features depend on weights that a checkpoint lacks.

    The library has drawn these at random; `emit` computes the features by layer. A head that
    nothing reads may be missing: features have no gradient by its weights.
    """
    import torch

    missing = getattr(model, MISSING, {})
    if not missing:
        return
    trained = {
        key: value for key, value in missing.items() if isinstance(value, torch.nn.Parameter)
    }
    found = [key for key in missing if key not in trained]  # running averages have no gradient
    with torch.inference_mode(False), torch.enable_grad():
        for value in trained.values():
            value.requires_grad_(True)
        total = torch.stack([features.float().sum() for features in emit().values()]).sum()
        slopes = torch.autograd.grad(total, list(trained.values()), allow_unused=True)
    found += [key for key, slope in zip(trained, slopes, strict=True) if slope is not None]
    if found:
        shown = ", ".join(sorted(found)[:4]) + (f" and {len(found) - 4} more" * (len(found) > 4))
        raise FeatalignError(
            f"{name}: its checkpoint lacks weights that the features depend on ({shown}), and they "
            "would be random; check the names in it (a prefix such as module.?), or save it anew "
            "with the library it is for"
        )


def lacking(model: Any, folder: Path) -> Mapping[str, Any]:
    """What transformers says of loading a model's weights from a folder, where some may be missing.

    Where all their names are in the files nothing is loaded to tell.
    """
    from safetensors import safe_open

    prefix, names = f"{model.base_model_prefix}.", set()
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="numpy") as weights:
            names.update(weights.keys())
    names |= {name.removeprefix(prefix) for name in names}
    if not names or set(model.state_dict()) <= names:
        return {"missing_keys": ()}
    options = {"local_files_only": True, "use_safetensors": True, "output_loading_info": True}
    with quiet():
        return type(model).from_pretrained(folder, trust_remote_code=False, **options)[1]


def with_missing(model: Any, whole: Any, said: Mapping[str, Any]) -> Any:
    """The part of a model that is run, which keeps those of its weights that a checkpoint lacks.

    `said` is what transformers says of loading the whole.
    """
    run = {id(value) for value in (*model.parameters(), *model.buffers())}
    values = {**dict(whole.named_parameters()), **dict(whole.named_buffers())}
    lacking = {key: values[key] for key in said["missing_keys"] if key in values}
    setattr(model, MISSING, {key: value for key, value in lacking.items() if id(value) in run})
    return model


def without_missing(model: Any) -> Any:
    """The model, whose weights are now all meant to be random."""
    setattr(model, MISSING, {})
    return model
