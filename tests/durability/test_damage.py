"""R4.

Thousands of damaged files: each noticed, none a crash, each computed again to the same bytes.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from featalign.embeddings import durable
from featalign.embeddings import extract as extract_module
from featalign.embeddings.labels import labels_are_sound
from featalign.embeddings.manifest import read_manifest
from featalign.embeddings.sealed import Damaged
from featalign.embeddings.shard import read_shard
from featalign.embeddings.store import Store
from featalign.sources.source import Source
from featalign.targets.target import Target
from tests.durability.sizes import size
from tests.durability.workload import snapshot

pytestmark = pytest.mark.slow

NUM_ROWS, SHARD_ROWS = 40, 12
SHARDS = tuple(f"shard-{index:05d}.h5" for index in range(4))
FILES = (*SHARDS, "labels.h5", "manifest.json")


def mend(root: Path) -> dict[str, Path]:
    """Extract both layers; their folders."""

    def embed(inputs, layers):
        return {
            layer: np.asarray(inputs, np.float32) * (1 if layer == "deep" else 2)
            for layer in layers
        }

    source = Source("plain", "1", embed, ("deep", "shallow"), "deep")
    target = Target.from_arrays(
        "numbers", np.random.default_rng(0).standard_normal((NUM_ROWS, 4)), np.arange(NUM_ROWS) % 3
    )
    found = extract_module.extract(source, target, ("deep", "shallow"), Store(root), batch_size=10)
    return {layer: embedding.folder for layer, embedding in found.items()}


def flip_bit(content: bytes, generator: np.random.Generator) -> bytes:
    changed = bytearray(content)
    changed[generator.integers(len(changed))] ^= 1 << generator.integers(8)
    return bytes(changed)


def zero_block(content: bytes, generator: np.random.Generator) -> bytes:
    """A block of the disk that held something becomes zeros."""
    starts = [start for start in range(0, len(content), 512) if any(content[start : start + 512])]
    start = int(generator.choice(starts))
    return content[:start] + bytes(len(content[start : start + 512])) + content[start + 512 :]


def truncate(content: bytes, generator: np.random.Generator) -> bytes:
    return content[: generator.integers(len(content))]


def append(content: bytes, generator: np.random.Generator) -> bytes:
    return content + (
        generator.bytes(int(generator.integers(1, 600)))
        if generator.random() < 0.7
        else bytes(int(generator.integers(1, 5000)))
    )


def damaged(path: Path) -> bool:
    """Whether verification refuses the file."""
    manifest = read_manifest(path.parent)
    if path.name == "manifest.json":
        return manifest is None
    if path.name == "labels.h5":
        return not labels_are_sound(path.parent, NUM_ROWS)
    assert manifest is not None
    try:
        read_shard(path.parent, manifest, SHARDS.index(path.name))
    except Damaged:
        return True
    return False


@pytest.fixture
def folders(quick_folder, monkeypatch):
    """A sound cache of two layers, written without waiting for the disk."""
    monkeypatch.setattr(extract_module, "rows_per_shard", lambda num_features, dtype: SHARD_ROWS)
    monkeypatch.setattr(durable.os, "fsync", lambda descriptor: None)
    return mend(quick_folder)


@pytest.mark.parametrize(
    "kind",
    ["flip a bit", "zero a block", "truncate", "append", "swap within a key", "swap between keys"],
)
def test_damage(quick_folder, folders, count, kind):
    pristine, trials = snapshot(quick_folder), size(500, 20_000)
    change = {
        "flip a bit": flip_bit,
        "zero a block": zero_block,
        "truncate": truncate,
        "append": append,
    }.get(kind)
    noticed = mended = expected = 0
    for seed in range(trials):
        generator = np.random.default_rng(seed)
        deep = folders["deep"]
        path = deep / str(generator.choice(SHARDS if kind == "swap within a key" else FILES))
        content = path.read_bytes()
        if change is not None:
            path.write_bytes(change(content, generator))
            changed = [path]
        else:
            others = (
                [deep / name for name in SHARDS if name != path.name]
                if kind == "swap within a key"
                else [folders["shallow"] / path.name]
            )
            other = others[generator.integers(len(others))]
            path.write_bytes(other.read_bytes())
            other.write_bytes(content)
            changed = [path, other]
        expected += len(changed)
        noticed += sum(damaged(path) for path in changed)
        mend(quick_folder)
        mended += snapshot(quick_folder) == pristine
        for leftover in quick_folder.rglob("*.corrupt"):
            os.unlink(leftover)
    count(
        f"R4 damage: {kind}, {trials} trials: {noticed} of {expected} damaged files noticed, "
        f"{mended} of {trials} caches mended to the same bytes"
    )
    assert noticed == expected
    assert mended == trials
