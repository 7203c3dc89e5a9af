"""A model's files, from a local folder or a snapshot of the hub, and the digest of them."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featalign.errors import FeatalignError
from featalign.sources.address import PICKLE, Address
from featalign.sources.extras import require

# weights without code, their descriptions, and vocabularies
SAFE_FILES = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja")
ADAPTER = "adapter_config.json"  # as peft saves what it adds to a model
DOCUMENTS = ("README.md", "LICENSE.txt", "data_config.json")


def model_folder(address: Address, *, extra: str, adapters: bool = False) -> Path:
    """The folder with a model's files.

    It is the local folder of this name, or a snapshot of the hub, fetched as far as it is not on
    disk. Raises FeatalignError for an unknown name, an unknown revision, no network, or weights
    that exist only in pickled form. A folder of an adapter is returned where `adapters` are
    taken, and is an error elsewhere.
    """
    folder = address.folder
    if folder is not None and address.revision is not None:
        raise FeatalignError(
            f"{address.text}: a folder has no revisions; leave out @{address.revision}, what is in "
            "it is digested"
        )
    if folder is None:
        folder = _snapshot(address, extra)
    if not folder.is_dir():
        raise FeatalignError(
            f"{address.text}: expected a folder as the model's library saves it, got a file; name "
            "the folder it lies in"
        )
    if (folder / ADAPTER).is_file() and not adapters:
        base = (
            read_json(folder / ADAPTER, address).get("base_model_name_or_path") or "another model"
        )
        raise FeatalignError(
            f"{address.text}: it holds an adapter of {base}, not a model; merge it into its base "
            "model (merge_and_unload of peft), save that, and name its folder"
        )
    if address.pickled is not None:
        from featalign.sources.pickled import without_pickle

        return without_pickle(address, folder, address.pickled)
    if not any(folder.rglob("*.safetensors")):
        pickled = sorted(
            path.name
            for pattern in ("*.bin", "*.pt", "*.pth", "*.ckpt")
            for path in folder.rglob(pattern)
        )
        if pickled:
            raise FeatalignError(
                f"{address.text}: its weights are pickled ({pickled[0]}), which can run code when "
                "read; save them as safetensors, or if you trust "
                f"them add ?{PICKLE}={pickled[0]}"
            )
        raise FeatalignError(
            f"{address.text}: expected weights as *.safetensors in {folder}, found none; save the "
            "model there with its own library"
        )
    return folder


def digest_files(folder: Path, *, more: Mapping[str, Any]) -> str:
    """The SHA-256 of the weights, of their descriptions, and of `more`.

    Files count by their names within the folder; documents are left out.
    """
    digest = hashlib.sha256(json.dumps(more, sort_keys=True).encode())
    paths = {
        path
        for pattern in SAFE_FILES
        for path in folder.rglob(pattern)
        if path.is_file() and path.name not in DOCUMENTS
    }
    for path in sorted(paths, key=lambda path: path.relative_to(folder).as_posix()):
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        digest.update(f"{path.relative_to(folder).as_posix()}|{content}|".encode())
    return digest.hexdigest()


def read_json(path: Path, address: Address) -> dict[str, Any]:
    """A JSON file of the model; raises FeatalignError where it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FeatalignError(
            f"{address.text}: expected a readable {path.name} in its folder ({error}); save the "
            "model with its own library"
        ) from error


def _snapshot(address: Address, extra: str) -> Path:
    if address.name.startswith(("/", ".", "~")) or address.name.count("/") > 1:
        raise FeatalignError(
            f"{address.text}: there is no folder {address.name}; name one as the model's library "
            "saves it, or a name on the hub"
        )
    hub = require("huggingface_hub", extra=extra, address=address.text)
    errors = require("huggingface_hub.errors", extra=extra, address=address.text)
    patterns: Sequence[str] = (
        SAFE_FILES if address.pickled is None else (*SAFE_FILES, address.pickled)
    )
    try:
        return Path(
            hub.snapshot_download(
                address.name, revision=address.revision, allow_patterns=list(patterns)
            )
        )
    except errors.RevisionNotFoundError as error:
        raise FeatalignError(
            f"{address.text}: the hub's {address.name} has no revision {address.revision!r}; name "
            "a branch, tag or commit of it, or leave it out"
        ) from error
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise FeatalignError(
            f"{address.text}: neither a folder here nor a model on the hub is called "
            f"{address.name}; check the name, and log in if it is private"
        ) from error
    except (
        Exception
    ) as error:  # connections fail in many types, and offline mode and an empty cache in others
        raise FeatalignError(
            f"{address.text}: {address.name} is not on disk and the hub cannot be reached "
            f"({type(error).__name__}); "
            "go online once, or name a folder that holds the model"
        ) from error
