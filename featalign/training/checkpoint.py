"""Trained weights as a safetensors file, with the record of their result."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.records.fine_tuned import FineTuned
from featalign.sources.jax_networks import flat_parameters
from featalign.training.trainer import as_array

NAME = "fine_tuned.safetensors"


def check_checkpoint(path: Path) -> None:
    """Raise FeatalignError for a place where no checkpoint can be written.

    This is checked before the training, not after it.
    """
    file = _file(path)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _partial(file).write_bytes(b"")
        _partial(file).unlink()
    except OSError as error:
        raise FeatalignError(
            f"checkpoint: no file can be written in {file.parent} ({error.strerror}); choose "
            "another place"
        ) from error
    if file.is_dir():
        raise FeatalignError(
            f"checkpoint: expected a place for a file, {file} is a folder; choose another name"
        )


def save_checkpoint(result: FineTuned, path: Path) -> Path:
    """Write the parameters of the network and the head to a file.

    Their names are `network.NAME`, and `head.kernel` and `head.bias`. The head reads the layer of
    the record. The file's metadata hold the record of the result.
    """
    from safetensors.numpy import save

    trees: dict[str, Any] = {"network": result.trained.parameters, "head": result.trained.head}
    arrays = {
        f"{name}.{key}": value for name, tree in trees.items() for key, value in _flat(tree).items()
    }
    file = _file(path)
    _partial(file).write_bytes(save(arrays, metadata={"featalign": json.dumps(result.to_record())}))
    _partial(file).replace(file)
    return file


def _flat(tree: Any) -> dict[str, np.ndarray]:
    """Tensors by their names: those of torch come so, and those of JAX as a tree."""
    if any(hasattr(leaf, "detach") for leaf in tree.values()):
        return {name: np.ascontiguousarray(as_array(leaf)) for name, leaf in tree.items()}
    return flat_parameters(tree)


def _file(path: Path) -> Path:
    return path if path.suffix == ".safetensors" else path / NAME


def _partial(file: Path) -> Path:
    return file.with_suffix(".partial")
