"""What the sources that run in torch share: device, precision, seeded weights, digests, pooling."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import numpy as np

PARTS = {"cpu": 32, "cuda": 128, "mps": 32}  # inputs at once, to begin with


def device() -> str:
    """Where torch computes: "cuda", "mps" or "cpu"."""
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def precision(device: str) -> str:
    """The type that most is computed in: bfloat16 on an accelerator that has it, else float32.

    It is part of the revision.
    """
    import torch

    return "bfloat16" if device == "cuda" and torch.cuda.is_bf16_supported() else "float32"


@contextmanager
def forward_pass(device: str, precision: str) -> Iterator[None]:
    """No gradients, and mixed precision where there is one."""
    import torch

    with (
        torch.inference_mode(),
        torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bfloat16"),
    ):
        yield


def with_fresh_weights(build: Callable[[], Any], seed: int) -> Any:
    """What `build` makes with torch's random numbers drawn by `seed`.

    The user's own are left as they were.
    """
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return build()


def fresh_revision(seed: int, *packages: str) -> str:
    """What fresh weights depend on but the source's own files.

    That is the seed, and the releases that draw them.

    >>> fresh_revision(1, "numpy").startswith("fresh weights 1, numpy ")
    True
    """
    return ", ".join(
        (f"fresh weights {seed}", *(f"{package} {version(package)}" for package in packages))
    )


def as_numpy(tensor: Any) -> np.ndarray:
    """A tensor of any precision as float32, or float64 where it is."""
    import torch

    return (
        tensor.to(torch.float64 if tensor.dtype == torch.float64 else torch.float32).cpu().numpy()
    )


def pool(states: Any, pooling: str, mask: Any = None, prefix: int = 0) -> Any:
    """States (B, T, D) or maps (B, C, H, W) to (B, D).

    mean: the average over tokens with mask 1, the first `prefix` left out, or over places; cls: the
    first token; last: the last with mask 1.
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
