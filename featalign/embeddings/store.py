"""The store: a folder with one folder per key, and the embeddings in it."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from featalign.embeddings.durable import is_plain_folder, make_folder, touch
from featalign.embeddings.key import Identity, is_key, key
from featalign.embeddings.labels import StoredLabels, labels_are_sound, read_labels, write_labels
from featalign.embeddings.manifest import Manifest, read_manifest, write_manifest
from featalign.embeddings.sealed import Damaged
from featalign.embeddings.shard import Shard, read_shard, set_shard_aside
from featalign.embeddings.stored_type import numpy_type
from featalign.errors import FeatalignError

USED = "used"
# shards read while one is consumed: two, because the SHA-256 of one thread is slower than a disk
AHEAD = 2
HELD_BYTES = (
    4 << 20
)  # an embedding of one shard up to this size is read once to be verified and used
Result = TypeVar("Result")


@dataclass(frozen=True)
class Survey:
    """What a verification found.

    `sound`, `missing` and `damaged` are numbers of shards, damaged ones with the reason. The counts
    of values that are not finite or overflowed are those of the sound shards.
    """

    sound: tuple[int, ...]
    missing: tuple[int, ...]
    damaged: tuple[tuple[int, str], ...]
    labels_are_sound: bool
    nonfinite_count: int
    overflow_count: int

    @property
    def is_complete(self) -> bool:
        """Whether every shard of the manifest and the labels are there and sound."""
        return self.labels_are_sound and not self.missing and not self.damaged

    @property
    def absent(self) -> tuple[int, ...]:
        """The shards to compute."""
        return tuple(sorted({*self.missing, *(index for index, _ in self.damaged)}))


@dataclass(frozen=True)
class Embedding:
    """Features of a target under a source as the cache keeps them.

    `survey` is what the last verification found. `held` is the verified shard in memory, where it
    is the only one and small.
    """

    folder: Path
    manifest: Manifest
    survey: Survey | None = None
    held: Shard | None = field(default=None, repr=False, compare=False)

    @property
    def key(self) -> str:
        """The digest of the embedding's identity."""
        return self.folder.name

    @property
    def num_rows(self) -> int:
        """The number of rows N."""
        return self.manifest.num_rows

    @property
    def num_features(self) -> int:
        """The number of features D."""
        return self.manifest.num_features

    def mark_used(self) -> None:
        """Note that the embedding was used just now; what was used longest ago is evicted first."""
        touch(self.folder / USED)

    @property
    def description(self) -> str:
        """Source, layer and target in a few words, for messages."""
        manifest = self.manifest
        return f"{manifest.source_name}#{manifest.identity.layer} on {manifest.target_name}"

    def blocks(self, *, ahead: int = AHEAD) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Row ids (rows,) and read-only features (rows, D), shard after shard.

        The next shards are read and verified meanwhile. Raises FeatalignError when a shard is
        missing or damaged. A damaged one is set aside, and extraction computes it again.
        """
        for shard in self.shards(ahead=ahead):
            yield shard.row_id, shard.features

    def shards(self, *, ahead: int = AHEAD) -> Iterator[Shard]:
        """The shards that `blocks` reads, with their counts."""
        self.mark_used()
        if self.held is not None:
            return iter((self.held,))
        return read_ahead(self._shard_or_sentence, self.manifest.num_shards, ahead=ahead)

    def read_all(self) -> np.ndarray:
        """All features (N, D) in memory, in the type they are kept in."""
        features = np.empty(
            (self.num_rows, self.num_features), numpy_type(self.manifest.identity.dtype)
        )
        start = 0
        for _, block in self.blocks():
            features[start : start + len(block)] = block
            start += len(block)
        return features

    def labels(self) -> StoredLabels:
        """Labels in the order of the rows, and the names of the classes."""
        try:
            return read_labels(self.folder, self.num_rows)
        except (Damaged, FileNotFoundError) as error:
            raise FeatalignError(
                f"cache: the labels of {self.description} are missing or damaged ({error}); run "
                "the extraction again"
            ) from error

    def verify(self) -> Survey:
        """Read and check every shard and the labels.

        What is damaged is set aside for the next extraction.
        """
        survey = self.verified().survey
        assert survey is not None
        return survey

    def verified(self) -> "Embedding":
        """The embedding with the survey of `verify`; a single small shard stays in memory."""
        held: Shard | None = None

        def look(index: int) -> tuple[int, int] | str | None:
            nonlocal held
            try:
                shard = read_shard(self.folder, self.manifest, index)
            except FileNotFoundError:
                return None
            except Damaged as damage:
                return str(damage)
            if self.manifest.num_shards == 1 and shard.features.nbytes <= HELD_BYTES:
                held = shard
            return shard.nonfinite_count, shard.overflow_count

        found = list(enumerate(read_ahead(look, self.manifest.num_shards)))
        damaged = tuple((index, result) for index, result in found if isinstance(result, str))
        for index, _ in damaged:
            set_shard_aside(self.folder, self.manifest, index)
        counts = {index: result for index, result in found if isinstance(result, tuple)}
        survey = Survey(
            sound=tuple(counts),
            missing=tuple(index for index, result in found if result is None),
            damaged=damaged,
            labels_are_sound=labels_are_sound(self.folder, self.num_rows),
            nonfinite_count=sum(nonfinite for nonfinite, _ in counts.values()),
            overflow_count=sum(overflow for _, overflow in counts.values()),
        )
        return replace(self, survey=survey, held=held)

    def _shard_or_sentence(self, index: int) -> Shard:
        name = self.manifest.shard_name(index)
        try:
            return read_shard(self.folder, self.manifest, index)
        except FileNotFoundError as error:
            raise FeatalignError(
                f"cache: {name} of {self.description} is missing; run the extraction again, which "
                "computes it alone"
            ) from error
        except Damaged as damage:
            with suppress(
                FeatalignError
            ):  # a cache that cannot be written: refusing the data is what counts
                set_shard_aside(self.folder, self.manifest, index)
            raise FeatalignError(
                f"cache: {name} of {self.description} was damaged: {damage}; it has been set "
                "aside, run the extraction again, which computes it alone"
            ) from damage


@dataclass(frozen=True)
class Store:
    """The cache under `root`; nothing is read or made until it is needed.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Store(Path(folder)).keys()
    ()
    """

    root: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "root", Path(self.root))

    def keys(self) -> tuple[str, ...]:
        """The keys that have a folder, complete or not."""
        if not self.root.is_dir():
            return ()
        return tuple(
            sorted(
                path.name
                for path in self.root.iterdir()
                if is_key(path.name) and is_plain_folder(path)
            )
        )

    def open(self, wanted: Identity | str) -> Embedding | None:
        """The embedding of an identity or a key, which may be incomplete and is not verified.

        It is None when there is no sound manifest for it. Raises FeatalignError when the manifest
        is that of another identity.
        """
        name = wanted if isinstance(wanted, str) else key(wanted)
        folder = self.root / name
        manifest = read_manifest(folder) if is_plain_folder(folder) else None
        if manifest is None:
            return None
        if isinstance(wanted, Identity) and manifest.identity != wanted:
            raise FeatalignError(
                f"cache: {folder} holds another embedding than its key says; remove it with "
                f"`featalign cache rm {name}`"
            )
        return Embedding(folder, manifest)

    def find(self, identity: Identity) -> Embedding | None:
        """The embedding of an identity, if all of it is there and sound.

        Every byte is read and verified.
        """
        embedding = self.open(identity)
        if embedding is None:
            return None
        found = embedding.verified()
        return found if found.survey is not None and found.survey.is_complete else None

    def create(self, manifest: Manifest, labels: StoredLabels) -> Embedding:
        """Make the folder of an embedding, or take the one that is there.

        `shard.commit_shard` adds the shards. Raises FeatalignError when another writer's manifest
        does not agree with this one.
        """
        folder = self.root / manifest.key
        make_folder(folder)
        # labels come before the manifest, so that a folder with a manifest lacks only shards
        write_labels(folder, labels)
        winner = write_manifest(folder, manifest)
        for name in ("identity", "num_rows", "num_features", "rows_per_shard"):
            if getattr(winner, name) != getattr(manifest, name):
                raise FeatalignError(
                    f"cache: {folder} was made with {name} {getattr(winner, name)!r}, and now it "
                    f"is {getattr(manifest, name)!r}; "
                    "a source whose features change needs another revision"
                )
        touch(folder / USED)
        return Embedding(folder, winner)


def read_ahead(
    read: Callable[[int], Result], count: int, *, ahead: int = AHEAD
) -> Iterator[Result]:
    """read(0), read(1), … in order, where threads run the next `ahead` while one is consumed.

    >>> list(read_ahead(lambda index: index * index, 4))
    [0, 1, 4, 9]
    """
    if count == 1:  # there is nothing to read meanwhile
        yield read(0)
        return
    pool = ThreadPoolExecutor(max(ahead, 1), thread_name_prefix="featalign-read")
    try:
        pending = deque(pool.submit(read, index) for index in range(min(ahead, count)))
        for index in range(count):
            if index + len(pending) < count:
                pending.append(pool.submit(read, index + len(pending)))
            yield pending.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
