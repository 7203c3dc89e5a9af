"""The work that is disturbed, and the check of what is left of it.

The work is twelve small shards of a source that depends on a seed.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from featalign.embeddings import extract as extract_module
from featalign.embeddings import writer as writer_module
from featalign.embeddings.durable import CORRUPT, TEMPORARY
from featalign.embeddings.sealed import Damaged
from featalign.embeddings.shard import read_shard
from featalign.embeddings.store import USED, Embedding, Store
from featalign.sources.source import Source
from featalign.targets.target import Target

NUM_SHARDS, SHARD_ROWS, WIDTH = 12, 8, 3
NUM_ROWS = NUM_SHARDS * SHARD_ROWS - 3  # the last shard is shorter
BATCH_SIZES = (5, 8, 20)


def make_target(seed: int) -> Target:
    """Rows whose first column is the row number."""
    generator = np.random.default_rng(seed)
    inputs = np.column_stack([np.arange(NUM_ROWS), generator.standard_normal((NUM_ROWS, 2))])
    return Target.from_arrays("numbers", inputs, np.arange(NUM_ROWS) % 3)


def make_source(seed: int, *, noise: float = 0.0, delay: float = 0.0) -> Source:
    """A source whose features of a row are functions of it alone, but for the noise.

    The noise is what a source that is not deterministic adds.
    """

    def embed(inputs):
        time.sleep(delay)
        values = np.asarray(inputs, np.float64)
        return np.column_stack(
            [values[:, 0], np.sin(values[:, 1] + seed), np.full(len(values), noise)]
        ).astype(np.float32)

    return Source.from_function("numbers", embed, revision=f"seed {seed}")


@dataclass
class Acknowledged:
    """The shards whose commit has returned."""

    report: Callable[[int], None]

    def __enter__(self) -> None:
        self._commit, self._rows = writer_module.commit_shard, extract_module.rows_per_shard

        def commit_shard(folder, manifest, index, shard):
            winner = self._commit(folder, manifest, index, shard)
            self.report(index)
            return winner

        writer_module.commit_shard = commit_shard
        extract_module.rows_per_shard = lambda num_features, dtype: SHARD_ROWS

    def __exit__(self, *_: object) -> None:
        writer_module.commit_shard, extract_module.rows_per_shard = self._commit, self._rows


def work(
    root: Path, seed: int, report: Callable[[int], None], *, noise: float = 0.0, delay: float = 0.0
) -> Embedding:
    """One extraction of the twelve shards.

    `report` gets the number of each shard whose commit has returned.
    """
    with Acknowledged(report):
        source = make_source(seed, noise=noise, delay=delay)
        return extract_module.extract(
            source,
            make_target(seed),
            None,
            Store(root),
            batch_size=BATCH_SIZES[seed % len(BATCH_SIZES)],
        )["features"]


def snapshot(root: Path) -> dict[str, bytes]:
    """Every file under the cache but leftovers and the empty mark of the last use."""
    files = (
        path
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.suffix not in (TEMPORARY, CORRUPT) and path.name != USED
    )
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def leftovers(root: Path) -> list[Path]:
    """Temporary files under the cache."""
    return sorted(root.rglob(f"*{TEMPORARY}"))


@dataclass(frozen=True)
class Reference:
    """An uninterrupted run: the bytes of every file."""

    seed: int
    files: dict[str, bytes]

    @property
    def key(self) -> str:
        """The folder of its only embedding."""
        return next(iter(self.files)).split("/")[0]

    def shard(self, index: int) -> bytes:
        """The bytes of one shard."""
        return self.files[f"{self.key}/shard-{index:05d}.h5"]


def make_reference(root: Path, seed: int) -> Reference:
    """Run undisturbed in an empty folder."""
    embedding = work(root, seed, lambda index: None)
    assert [row for row_id, _ in embedding.blocks() for row in row_id.tolist()] == list(
        range(NUM_ROWS)
    )
    return Reference(seed, snapshot(root))


@dataclass
class Tally:
    """What was found over many trials. Rows, not shards, except where it says trials."""

    trials: int = 0
    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    unequal: int = 0

    def __str__(self) -> str:
        return (
            f"{self.lost} acknowledged rows lost, {self.duplicated} rows duplicated, {self.wrong} "
            "rows wrong, "
            f"{self.trials - self.unequal} of {self.trials} resumed caches byte-equal to an "
            "uninterrupted one"
        )

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, duplicated, wrong or unequal."""
        return self.trials > 0 and not (self.lost or self.duplicated or self.wrong or self.unequal)


def rows_of(shards: Iterable[int]) -> int:
    """How many rows some shards hold."""
    return sum(min((index + 1) * SHARD_ROWS, NUM_ROWS) - index * SHARD_ROWS for index in shards)


def sound_shards(root: Path, reference: Reference) -> tuple[set[int], set[int]]:
    """The shards that verification accepts, and those among them that are wrong.

    A wrong one does not hold what it should.
    """
    embedding = Store(root).open(reference.key) if (root / reference.key).is_dir() else None
    sound, wrong = set(), set()
    for index in range(NUM_SHARDS if embedding is not None else 0):
        assert embedding is not None
        try:
            read_shard(embedding.folder, embedding.manifest, index)
        except (Damaged, FileNotFoundError):
            continue
        sound.add(index)
        if (
            embedding.folder / embedding.manifest.shard_name(index)
        ).read_bytes() != reference.shard(index):
            wrong.add(index)
    return sound, wrong


def resume_and_check(
    root: Path, reference: Reference, acknowledged: Iterable[int], tally: Tally
) -> None:
    """Add to the tally what an interruption has left and what resuming makes of it."""
    sound, wrong = sound_shards(root, reference)
    computed: list[int] = []
    work(root, reference.seed, computed.append)
    equal = (
        snapshot(root) == reference.files
    )  # then every row is there once, as it is in the reference
    tally.trials += 1
    tally.lost += rows_of(set(acknowledged) - sound)
    tally.wrong += rows_of(wrong)
    tally.duplicated += rows_of(sound & set(computed)) + rows_of(computed) - rows_of(set(computed))
    tally.unequal += not equal
