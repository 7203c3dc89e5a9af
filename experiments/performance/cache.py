"""The cost of the cache: python -m experiments.performance.cache.

Writing: extraction into a store against the same pass of the source with nothing kept, taken in
turn. Reading: verified shards of 64 MiB, against the least that verification can take: their
SHA-256. Processor time is reported beside wall time, because a machine that does other work at the
same time spoils the one more than the other.
"""

import hashlib
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import featalign as fa
from experiments.performance.timing import RESULTS, Line, show_and_save
from featalign.embeddings.extract import extract
from featalign.embeddings.key import Identity
from featalign.embeddings.labels import StoredLabels
from featalign.embeddings.manifest import Manifest, rows_per_shard
from featalign.embeddings.shard import Shard, commit_shard
from featalign.embeddings.store import Embedding, Store
from featalign.sources.source import Source
from featalign.targets.batches import batches
from featalign.targets.target import Target

NUM_ROWS, BATCH_SIZE = 20_000, 256
SHARDS, WIDTH = 8, 4096  # 8 x 4096 rows x 4096 x 4 bytes = 8 x 64 MiB
REPEATS = 5


def clock(function: Callable[[], Any]) -> tuple[float, float]:
    """Wall time and processor time (all threads, user and system) of one call."""
    before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    function()
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def in_turn(
    name: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    *,
    against: str,
    wanted: str,
    note: str = "",
) -> list[Line]:
    """Two lines, of wall time and of processor time.

    They are medians over pairs, after one warm-up of each side; the order alternates.
    """
    ours()
    theirs()
    pairs = []
    for repeat in range(REPEATS):
        first, second = (ours, theirs) if repeat % 2 == 0 else (theirs, ours)
        times = clock(first), clock(second)
        pairs.append(times if repeat % 2 == 0 else times[::-1])
    lines = []
    for which, label in enumerate(("wall", "processor")):
        ratios = sorted(mine[which] / other[which] for mine, other in pairs)
        medians = [
            statistics.median(side[which] for side in sides) for sides in zip(*pairs, strict=True)
        ]
        lines.append(
            Line(
                f"{name}, {label}",
                medians[0],
                against,
                medians[1],
                statistics.median(ratios),
                ratios[0],
                ratios[-1],
                wanted,
                note,
            )
        )
    return lines


def writing(folder: Path, source: Source, layers: tuple[str, ...], name: str) -> list[Line]:
    """Extraction into an empty store against the same pass of the source."""
    images = np.random.default_rng(0).integers(0, 256, (NUM_ROWS, 32, 32, 3), dtype=np.uint8)
    target = Target.from_arrays("noise", images, np.arange(NUM_ROWS) % 10)

    def with_store() -> None:
        shutil.rmtree(folder / "written", ignore_errors=True)
        extract(source, target, layers, Store(folder / "written"), batch_size=BATCH_SIZE)

    def without() -> None:
        for batch in batches(target, BATCH_SIZE):
            source.embed(batch.inputs, layers)

    megabytes = (
        NUM_ROWS
        * 4
        * sum(features.shape[1] for features in source.embed(images[:2], layers).values())
        / 1e6
    )
    note = f"{NUM_ROWS} images 32x32x3, {megabytes:.1f} MB"
    return in_turn(
        f"write, {name}",
        with_store,
        without,
        against="the same pass, nothing kept",
        wanted="<= 1.05",
        note=note,
    )


def reading(folder: Path) -> list[Line]:
    """All features of shards of 64 MiB, verified, against the digest alone of the same bytes.

    Both from the page cache.
    """
    embedding = wide(folder)
    gigabytes = sum(path.stat().st_size for path in embedding.folder.glob("shard-*.h5")) / 1e9
    buffer = bytearray(1 << 20)

    def verified() -> None:
        for _, features in embedding.blocks():
            assert len(features)

    def digested() -> None:
        for path in sorted(embedding.folder.glob("shard-*.h5")):
            digest = hashlib.sha256()
            with open(path, "rb", buffering=0) as file:
                while count := file.readinto(buffer):
                    digest.update(memoryview(buffer)[:count])

    lines = in_turn(
        "read, verified",
        verified,
        digested,
        against="read and SHA-256, one thread",
        wanted=">= 1 GB/s",
    )
    return [
        Line(**{**vars(line), "note": f"{gigabytes:.2f} GB: {gigabytes / line.ours:.2f} GB/s"})
        for line in lines
    ]


def wide(folder: Path) -> Embedding:
    """An embedding of full shards."""
    manifest = Manifest(
        Identity("wide", {}, "deep", "none"),
        SHARDS * 4096,
        WIDTH,
        rows_per_shard(WIDTH, "float32"),
        "wide",
        "none",
    )
    embedding = Store(folder / "read").create(
        manifest, StoredLabels(np.zeros(manifest.num_rows, np.int64), ("one",))
    )
    features = np.random.default_rng(0).standard_normal(
        (manifest.rows_per_shard, WIDTH), np.float32
    )
    for index in range(manifest.num_shards):
        commit_shard(
            embedding.folder,
            manifest,
            index,
            Shard(features, np.asarray(manifest.shard_rows(index)), 0, 0),
        )
    return embedding


def main() -> None:
    """Measure, print, save."""
    source = fa.load_source("zoo/resnet_digits")
    with tempfile.TemporaryDirectory(
        prefix="featalign-", dir=os.environ.get("TMPDIR")
    ) as temporary:
        folder = Path(temporary)
        lines = writing(folder, source, (source.default_layer,), "one layer")
        lines += writing(folder, source, source.all_layers, f"{len(source.all_layers)} layers")
        lines += reading(folder)
    load = os.getloadavg()[0]
    show_and_save(
        f"the cache, at a load of {load:.1f} on {os.cpu_count()} cores",
        lines,
        RESULTS / "cache.json",
    )


if __name__ == "__main__":
    main()
