"""Targets from tables of texts: .csv, .tsv and .jsonl, plain or gzipped."""

import csv
import gzip
import json
import math
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.inputs import TextInputs
from featalign.targets.target import Target, build_target

LABEL_COLUMNS = ("label", "labels", "class", "target", "category", "intent", "sentiment", "emotion", "topic", "y")
TEXT_COLUMNS = ("text", "sentence", "content", "review", "comment", "tweet", "question", "utterance", "message", "document", "body")
TRAIN_WORDS = ("train", "training")
TEST_WORDS = ("test", "testing")
VALIDATION_WORDS = ("val", "valid", "validation", "dev")

Row = tuple[int, dict[str, Any]]  # line number, values by column


def load_table(path: Path, name: str, *, label: str | None = None, text: str | None = None) -> Target:
    """A target from a table with a column of texts and a column of labels.

    The columns are found by their names when that is unambiguous; `label` and `text` name them otherwise. A column `split`
    says which rows are for training and which are held out: `test`, or else `val`, `valid`, `validation` or `dev`. Labels that
    are all numbers, not all of them whole, are regression targets.
    """
    rows = list(_rows(path))
    if not rows:
        raise FeatalignError(f"{path}: expected rows with a text and a label, got an empty file; check how it was written")
    columns = list(rows[0][1])
    label_column = _column(path, columns, label, LABEL_COLUMNS, "label", ())
    text_column = _column(path, columns, text, TEXT_COLUMNS, "text", (label_column, "split"))
    texts = [_text(path, row, text_column) for row in rows]
    labels = [_label(path, row, label_column) for row in rows]
    train, held = _parts(path, rows, {label_column, text_column})
    values = _as_array(labels)

    def part(chosen: Sequence[int]) -> tuple[TextInputs, np.ndarray]:
        return TextInputs(tuple(texts[row] for row in chosen)), values[list(chosen)]

    return build_target(name, *part(train), held_out=part(held) if held else None)


def _rows(path: Path) -> Iterator[Row]:
    line = 0
    try:
        with _opened(path) as file:
            for line, values in _json_rows(path, file) if _written_as(path) == ".jsonl" else _csv_rows(path, file):
                yield line, values
    except UnicodeDecodeError as error:
        raise FeatalignError(f"{path}: expected text in UTF-8, got other bytes soon after line {max(line, 1)}; save it as UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise FeatalignError(
            f"{path}: expected a readable file, but reading it failed after line {line} ({error}); write or copy it again"
        ) from error


def _written_as(path: Path) -> str:
    """The extension that says the format, without the compression."""
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
            values = json.loads(content)
        except (json.JSONDecodeError, RecursionError) as error:
            raise FeatalignError(f"{path}, line {line}: expected one JSON object, but {error}; mend the line") from error
        if not isinstance(values, dict):
            raise FeatalignError(f"{path}, line {line}: expected one JSON object such as {{'text': ..., 'label': ...}}, got {type(values).__name__}")
        yield line, values


def _csv_rows(path: Path, file: TextIO) -> Iterator[Row]:
    header_line = file.readline()
    file.seek(0)
    delimiter = "\t" if _written_as(path) == ".tsv" else ";" if ";" in header_line and "," not in header_line else ","
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    limit = csv.field_size_limit(2**31 - 1)  # the default refuses texts beyond 131,072 characters
    start = 1
    header: list[str] = []
    try:
        for fields in reader:
            if header and fields and len(fields) != len(header):
                raise FeatalignError(
                    f"{path}, line {start}: expected {len(header)} fields as in the header, got {len(fields)}; "
                    f"put fields that hold a {delimiter!r} in quotes"
                )
            if header and fields:
                yield start, dict(zip(header, fields, strict=True))
            elif fields:
                header = [field.strip() for field in fields]
            start = reader.line_num + 1
    except csv.Error as error:
        raise FeatalignError(f"{path}, line {start}: expected a row of fields, but {error}; mend the quotes of the row that starts there") from error
    finally:
        csv.field_size_limit(limit)


def _column(path: Path, columns: list[str], asked: str | None, usual: Sequence[str], role: str, taken: Sequence[str]) -> str:
    shown = ", ".join(repr(column[:40]) for column in columns)
    if asked is not None:
        if asked not in columns:
            raise FeatalignError(f"{role}: {path} has no column {asked!r}; its columns are {shown}")
        return asked
    free = [column for column in columns if column not in taken]
    matching = [column for column in free if column.lower() in usual]
    if len(matching) == 1:
        return matching[0]
    if role == "text" and not matching and len(free) == 1:
        return free[0]
    what = f"several columns could be it ({', '.join(matching)})" if matching else "none of the columns has a usual name for it"
    raise FeatalignError(f"{path}: expected a {role} column, but {what}; its columns are {shown}; name it with {role}=")


def _text(path: Path, row: Row, column: str) -> str:
    line, values = row
    text = values.get(column)
    if not isinstance(text, str):
        found = "none" if text is None else type(text).__name__
        raise FeatalignError(f"{path}, line {line}: expected a text as {column!r}, got {found}; drop the row or fill it in")
    return text


def _label(path: Path, row: Row, column: str) -> str | int | float:
    line, values = row
    label = values.get(column)
    label = label.strip() if isinstance(label, str) else label
    if label is None or label == "" or (isinstance(label, float) and not math.isfinite(label)):
        raise FeatalignError(f"{path}, line {line}: expected a label as {column!r}, got none; drop the row or fill it in")
    if not isinstance(label, str | int | float):
        raise FeatalignError(f"{path}, line {line}: expected a string or a number as {column!r}, got {type(label).__name__}; one label in each row")
    return label


def _parts(path: Path, rows: list[Row], taken: set[str]) -> tuple[Sequence[int], Sequence[int]]:
    """Row numbers for training and held out, by the column `split` where there is one."""
    if "split" not in rows[0][1] or "split" in taken:
        return range(len(rows)), ()
    parts: dict[tuple[str, ...], list[int]] = {TRAIN_WORDS: [], TEST_WORDS: [], VALIDATION_WORDS: []}
    for number, (line, values) in enumerate(rows):
        word = str(values.get("split")).strip().lower()
        words = next((words for words in parts if word in words), None)
        if words is None:
            raise FeatalignError(
                f"{path}, line {line}: expected train, val or test in the column 'split', got {values.get('split')!r}; mend it or rename the column"
            )
        parts[words].append(number)
    if not parts[TRAIN_WORDS]:
        raise FeatalignError(f"{path}: expected rows with 'train' in the column 'split', got none; mend it or rename the column")
    return parts[TRAIN_WORDS], parts[TEST_WORDS] or parts[VALIDATION_WORDS]


def _as_array(labels: list[str | int | float]) -> np.ndarray:
    """Labels as one array: whole numbers as integers, so that 10 comes after 9; other numbers as floats; else as strings."""
    if all(isinstance(label, bool) for label in labels):
        return np.array(labels)
    try:
        numbers = [float(label) for label in labels]
    except (ValueError, OverflowError):
        return np.array([str(label) for label in labels])
    if all(map(math.isfinite, numbers)) and not all(number.is_integer() for number in numbers):
        return np.array(numbers)
    # 007 and 7 may be two classes, and so may 1.0 and 1
    if all(not isinstance(label, str) or (label.lstrip("-").isdecimal() and str(int(label)) == label) for label in labels):
        return np.array([int(label) for label in labels])
    return np.array([str(label) for label in labels])
