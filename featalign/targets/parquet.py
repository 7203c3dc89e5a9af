"""Parquet files as tables."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from featalign.errors import FeatalignError
from featalign.targets.images import begins_like_an_image
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
        _check_once(path, parquet.read_schema(path).names)
        stored = parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise FeatalignError(
            f"{path}: expected a Parquet file, but it cannot be read ({error}); write or copy it "
            "again"
        ) from error
    columns = {name: as_texts(stored[name].to_pylist()) for name in stored.column_names}
    names = _class_names((stored.schema.metadata or {}).get(b"huggingface"))
    classes = {name: names[name] for name in names if name in columns}
    return Tables(Table(place, columns, range(stored.num_rows), "row", path.parent, classes))


def as_texts(values: list[Any]) -> list[Any]:
    r"""A column of bytes as texts where all of it is text, which some systems store as bytes.

    >>> as_texts([b"caf\xc3\xa9", None]), as_texts([b"\x89PNG"]), as_texts([b"GIF89a"])
    (['café', None], [b'\x89PNG'], [b'GIF89a'])
    """
    given = [value for value in values if value is not None]
    if not given or not all(isinstance(value, bytes) for value in given):
        return values
    if any(begins_like_an_image(value) or b"\0" in value for value in given):
        return values
    try:
        return [None if value is None else value.decode("utf-8") for value in values]
    except UnicodeDecodeError:
        return values


def _check_once(path: Path, names: list[str]) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise FeatalignError(
            f"{path}: expected every column once, got {repeated[0]!r} more than once; rename one"
        )


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
