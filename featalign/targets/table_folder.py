"""A folder of tables: train.csv beside test.csv, or the shards of a data set of the hub."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from featalign.errors import FeatalignError
from featalign.targets.folder_files import files_in, is_system
from featalign.targets.parquet import open_parquet
from featalign.targets.splits import find_splits
from featalign.targets.table import Table, Tables, parted
from featalign.targets.table_rows import open_text_table

OPENED: dict[str, Callable[[str], Tables]] = {
    **dict.fromkeys((".csv", ".tsv", ".jsonl", ".ndjson"), open_text_table),
    **dict.fromkeys((".csv.gz", ".tsv.gz", ".jsonl.gz"), open_text_table),
    ".parquet": open_parquet,
}
WITHIN = "data"  # where data sets of the hub keep their tables
_SHARD = re.compile(r"[-_.]?\d+[-_]of[-_]\d+$")


def holds_tables(path: Path) -> bool:
    """Whether a folder holds tables, and no images that could be rows."""
    return bool(_tables_in(path)) and not files_in(path).images


def open_table_folder(place: str) -> Tables:
    """The tables of a folder, each a part of the data set by the words of `splits.py`.

    Shards (`train-00000-of-00002`) are joined. A single table is taken whole. Raises FeatalignError
    where none of several is for training.
    """
    shards: dict[str, list[Path]] = {}
    for path in _tables_in(Path(place)):
        shards.setdefault(_SHARD.sub("", _stem(path)), []).append(path)
    splits = find_splits(shards)
    if splits is None and len(shards) == 1:
        return Tables(_joined(place, next(iter(shards.values()))))
    if splits is None:
        raise FeatalignError(
            f"{place}: expected a table for training, such as train.csv, got "
            f"{', '.join(path.name for paths in shards.values() for path in paths[:1])}; rename "
            "it, or give the path of the table you mean"
        )
    return parted(
        splits,
        lambda name: _joined(place, shards[name]),
        lambda name: len(_joined(place, shards[name])),
    )


def _tables_in(folder: Path) -> list[Path]:
    """The tables of a folder, or else of the folder `data` in it."""
    for place in (folder, folder / WITHIN):
        if not place.is_dir():
            continue
        try:
            files = sorted(file for file in place.iterdir() if file.is_file())
        except PermissionError:
            return []  # the form that is tried next says so
        found = [file for file in files if _ending(file) and not is_system(file.name)]
        if found:
            return found
    return []


def _ending(path: Path) -> str | None:
    return next((ending for ending in OPENED if path.name.lower().endswith(ending)), None)


def _stem(path: Path) -> str:
    return path.name[: -len(_ending(path) or "")]


def _joined(place: str, paths: Sequence[Path]) -> Table:
    """The rows of one table, or of several shards one after the other."""
    tables = [OPENED[_ending(path) or ""](str(path)).train for path in paths]
    if len(tables) == 1:
        return tables[0]
    names = dict.fromkeys(name for table in tables for name in table.columns)
    lacking = next((table for table in tables if set(names) != set(table.columns)), None)
    if lacking is not None:
        raise FeatalignError(
            f"{lacking.place}: expected the columns {', '.join(names)} as in the other shards, got "
            f"{', '.join(lacking.columns)}; write it anew"
        )
    columns = {name: [value for table in tables for value in table.columns[name]] for name in names}
    count = sum(map(len, tables))
    first = tables[0]
    named = f"{place} ({_SHARD.sub('', _stem(paths[0]))}, {len(paths)} shards)"
    return Table(named, columns, range(count), "row", first.folder, first.class_names)
