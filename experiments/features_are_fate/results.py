"""results.json: what every stage found.

It is written after each part of a stage, so that a run that was stopped goes on.
"""

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Save = Callable[[dict[str, Any]], None]


def read_results(path: Path) -> dict[str, Any]:
    """All that is stored; empty where there is no file."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def write_results(path: Path, results: dict[str, Any]) -> None:
    """Replace the file at once; a kill leaves the old or the new one."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(
        json.dumps(plain(results), indent=None, separators=(",", ":")).replace('},"', '},\n"')
        + "\n",
        encoding="utf-8",
    )
    os.replace(beside, path)


def plain(value: Any) -> Any:
    """Values as JSON can hold them.

    Arrays become lists, numbers have five digits, and what is not finite, which JSON has not, is
    None.
    """
    if isinstance(value, dict):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.5g}") if math.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
