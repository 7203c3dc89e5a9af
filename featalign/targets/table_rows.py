"""Text tables: .csv, .tsv and .jsonl (or .ndjson), plain or gzipped."""

import csv
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from featalign.errors import FeatalignError
from featalign.targets.table import Table, Tables

LINES_OF_JSON = (".jsonl", ".ndjson")
Row = tuple[int, dict[str, Any]]  # the number of the line, and the values by column


def open_text_table(place: str) -> Tables:
    """A .csv, .tsv or .jsonl file, plain or gzipped; the columns are the keys of any row."""
    path = Path(place)
    rows = list(read_rows(path))
    names = dict.fromkeys(name for _, values in rows for name in values)
    columns = {column: [values.get(column) for _, values in rows] for column in names}
    return Tables(Table(place, columns, [line for line, _ in rows], folder=path.parent))


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a table, each with the line on which it begins.

    Raises FeatalignError, naming the line, where a row cannot be read.
    """
    line = 0
    try:
        with _opened(path) as file:
            for line, values in (
                _json_rows(path, file)
                if _written_as(path) in LINES_OF_JSON
                else _csv_rows(path, file)
            ):
                yield line, values
    except UnicodeDecodeError as error:
        raise FeatalignError(
            f"{path}: expected text in UTF-8, got other bytes soon after line {max(line, 1)}; save "
            "it as UTF-8"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise FeatalignError(
            f"{path}: expected a readable file, but reading it failed after line {line} ({error}); "
            "write or copy it again"
        ) from error


def _written_as(path: Path) -> str:
    """The extension that tells the format, without that of the compression."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def _opened(path: Path) -> TextIO:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")  # type: ignore[return-value]
    return open(path, encoding="utf-8-sig", newline="")


def _json_rows(path: Path, file: TextIO) -> Iterator[Row]:
    for line, content in enumerate(file, start=1):
        if not content.strip():
            continue
        try:
            values = json.loads(
                content,
                object_pairs_hook=lambda pairs, line=line: _once(pairs, f"{path}, line {line}"),
            )
        except (json.JSONDecodeError, RecursionError) as error:
            raise FeatalignError(
                f"{path}, line {line}: expected one JSON object, but {error}; mend the line"
            ) from error
        if not isinstance(values, dict):
            raise FeatalignError(
                f"{path}, line {line}: expected one JSON object such as {{'text': ..., 'label': "
                f"...}}, got {type(values).__name__}"
            )
        yield line, values


def _once(pairs: list[tuple[str, Any]], place: str) -> dict[str, Any]:
    _check_once([key for key, _ in pairs], place, "key")
    return dict(pairs)


def _check_once(names: list[str], place: str, what: str) -> None:
    repeated = [name for name, count in Counter(names).items() if count > 1 and name]
    if repeated:
        raise FeatalignError(
            f"{place}: expected every {what} once, got {repeated[0]!r} more than once; rename or "
            "remove one"
        )


def _csv_rows(path: Path, file: TextIO) -> Iterator[Row]:
    header_line = file.readline()
    file.seek(0)
    delimiter = (
        "\t"
        if _written_as(path) == ".tsv"
        else ";"
        if ";" in header_line and "," not in header_line
        else ","
    )
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    limit = csv.field_size_limit(2**31 - 1)  # the default refuses texts beyond 131,072 characters
    start = 1
    header: list[str] = []
    try:
        for fields in reader:
            if header and fields and len(fields) != len(header):
                raise FeatalignError(
                    f"{path}, line {start}: expected {len(header)} fields as in the header, got "
                    f"{len(fields)}; "
                    f"put fields that hold a {delimiter!r} in quotes"
                )
            if fields == header and len(header) > 1:
                raise FeatalignError(
                    f"{path}, line {start}: expected a row, got the header again, as in files that "
                    "were joined; remove the line"
                )
            if header and fields:
                yield start, dict(zip(header, fields, strict=True))
            elif fields:
                header = [field.strip() for field in fields]
                _check_once(header, f"{path}, line {start}", "column")
            start = reader.line_num + 1
    except csv.Error as error:
        raise FeatalignError(
            f"{path}, line {start}: expected a row of fields, but {error}; mend the quotes of the "
            "row that starts there"
        ) from error
    finally:
        csv.field_size_limit(limit)
