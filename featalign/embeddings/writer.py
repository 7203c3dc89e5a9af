"""The writing of rows as shards.

Rows are gathered until a shard is whole. It is put on disk while the next rows are computed.
"""

from collections import deque
from collections.abc import Collection
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from featalign.embeddings.shard import Shard, commit_shard
from featalign.embeddings.store import Embedding
from featalign.embeddings.stored_type import numpy_type, to_stored
from featalign.errors import FeatalignError

WAITING_BYTES = 64 << 20


class Committer:
    """Puts shards on disk in one background thread; its errors come up at the next call.

    At most 64 MiB of shards wait for it, or one larger shard. The layers of a source finish their
    shards with the same batch, and small ones therefore do not hold up the next batch. Leaving the
    block waits for all shards, also after an error or Ctrl-C, so that what was computed is kept.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="featalign-commit")
        self._waiting: deque[tuple[Future[Counts], int]] = deque()

    def submit(self, embedding: Embedding, index: int, shard: Shard) -> "Future[Counts]":
        """Commit a shard when its turn comes.

        The result is the counts of the shard that is on disk then.
        """
        self._wait_until(max(WAITING_BYTES - shard.features.nbytes, 0))
        future = self._pool.submit(_commit, embedding, index, shard)
        self._waiting.append((future, shard.features.nbytes))
        return future

    def wait(self) -> None:
        """Wait for all shards, and raise the error of one that failed."""
        self._wait_until(0)

    def _wait_until(self, num_bytes: int) -> None:
        while self._waiting and (
            self._waiting[0][0].done() or sum(size for _, size in self._waiting) > num_bytes
        ):
            self._waiting.popleft()[0].result()

    def __enter__(self) -> "Committer":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._pool.shutdown(wait=True)


class ShardWriter:
    """Gathers the rows of one embedding into its absent shards.

    Rows come in order; rows of shards that are there already are skipped.
    """

    def __init__(self, embedding: Embedding, absent: Collection[int], committer: Committer) -> None:
        self.embedding, self._absent, self._committer = embedding, frozenset(absent), committer
        self._features: np.ndarray | None = None
        self._row_id = np.empty(0, np.int64)
        self._filled = self._nonfinite = self._overflow = 0
        self._committed: list[Future[Counts]] = []

    def add(self, start: int, row_id: np.ndarray, features: np.ndarray) -> None:
        """Add rows from position `start` on, with their ids (B,) and features (B, D).

        Raises FeatalignError for another width.
        """
        manifest = self.embedding.manifest
        if (
            features.ndim != 2
            or features.shape[1] != manifest.num_features
            or len(row_id) != len(features)
        ):
            raise FeatalignError(
                f"{self.embedding.description}: expected features of shape ({len(row_id)}, "
                f"{manifest.num_features}) as in the rows before, "
                f"got {features.shape}; a source must give the same width for every row and, under "
                "one revision, every time"
            )
        stop = start + len(features)
        for index in range(
            start // manifest.rows_per_shard, (stop - 1) // manifest.rows_per_shard + 1
        ):
            rows = manifest.shard_rows(index)
            first, last = max(start, rows.start), min(stop, rows.stop)
            if index in self._absent:
                self._fill(
                    index,
                    rows,
                    first,
                    row_id[first - start : last - start],
                    features[first - start : last - start],
                )

    def _fill(
        self, index: int, rows: range, first: int, row_id: np.ndarray, features: np.ndarray
    ) -> None:
        manifest = self.embedding.manifest
        if self._features is None:
            self._features = np.empty(
                (len(rows), manifest.num_features), numpy_type(manifest.identity.dtype)
            )
            self._row_id = np.empty(len(rows), np.int64)
            self._filled = self._nonfinite = self._overflow = 0
        if first - rows.start != self._filled:
            raise FeatalignError(
                f"{self.embedding.description}: expected row {rows.start + self._filled} next, got "
                f"row {first}; give rows in order"
            )
        stored = to_stored(features, manifest.identity.dtype)
        end = self._filled + len(row_id)
        self._features[self._filled : end], self._row_id[self._filled : end] = stored.values, row_id
        self._filled = end
        self._nonfinite += stored.nonfinite_count
        self._overflow += stored.overflow_count
        if end == len(rows):
            shard = Shard(self._features, self._row_id, self._nonfinite, self._overflow)
            self._features = None
            self._committed.append(self._committer.submit(self.embedding, index, shard))

    def counts(self) -> "Counts":
        """How many values are not finite and how many overflowed in the shards of this writer.

        It waits for the last of them.
        """
        found = [future.result() for future in self._committed]
        return Counts(
            sum(counts.nonfinite for counts in found), sum(counts.overflow for counts in found)
        )


class Counts(NamedTuple):
    """How many values did not stay numbers.

    One counts values that are not finite, the other finite values that the stored type made
    infinite.
    """

    nonfinite: int
    overflow: int


def _commit(embedding: Embedding, index: int, shard: Shard) -> Counts:
    winner = commit_shard(embedding.folder, embedding.manifest, index, shard)
    return Counts(winner.nonfinite_count, winner.overflow_count)
