"""Where the cache lies unless told otherwise."""

import os
from collections.abc import Mapping
from pathlib import Path


def default_cache(*, environment: Mapping[str, str] | None = None, folder: Path | None = None) -> Path:
    """FEATALIGN_CACHE if it is set, else `cache/` when the current folder is a featalign checkout, else the platform's cache folder.

    >>> default_cache(environment={"FEATALIGN_CACHE": "somewhere"}).name
    'somewhere'
    """
    chosen = (os.environ if environment is None else environment).get("FEATALIGN_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    here = Path.cwd() if folder is None else folder
    if (here / "pyproject.toml").is_file() and (here / "featalign" / "embeddings").is_dir() and (here / "cache").is_dir():
        return here / "cache"
    import platformdirs  # only when nothing else says where

    return Path(platformdirs.user_cache_dir("featalign"))
