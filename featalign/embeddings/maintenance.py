"""Maintenance of the cache: what is in it, whether it is sound, and what is removed from it."""

import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from featalign.checks import check_whole
from featalign.embeddings.durable import (
    CORRUPT,
    REMOVED,
    TEMPORARY,
    is_plain_folder,
    is_stale,
    remove_folder,
    remove_leftover,
)
from featalign.embeddings.key import is_key
from featalign.embeddings.manifest import FILE_NAME as MANIFEST_NAME
from featalign.embeddings.manifest import Manifest, read_manifest
from featalign.embeddings.store import USED, Store, Survey
from featalign.errors import FeatalignError


@dataclass(frozen=True)
class Entry:
    """One embedding of the cache as `featalign cache ls` shows it.

    Sizes are in bytes, and times in seconds since 1970. `is_complete` says that every shard has a
    file; `verify` says whether they are sound.
    """

    key: str
    source: str
    layer: str
    target: str
    dtype: str
    num_rows: int
    num_features: int
    shards_present: int
    shards_expected: int
    num_bytes: int
    created: float
    used: float

    @property
    def is_complete(self) -> bool:
        """Whether every shard has a file."""
        return self.shards_present == self.shards_expected


@dataclass(frozen=True)
class Collected:
    """What garbage collection removed."""

    paths: tuple[Path, ...]
    num_bytes: int


def entries(store: Store) -> tuple[Entry, ...]:
    """The embeddings in the cache, the most recently used first.

    Folders without a sound manifest are left out; see `collect_garbage`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     entries(Store(Path(folder)))
    ()
    """
    found = [
        _entry(store.root / key, manifest)
        for key in store.keys()
        if (manifest := read_manifest(store.root / key))
    ]
    return tuple(sorted(found, key=lambda entry: (-entry.used, entry.key)))


def chosen(
    store: Store, *, key: str | None = None, source: str | None = None, target: str | None = None
) -> tuple[Entry, ...]:
    """The entries that meet every condition given.

    A condition is a prefix of the key, or the name of the source or of the target (`*` and `?` are
    allowed).
    """
    return tuple(
        entry
        for entry in entries(store)
        if entry.key.startswith(key or "")
        and fnmatchcase(entry.source, source or "*")
        and fnmatchcase(entry.target, target or "*")
    )


def verify(store: Store, *, key: str | None = None) -> dict[str, Survey]:
    """Read and check every byte of the embeddings whose key begins with `key`.

    What is damaged is set aside. Returns what was found, by key.
    """
    embeddings = [store.open(entry.key) for entry in chosen(store, key=key)]
    return {embedding.key: embedding.verify() for embedding in embeddings if embedding is not None}


def remove(
    store: Store, *, key: str | None = None, source: str | None = None, target: str | None = None
) -> tuple[Entry, ...]:
    """Remove the embeddings that meet every condition given, and return their entries.

    Raises FeatalignError when no condition is given or nothing meets them.
    """
    if not (key or source or target):
        raise FeatalignError(
            "key, source, target: expected one that says what to remove, got none of them; give * "
            "as the source for all"
        )
    wanted = chosen(store, key=key, source=source, target=target)
    if not wanted:
        raise FeatalignError(
            f"key, source, target: nothing in {store.root} has key {key or '*'}, "
            f"source {source or '*'} and target {target or '*'}; "
            "`featalign cache ls` shows what is there"
        )
    for entry in wanted:
        remove_folder(store.root / entry.key)
    return wanted


def limit_size(store: Store, max_bytes: int, *, keep: Collection[str] = ()) -> tuple[Entry, ...]:
    """Remove the least recently used embeddings until the cache has at most `max_bytes`.

    Keys in `keep` stay. Returns what was removed.
    """
    check_whole(max_bytes, "max_bytes", 0, expected="a size of at least 0 bytes")
    present = entries(store)
    total = sum(entry.num_bytes for entry in present)
    removed = []
    for entry in reversed(present):
        if total <= max_bytes:
            break
        if entry.key not in keep:
            remove_folder(store.root / entry.key)
            total -= entry.num_bytes
            removed.append(entry)
    return tuple(removed)


def collect_garbage(store: Store, *, now: float | None = None) -> Collected:
    """Remove what nobody needs.

    That is damaged files, temporary files over an hour old, and folders over an hour old without a
    sound manifest. Files and folders that are not the cache's own are left alone.
    """
    now = time.time() if now is None else now
    leftovers: list[Path] = []
    for path in sorted(store.root.iterdir()) if store.root.is_dir() else ():
        if not is_plain_folder(path):
            continue
        if path.suffix == REMOVED and is_key(path.name.split(".")[0]):
            leftovers.append(path)
        elif is_key(path.name) and read_manifest(path) is None and _is_abandoned(path, now):
            leftovers.append(path)
        elif is_key(path.name):
            files = sorted(path.iterdir())
            leftovers += [
                file
                for file in files
                if file.suffix == CORRUPT or (file.suffix == TEMPORARY and is_stale(file, now=now))
            ]
    num_bytes = sum(size for path in leftovers for size, _ in _files(path).values())
    for path in leftovers:
        remove_leftover(path)
    return Collected(tuple(leftovers), num_bytes)


def _is_abandoned(folder: Path, now: float) -> bool:
    """Whether nothing in a folder was changed for an hour.

    Until then somebody may be about to write its manifest.
    """
    return is_stale(folder, now=now) and all(
        is_stale(folder / name, now=now) for name in _files(folder)
    )


def _entry(folder: Path, manifest: Manifest) -> Entry:
    files = _files(folder)
    created = files.get(MANIFEST_NAME, (0, 0.0))[1]
    return Entry(
        key=folder.name,
        source=manifest.source_name,
        layer=manifest.identity.layer,
        target=manifest.target_name,
        dtype=manifest.identity.dtype,
        num_rows=manifest.num_rows,
        num_features=manifest.num_features,
        shards_present=sum(
            manifest.shard_name(index) in files for index in range(manifest.num_shards)
        ),
        shards_expected=manifest.num_shards,
        num_bytes=sum(size for size, _ in files.values()),
        created=created,
        used=files.get(USED, (0, created))[1],
    )


def _files(path: Path) -> dict[str, tuple[int, float]]:
    """Size and time of the files in a folder, or of the one file.

    Files that vanish meanwhile are left out, because others work here too.
    """
    found = {}
    with suppress(FileNotFoundError):
        for file in path.iterdir() if is_plain_folder(path) else (path,):
            with suppress(FileNotFoundError):
                status = file.lstat()
                found[file.name] = status.st_size, status.st_mtime
    return found
