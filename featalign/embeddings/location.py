"""The place of the cache where none is named, and its limit."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from featalign.embeddings.durable import make_folder
from featalign.errors import FeatalignError

UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def default_cache(
    *, environment: Mapping[str, str] | None = None, folder: Path | None = None
) -> Path:
    """The folder of the cache where none is named.

    It is FEATALIGN_CACHE if that is set, else `cache/` when the current folder is a featalign
    checkout, else the platform's cache folder.

    >>> default_cache(environment={"FEATALIGN_CACHE": "somewhere"}).name
    'somewhere'
    """
    chosen = (os.environ if environment is None else environment).get("FEATALIGN_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    here = Path.cwd() if folder is None else folder
    if (
        (here / "pyproject.toml").is_file()
        and (here / "featalign" / "embeddings").is_dir()
        and (here / "cache").is_dir()
    ):
        return here / "cache"
    import platformdirs  # needed only when nothing else names a place

    return Path(platformdirs.user_cache_dir("featalign"))


def ready_cache(named: str | os.PathLike[str] | None = None) -> Path:
    """The folder of the cache, the default one where none is named; it is made if need be.

    Raises FeatalignError for a folder that cannot be made, before anything is computed.
    """
    root = Path(named).expanduser() if named else default_cache()
    if root.is_dir():
        return root
    remedy = "choose another place with cache= or FEATALIGN_CACHE"
    if os.path.lexists(root):
        raise FeatalignError(f"cache: expected a folder at {root}, got something else; {remedy}")
    try:
        make_folder(root)
    except FeatalignError as error:
        told = f"cache: no folder can be made at {root} ({_reason(root)}); {remedy}"
        raise FeatalignError(told) from error
    return root


def _reason(root: Path) -> str:
    """Why a folder cannot be made, as the system says it."""
    try:
        root.mkdir(parents=True)
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)
    return "try again"


def size_limit(*, environment: Mapping[str, str] | None = None) -> int | None:
    """FEATALIGN_CACHE_LIMIT in bytes, or None where it is not set and the cache may grow freely.

    >>> size_limit(environment={"FEATALIGN_CACHE_LIMIT": "5GB"})
    5000000000
    """
    stated = (os.environ if environment is None else environment).get("FEATALIGN_CACHE_LIMIT")
    return parse_size(stated, name="FEATALIGN_CACHE_LIMIT") if stated else None


def parse_size(text: str, *, name: str = "max_size") -> int:
    """A size such as 500MB or 2.5 GB in bytes; raises FeatalignError for any other text.

    >>> parse_size("2.5 GB")
    2500000000
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kKmMgGtT]?[bB]?)\s*", text)
    unit = match.group(2).upper() if match else "?"
    unit = unit if unit in UNITS else unit + "B"
    if match is None or unit not in UNITS:
        raise FeatalignError(f"{name}: expected a size such as 500MB or 5GB, got {text!r}")
    return int(float(match.group(1)) * UNITS[unit])
