"""Pickled checkpoints, read only when the address names the file.

A process of its own reads the weights alone and makes them into safetensors.
"""

import atexit
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from featalign.errors import FeatalignError
from featalign.sources.address import Address

SECONDS = 600
CHILD = """
import sys, torch
from safetensors.torch import save_file
weights = torch.load(sys.argv[1], map_location="cpu", weights_only=True)
weights = weights.get("state_dict", weights)
save_file({name: tensor.clone().contiguous() for name, tensor in weights.items()}, sys.argv[2], \
metadata={"format": "pt"})
"""


def without_pickle(address: Address, folder: Path, pickled: str) -> Path:
    """A temporary copy of a model's folder with the pickled file as model.safetensors.

    Raises FeatalignError when the file is not there or holds more than weights, or when torch is
    older than 2.10.
    """
    from featalign.sources.extras import releases

    file = folder / pickled
    if Path(pickled).name != pickled or not file.is_file():
        raise FeatalignError(
            f"{address.text}: there is no file {pickled} in {folder}; name the pickled "
            "file as it is called there"
        )
    if tuple(int(part) for part in releases("torch")["torch"].split(".")) < (2, 10):
        raise FeatalignError(
            f"{address.text}: pickled files are read with torch 2.10 or newer alone (older ones "
            "run code in them); update torch"
        )
    made = tempfile.TemporaryDirectory(prefix="featalign-")
    atexit.register(made.cleanup)  # sources read it for as long as the process lives
    copy = Path(made.name) / "model"
    shutil.copytree(
        folder,
        copy,
        ignore=shutil.ignore_patterns("*.bin", "*.pt", "*.pth", "*.ckpt", "*.safetensors", "*.py"),
    )
    command = [sys.executable, "-I", "-c", CHILD, str(file), str(copy / "model.safetensors")]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise FeatalignError(
            f"{address.text}: reading {pickled} took more than {SECONDS} s; save it as "
            "safetensors instead"
        ) from error
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ["no reason given"]
        raise FeatalignError(
            f"{address.text}: {pickled} holds more than named weights and was not read "
            f"({lines[-1][:200]}); save it as safetensors"
        )
    return copy
