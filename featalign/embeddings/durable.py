"""Every change the cache makes on disk.

A file appears whole under its name and stays there after a power cut, or does not appear at all.
"""

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from featalign.errors import FeatalignError

try:
    import fcntl
except ImportError:  # Windows has no such locks; there the name alone decides who was first
    fcntl = None

TEMPORARY, CORRUPT, REMOVED = ".tmp", ".corrupt", ".removed"
STALE_SECONDS = 3600.0
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


def commit(
    path: Path, pieces: Sequence[bytes | memoryview], *, is_valid: Callable[[], bool]
) -> bool:
    """Put a file under `path`; the first writer wins.

    Returns True when the file is ours, and False when a file was there and `is_valid` (which looks
    at `path`) accepts it. A file that it refuses is set aside, and ours takes its place. Raises
    FeatalignError when the disk refuses, and leaves nothing behind then.
    """
    needed = sum(len(piece) for piece in pieces)
    with in_sentences(path, needed=needed):
        temporary = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
        try:
            _write_new(temporary, pieces)
            ours = _name_first(temporary, path)
            while not ours and not is_valid():
                quarantine(path, is_valid=is_valid)
                ours = _name_first(temporary, path)
        finally:
            with suppress(OSError):
                _again(os.unlink, temporary)
        sync_folder(path.parent)
    return ours


def quarantine(path: Path, *, is_valid: Callable[[], bool]) -> None:
    """Set a damaged file aside as `*.corrupt`.

    A good file that somebody has put in its place meanwhile stays.
    """
    with in_sentences(path), _folder_lock(path.parent):
        if is_valid() or not os.path.lexists(path):
            return
        with suppress(FileNotFoundError):
            _again(os.rename, path, path.with_name(f"{path.name}.{secrets.token_hex(4)}{CORRUPT}"))
        sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, so that they survive a power cut.

    A symbolic link in the place of the folder itself is refused.
    """
    with in_sentences(path):
        if path.is_symlink():
            raise FeatalignError(
                f"cache: {path} is a symbolic link, and the cache follows none inside its folder; "
                "remove it and run again"
            )
        missing = [folder for folder in (path, *path.parents) if not folder.is_dir()]
        for folder in reversed(missing):
            with suppress(PermissionError):  # a folder above the cache may be one we cannot read
                # whoever made the folder above may have been killed before syncing it
                sync_folder(folder.parent.parent)
            with suppress(FileExistsError):
                _again(os.mkdir, folder)
        sync_folder(path.parent)


def remove_folder(path: Path) -> None:
    """Remove a folder of the cache, which others see vanish in one step.

    The folder is first renamed and then emptied.
    """
    with in_sentences(path):
        gone = path.with_name(f"{path.name}.{secrets.token_hex(4)}{REMOVED}")
        with suppress(FileNotFoundError):  # somebody else removed it, or collects what we renamed
            _again(os.rename, path, gone)
            sync_folder(path.parent)
            shutil.rmtree(gone)


def remove_leftover(path: Path) -> None:
    """Remove a file or a folder that nobody needs; it may be gone already."""
    with in_sentences(path), suppress(FileNotFoundError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            _again(os.unlink, path)


def is_stale(path: Path, *, now: float | None = None) -> bool:
    """Whether a file is over an hour old, or dated over an hour ahead by a clock later put back."""
    with suppress(OSError):
        return abs((time.time() if now is None else now) - path.lstat().st_mtime) > STALE_SECONDS
    return False


def remove_stale(folder: Path) -> None:
    """Remove what interrupted writers left in a folder over an hour ago."""
    for path in folder.glob(f"*{TEMPORARY}"):
        if is_stale(path):
            remove_leftover(path)


def touch(path: Path) -> None:
    """Stamp a file with the present time.

    A failure is no error, because a cache may be read-only.
    """
    with suppress(OSError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | NO_FOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.utime(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def replacing(path: Path, *, name: str = "path") -> Iterator[int]:
    """A descriptor of a new file that replaces what is at `path` when the block ends well."""
    with in_sentences(path, name=name):
        temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")
        descriptor = _again(
            os.open, temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_FOLLOW | os.O_CLOEXEC, 0o600
        )
        try:
            try:
                yield descriptor
                os.fsync(descriptor)
            finally:
                _close(descriptor)
            _again(os.rename, temporary, path)
        except BaseException:
            with suppress(OSError):
                _again(os.unlink, temporary)
            raise
        sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Make the names in a folder survive a power cut, where the file system can."""
    descriptor = _again(os.open, path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        _close(descriptor)


def write_all(descriptor: int, piece: bytes | memoryview) -> None:
    """Write every byte, because a system call may take fewer than it was given."""
    rest = memoryview(piece).cast("B")
    while len(rest):
        rest = rest[os.write(descriptor, rest) :]


@contextmanager
def in_sentences(path: Path, *, needed: int | None = None, name: str = "cache") -> Iterator[None]:
    """Turn what the operating system says about `path` into a sentence for the user."""
    try:
        yield
    except OSError as error:
        raise FeatalignError(_sentence(error, path, needed, name)) from error


def _sentence(error: OSError, path: Path, needed: int | None, name: str) -> str:
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in FULL:
        free = ""
        with suppress(OSError):
            free = f", {shutil.disk_usage(path.parent).free / 1e6:.1f} MB are free"
        size = f" ({needed / 1e6:.3f} MB were needed{free})" if needed else ""
        return (
            f"{name}: the disk is full or a limit is reached at {path.parent}{size}: {reason}; "
            "make room or choose another place, then run again"
        )
    if error.errno in FORBIDDEN:
        return (
            f"{name}: {path} cannot be written: {reason}; change its permissions, or choose "
            "another place (cache=…, FEATALIGN_CACHE)"
        )
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return (
            f"{name}: expected a folder at {path.parent}, got something else ({reason}); "
            "remove it or choose another place"
        )
    if error.errno == errno.ELOOP:
        return (
            f"{name}: {path} is a symbolic link, and the cache follows none inside its folder; "
            "remove it and run again"
        )
    if error.errno == errno.ENOENT:
        return f"{name}: {path} disappeared while it was in use ({reason}); run again"
    return (
        f"{name}: the disk refused {path}: {reason}; what was finished before is kept, so check "
        "the disk and run again"
    )


def _write_new(temporary: Path, pieces: Sequence[bytes | memoryview]) -> None:
    descriptor = _again(
        os.open, temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_FOLLOW | os.O_CLOEXEC, 0o600
    )
    try:
        for piece in pieces:
            write_all(descriptor, piece)
        os.fsync(descriptor)
    finally:
        _close(descriptor)


def _name_first(temporary: Path, path: Path) -> bool:
    try:
        _again(os.link, temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        with _folder_lock(
            path.parent
        ):  # a file system without links: rename, but never over a file that is there
            if os.path.lexists(path):
                return False
            _again(os.rename, temporary, path)
    return True


@contextmanager
def _folder_lock(folder: Path) -> Iterator[None]:
    descriptor = _again(os.open, folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if fcntl is not None:
            with suppress(OSError):  # some file systems have no locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        _close(descriptor)


def _close(descriptor: int) -> None:
    with suppress(InterruptedError):  # the descriptor is closed all the same
        os.close(descriptor)


def _again(call: Callable, *arguments):
    while True:
        try:
            return call(*arguments)
        except InterruptedError:
            continue


def is_plain_folder(path: Path) -> bool:
    """Whether `path` is a folder and no symbolic link to one."""
    with suppress(OSError):
        return stat.S_ISDIR(path.lstat().st_mode)
    return False
