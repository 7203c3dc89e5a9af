"""R6.

Several writers on one key and a reader that never stops: one winner per shard, and never half a
shard.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from featalign.embeddings.sealed import Damaged
from featalign.embeddings.shard import read_shard
from featalign.embeddings.store import Store
from tests.durability.server import Server
from tests.durability.sizes import size
from tests.durability.workload import NUM_SHARDS, leftovers, make_reference, snapshot

pytestmark = pytest.mark.slow


def read_all_once(root: Path, seen: dict[str, set[bytes]], torn: list[str]) -> int:
    """Look at every shard that is there.

    What it holds is added to `seen`, what verification refuses to `torn`.
    """
    reads = 0
    for key in Store(root).keys():
        embedding = Store(root).open(key)
        for index in range(NUM_SHARDS if embedding is not None else 0):
            assert embedding is not None
            try:
                shard = read_shard(embedding.folder, embedding.manifest, index)
            except FileNotFoundError:
                continue
            except Damaged as damage:
                torn.append(f"{index}: {damage}")
                continue
            reads += 1
            seen.setdefault(f"{key}/shard-{index:05d}.h5", set()).add(shard.features.tobytes())
            if len(set(shard.features[:, 2].tolist())) != 1:
                torn.append(f"{index}: rows of several writers")
    return reads


@pytest.mark.parametrize("num_writers", [2, 4, 8])
@pytest.mark.parametrize(
    "source", ["deterministic", "not deterministic", "not deterministic, on a damaged cache"]
)
def test_writers(quick_folder, shim, count, num_writers, source):
    reference = make_reference(quick_folder / "reference", 0)
    server = Server(shim)
    runs, reads, torn, winners, equal = size(4, 60), 0, [], 0, 0
    won: list[float] = []
    for run in range(runs):
        root = quick_folder / "cache"
        shutil.rmtree(root, ignore_errors=True)
        if source.endswith("damaged cache"):
            shutil.copytree(quick_folder / "reference", root)
            for path in (root / reference.key).glob("shard-*.h5"):
                path.write_bytes(b"damaged")
        noise = [
            0.0 if source == "deterministic" else 1.0 + writer for writer in range(num_writers)
        ]
        delays = np.random.default_rng(run).random(num_writers) * 0.004
        job = {"work": "extract", "root": str(root), "seed": 0, "quiet": True}
        server.start(
            [
                job | {"noise": noise[writer], "delay": delays[writer]}
                for writer in range(num_writers)
            ]
        )
        seen: dict[str, set[bytes]] = {}
        found: list[str] = []
        while not server.is_done():
            reads += read_all_once(root, seen, found)
        outcomes = server.finish()
        reads += read_all_once(root, seen, found)
        assert [outcome.status for outcome in outcomes] == [0] * num_writers, outcomes
        torn += [
            what
            for what in found
            if not (source.endswith("damaged cache") and "it has only 7 bytes" in what)
        ]
        assert len(seen) == NUM_SHARDS
        winners += sum(len(contents) == 1 for contents in seen.values())
        equal += snapshot(root) == reference.files
        won += [
            float(np.frombuffer(next(iter(contents)), np.float32)[2]) for contents in seen.values()
        ]
        assert leftovers(root) == []
    server.close()
    count(
        f"R6 writers: {num_writers} writers, {source}, {runs} runs, {reads} reads meanwhile: "
        f"{winners} of {runs * NUM_SHARDS} shards "
        f"with one winner, {len(torn)} torn reads, {len(set(won))} writers won some shard"
    )
    assert torn == []
    assert winners == runs * NUM_SHARDS
    assert reads > runs * NUM_SHARDS
    if source == "deterministic":
        assert equal == runs
    else:
        assert set(won) <= set(np.arange(num_writers) + 1.0)
