"""Targets from tables: labels and inputs of the columns that hold them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.inputs import EncodedImages, ImageFiles, Inputs, TextInputs
from featalign.targets.table import SPLIT, Columns, Table, choose_columns
from featalign.targets.table_labels import as_array, read_label, read_labels
from featalign.targets.table_rows import read_rows
from featalign.targets.target import Target, build_target
from featalign.targets.tokens import token_inputs, word_labels

PAIR_SEPARATOR = "\n"
TRAIN_WORDS = ("train", "training")
TEST_WORDS = ("test", "testing")
VALIDATION_WORDS = ("val", "valid", "validation", "dev")


def load_table(
    path: Path,
    name: str,
    *,
    label: str | None = None,
    text: str | None = None,
    image: str | None = None,
) -> Target:
    """A target from a .csv, .tsv or .jsonl file, plain or gzipped, or a .parquet file.

    A column `split` says which rows are for training and which are held out: `test`, or else `val`,
    `valid`, `validation` or `dev`.
    """
    return build_from_tables(name, _read(path), label=label, text=text, image=image)


def build_from_tables(
    name: str,
    table: Table,
    held: Table | None = None,
    *,
    label: str | None = None,
    text: str | None = None,
    image: str | None = None,
) -> Target:
    """A target from a table, and from another one with the rows that are held out.

    Both tables have the same columns.

    The columns are found by their names, or by what they hold, when that is unambiguous; `label`,
    `text` and `image` name them otherwise. A pair of texts becomes one text with a line break
    between them. Labels of several columns, or a list in each row, are multi-label, but a list
    beside a list of as many words labels each word, which is then a row of its own; numbers that
    are not all whole are regression targets.
    """
    if not len(table):
        raise FeatalignError(
            f"{table.place}: expected rows with a label and a text or an image, got an empty file; "
            "check how it was written"
        )
    columns = choose_columns(table, label, text, image)
    if held is None:
        train_rows, held_rows = _parts(table, columns)
        parts = [(table, train_rows)] + ([(table, held_rows)] if held_rows else [])
    else:
        parts = [(table, range(len(table))), (held, range(len(held)))]
    if _holds_words(table, columns):
        return _of_words(name, parts, columns)
    labels, class_names = read_labels(parts, columns.labels)
    inputs = [_inputs(part, rows, columns) for part, rows in parts]
    return build_target(
        name, inputs[0], labels[0], class_names, (inputs[1], labels[1]) if len(parts) > 1 else None
    )


def _holds_words(table: Table, columns: Columns) -> bool:
    """Whether labels and inputs are lists: a label for each word."""
    first = [
        table.columns[names[0]][0] for names in (columns.labels, columns.texts) if len(names) == 1
    ]
    return len(first) == 2 and all(isinstance(value, list | tuple | np.ndarray) for value in first)


def _of_words(name: str, parts: Sequence[tuple[Table, Sequence[int]]], columns: Columns) -> Target:
    words, tags = columns.texts[0], columns.labels[0]
    found = []
    for table, rows in parts:
        sentences, labels = _values(table, words, rows), _values(table, tags, rows)
        for row, listed, told in zip(rows, sentences, labels, strict=True):
            try:
                word_labels([listed], [told])
                if len(listed):
                    token_inputs([listed])
            except (FeatalignError, TypeError) as error:
                raise FeatalignError(
                    f"{table.at(row)}: expected a list of words as {words!r} and a label for each "
                    f"as {tags!r}, "
                    f"got {listed!r:.40} and {told!r:.40}; mend the row"
                ) from error
        if not any(map(len, sentences)):
            raise FeatalignError(
                f"{table.place}: expected words in the column {words!r}, got {len(sentences)} "
                "empty lists"
            )
        read = [
            read_label(table, row, tags, label)
            for row, told in zip(rows, labels, strict=True)
            for label in told
        ]
        found.append((token_inputs(sentences), read))
    inputs, labels = found[0]
    names = parts[0][0].class_names.get(tags)
    everything = as_array([label for _, read in found for label in read])
    held_out = (found[1][0], everything[len(labels) :]) if len(found) > 1 else None
    return build_target(name, inputs, everything[: len(labels)], names, held_out)


def _read(path: Path) -> Table:
    if path.suffix.lower() == ".parquet":
        from featalign.targets.parquet import read_parquet

        return read_parquet(path)
    rows = list(read_rows(path))
    names = rows[0][1] if rows else ()
    columns = {column: [values.get(column) for _, values in rows] for column in names}
    return Table(str(path), columns, [line for line, _ in rows], folder=path.parent)


def _inputs(table: Table, rows: Sequence[int], columns: Columns) -> Inputs:
    if columns.image is not None:
        return _images(table, rows, columns.image)
    texts = [
        [
            _text(table, row, column, value)
            for row, value in zip(rows, _values(table, column, rows), strict=True)
        ]
        for column in columns.texts
    ]
    return TextInputs(tuple(map(PAIR_SEPARATOR.join, zip(*texts, strict=True))))


def _images(table: Table, rows: Sequence[int], column: str) -> Inputs:
    first = table.columns[column][rows[0]]
    if isinstance(first, Mapping):
        return EncodedImages(table.columns[column], np.asarray(rows), table.place, table.folder)
    paths = [
        _text(table, row, column, value)
        for row, value in zip(rows, _values(table, column, rows), strict=True)
    ]
    return ImageFiles(tuple(table.folder / path for path in paths))


def _values(table: Table, column: str, rows: Sequence[int]) -> list:
    whole = list(table.columns[column])
    return [whole[row] for row in rows]


def _text(table: Table, row: int, column: str, value: object) -> str:
    if not isinstance(value, str):
        found = "none" if value is None else type(value).__name__
        raise FeatalignError(
            f"{table.at(row)}: expected a text as {column!r}, got {found}; drop the row or fill it "
            "in"
        )
    return value


def _parts(table: Table, columns: Columns) -> tuple[Sequence[int], Sequence[int]]:
    """Row numbers for training and held out, by the column `split` where there is one."""
    if SPLIT not in table.columns or SPLIT in columns.all:
        return range(len(table)), ()
    parts: dict[tuple[str, ...], list[int]] = {
        TRAIN_WORDS: [],
        TEST_WORDS: [],
        VALIDATION_WORDS: [],
    }
    for row, value in enumerate(table.columns[SPLIT]):
        word = str(value).strip().lower()
        words = next((words for words in parts if word in words), None)
        if words is None:
            raise FeatalignError(
                f"{table.at(row)}: expected train, val or test in the column 'split', got "
                f"{value!r}; mend it or rename the column"
            )
        parts[words].append(row)
    if not parts[TRAIN_WORDS]:
        raise FeatalignError(
            f"{table.place}: expected rows with 'train' in the column 'split', got none; mend it "
            "or rename the column"
        )
    return parts[TRAIN_WORDS], parts[TEST_WORDS] or parts[VALIDATION_WORDS]
