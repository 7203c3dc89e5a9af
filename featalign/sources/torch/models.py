"""What the sources that run in torch share: device, precision, revisions, pooling."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from featalign.sources.extras import releases
from featalign.sources.hub import digest_files

PARTS = {"cpu": 32, "cuda": 128, "mps": 32}  # inputs at once, while memory suffices


def device() -> str:
    """Where torch computes: "cuda", "mps" or "cpu"."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def precision(device: str) -> str:
    """The type for most of the computation: bfloat16 on a GPU that has it, and float32 elsewhere.

    It is part of the revision.
    """
    import torch

    return "bfloat16" if device == "cuda" and torch.cuda.is_bf16_supported() else "float32"


@contextmanager
def forward_pass(device: str) -> Iterator[None]:
    """A context without gradients, and with mixed precision where `precision` is bfloat16."""
    import torch

    with (
        torch.inference_mode(),
        torch.autocast(device, dtype=torch.bfloat16, enabled=precision(device) == "bfloat16"),
    ):
        yield


def with_fresh_weights(build: Callable[[], Any], seed: int) -> Any:
    """What `build` makes with torch's random numbers seeded by `seed`.

    The user's random numbers are left as they were.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def fresh_revision(seed: int, *packages: str) -> str:
    """What fresh weights depend on beside the source's own files.

    That is the seed, the releases that draw them, and torch's default type where the user has set
    another one.
    """
    import torch

    parts = [f"fresh weights {seed}", *(f"{package} {version(package)}" for package in packages)]
    if torch.get_default_dtype() != torch.float32:
        parts.append(str(torch.get_default_dtype()))
    return ", ".join(parts)


def folder_revision(folder: Path, *packages: str, more: Mapping[str, Any] | None = None) -> str:
    """A digest of a folder's files, the releases of the packages that compute, and the precision.

    `more` is what else the features depend on.
    """
    computed = releases(*packages) | {"precision": precision(device())}
    return digest_files(folder, more=computed | dict(more or {}))


def fresh_revisions(*packages: str) -> Callable[[int], str]:
    """The name of fresh weights that these packages draw, by seed."""
    return lambda seed: fresh_revision(seed, *packages)


def as_numpy(tensor: Any) -> np.ndarray:
    """A tensor as float32, or as float64 where that is its type."""
    import torch

    return (
        tensor.to(torch.float64 if tensor.dtype == torch.float64 else torch.float32).cpu().numpy()
    )


def pool(states: Any, pooling: str, mask: Any = None, prefix: int = 0) -> Any:
    """States (B, T, D) or maps (B, C, H, W) to (B, D).

    "mean" is the average over places, or over tokens with mask 1 without the first `prefix`. "cls"
    is the first token, and "last" the last one with mask 1.
    """
    import torch

    if states.ndim == 4:
        return states.mean(dim=(2, 3))
    if pooling == "cls":
        return states[:, 0]
    if mask is None:
        return states[:, -1] if pooling == "last" else states[:, prefix:].mean(dim=1)
    if pooling == "last":
        places = (mask * torch.arange(mask.shape[1], device=mask.device)).argmax(dim=1)
        return states[torch.arange(len(states), device=states.device), places]
    weights = mask.to(states.dtype).unsqueeze(-1)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1)
