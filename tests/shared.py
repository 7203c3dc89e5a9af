"""Real data that does not belong to the repository: a folder beside it, absent on most machines."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"
needs_shared = pytest.mark.skipif(
    not (SHARED / "data").is_dir(),
    reason="needs the data folder ../shared/data, which is not part of the repository",
)
