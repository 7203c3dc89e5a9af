"""R2.

SIGKILL at random times during `featalign embed` of a zoo source, two workers at a time on one
cache; then resume.

The workers are forked from a process that has loaded JAX but not started it, and read what JAX has
compiled before from its own cache: from reading the command line on they are the real program,
without the seconds of loading that no kill is wasted on.
"""

import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from featalign.embeddings.store import Store
from tests.durability.server import Outcome, Server
from tests.durability.sizes import size
from tests.durability.workload import snapshot

pytestmark = pytest.mark.slow

NUM_ROWS, SHARD_ROWS = 480, 32
JAX_CACHE = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def acknowledged(outcomes: list[Outcome]) -> list[str]:
    """The files whose commit returned, as often as it did."""
    lines = [line for outcome in outcomes for line in outcome.output.splitlines()]
    return [line.split()[1] for line in lines if line.startswith("acknowledged ")]


def sound(root: Path) -> set[str]:
    """The shards that verification accepts."""
    embeddings = [
        embedding for key in Store(root).keys() if (embedding := Store(root).open(key)) is not None
    ]
    return {
        f"{embedding.key}/{embedding.manifest.shard_name(index)}"
        for embedding in embeddings
        for index in embedding.verify().sound
    }


def test_random_kills(quick_folder, count):
    generator = np.random.default_rng(0)
    target, root, wanted = quick_folder / "target.npz", quick_folder / "cache", size(50, 1000)
    np.savez(
        target,
        inputs=generator.integers(0, 255, (NUM_ROWS, 8, 8, 1), dtype=np.uint8),
        labels=np.arange(NUM_ROWS) % 3,
    )
    environment = {"JAX_COMPILATION_CACHE_DIR": str(quick_folder / "jax"), **JAX_CACHE}
    server = Server(
        None,
        modules=("featalign.api", "jax", "flax.nnx", "safetensors.numpy"),
        environment=environment,
    )
    arguments = [
        "embed",
        "-s",
        "zoo/resnet_digits",
        "-t",
        target,
        "--layers",
        "all",
        "--batch-size",
        "32",
        "--cache",
        root,
    ]
    job = {
        "work": "embed",
        "shard_rows": SHARD_ROWS,
        "arguments": [str(argument) for argument in arguments],
    }

    assert server.run(**job).status == 0
    reference = snapshot(root)
    shards = {name for name in reference if "/shard-" in name}
    shutil.rmtree(root)
    start = time.monotonic()
    server.start([job, job])
    assert [outcome.status for outcome in server.finish()] == [0, 0]
    assert snapshot(root) == reference
    duration = time.monotonic() - start

    kills = caches = lost = wrong = again = rows_found = 0
    equal = 0
    shutil.rmtree(root)
    # times over the first seven tenths of a whole run: later ones find workers that have finished,
    # and the last shards' turn comes in resumed runs
    while kills < wanted or root.exists():
        before = sound(root)
        last = kills >= wanted
        times = [
            {} if last else {"kill_after": float(generator.random() * 0.7 * duration)}
            for _ in range(2)
        ]
        server.start([job | kill_after for kill_after in times])
        outcomes = server.finish()
        assert all(outcome.status in (0, -9) for outcome in outcomes), outcomes
        kills += sum(outcome.status == -9 for outcome in outcomes)
        committed, after = acknowledged(outcomes), sound(root)
        lost += len((set(committed) | before) - after)
        again += len(before & set(committed))
        files = snapshot(root)
        wrong += sum(content != reference[name] for name, content in files.items())
        rows_found += len(before)
        if 0 in [outcome.status for outcome in outcomes]:  # one of the two has finished all of it
            caches += 1
            equal += files == reference
            shutil.rmtree(root)
    server.close()
    count(
        f"R2 kills: {kills} at random times in `featalign embed` with two workers, {len(shards)} "
        f"shards: {lost * SHARD_ROWS} acknowledged rows lost, "
        f"{again * SHARD_ROWS} rows computed again, {wrong} files wrong, {equal} of {caches} "
        "resumed caches byte-equal to an uninterrupted one"
    )
    assert kills >= wanted
    assert (lost, again, wrong) == (0, 0, 0)
    assert equal == caches > 0
    assert rows_found > 0
