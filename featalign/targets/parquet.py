"""Parquet files as tables."""

import json
from pathlib import Path
from typing import Any

from featalign.errors import FeatalignError
from featalign.targets.table import Table, Tables


def open_parquet(place: str) -> Tables:
    """The columns of a Parquet file.

    It has class names where Hugging Face's `datasets` wrote them into it. Raises FeatalignError
    where pyarrow is not installed, or the file cannot be read.
    """
    path = Path(place)
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise FeatalignError(
            f"{path}: reading Parquet needs pyarrow, which is not installed; run pip install "
            '"featalign[data]"'
        ) from error
    try:
        stored = parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise FeatalignError(
            f"{path}: expected a Parquet file, but it cannot be read ({error}); write or copy it "
            "again"
        ) from error
    columns = {name: stored[name].to_pylist() for name in stored.column_names}
    names = _class_names((stored.schema.metadata or {}).get(b"huggingface"))
    classes = {name: names[name] for name in names if name in columns}
    return Tables(Table(place, columns, range(stored.num_rows), "row", path.parent, classes))


def _class_names(metadata: bytes | None) -> dict[str, tuple[str, ...]]:
    try:
        features: dict[str, Any] = json.loads(metadata or b"{}").get("info", {}).get("features", {})
    except (ValueError, AttributeError):
        return {}
    classes = {
        column: stated
        for column, stated in features.items()
        if isinstance(stated, dict) and stated.get("_type") == "ClassLabel"
    }
    return {
        column: tuple(stated["names"]) for column, stated in classes.items() if "names" in stated
    }
