"""What the sources that run in torch share: device, precision, revisions, twins, pooling."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from featalign.sources.capabilities import FreshWeights
from featalign.sources.extras import releases
from featalign.sources.hub import digest_files
from featalign.sources.resident import Resident
from featalign.sources.source import Source

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


class Folder(Protocol):
    """A model's folder, and the models that are built from it."""

    @property
    def folder(self) -> Path:
        """The folder with the weights and their descriptions."""
        ...

    def pretrained(self) -> Any:
        """The model with its weights."""
        ...

    def fresh(self, seed: int) -> Any:
        """The same architecture as it is before any training."""
        ...


def with_twins(
    network: Folder, source_of: Callable[[str, Resident[Any]], Source], *packages: str
) -> Source:
    """The source of a folder, which can start anew.

    `source_of` makes it from a revision and a model. The revisions of pretrained and of fresh
    weights both name the releases of the packages that compute.
    """

    def held(revision: str, build: Callable[[], Any]) -> Source:
        model = Resident(build)
        return replace(source_of(revision, model), model=model)

    computed = releases(*packages) | {"precision": precision(device())}
    own = held(digest_files(network.folder, more=computed), network.pretrained)

    def draw(seed: int) -> Source:
        return held(fresh_revision(seed, *packages), lambda: network.fresh(seed))

    return replace(own, fresh_weights=FreshWeights(draw))


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
