"""The labels and the inputs of tables, from the columns that hold them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from featalign.errors import FeatalignError
from featalign.targets.choice import Choice
from featalign.targets.columns import Columns, choose_columns, flag, flag_of, split_column
from featalign.targets.groups import group_name
from featalign.targets.inputs import EncodedImages, ImageFiles, Inputs, TextInputs
from featalign.targets.label_meaning import Meaning
from featalign.targets.label_values import read_values
from featalign.targets.missing import is_missing
from featalign.targets.raw import Part, Raw
from featalign.targets.splits import HELD_OUT, TRAIN, UNLABELLED, Named, named
from featalign.targets.table import Table, Tables
from featalign.targets.table_labels import is_unlabelled, read_labels
from featalign.targets.tokens import groups_of_words, token_inputs, word_labels

PAIR_SEPARATOR = "\n"
# how PNG, JPEG, GIF, WebP and data addresses begin in base64; texts are never that long there
IN_BASE64, SHORTEST = ("iVBORw0KGgo", "/9j/", "R0lGOD", "UklGR", "data:image/"), 60


def read_tables(tables: Tables, choice: Choice) -> Raw:
    """The labels and the inputs of tables, from the columns that hold them.

    The columns are found by their names, or by what they hold, when that is unambiguous; the choice
    names them otherwise. A column `split` says which rows of a single table are for training and
    which are held out, in the words and the order of `splits.py`. A pair of texts
    becomes one text with a line break between them. Labels of several columns, or a list in each
    row, are multi-label, but a list beside a list of as many words labels each word, which is then
    a row of its own; numbers that are not all whole are regression targets.
    """
    table = tables.train
    if not len(table):
        raise FeatalignError(
            f"{table.place}: expected rows with a label and a text or an image, got an empty file; "
            "check how it was written"
        )
    columns = choose_columns(table, choice)
    if not tables.held_out:
        by_column = _by_column(table, columns)
        tables = replace(by_column, left_out=(*tables.left_out, *by_column.left_out))
    parts, said = _parts(tables, columns)
    groups = [group_column(part, columns.groups, needed=part is parts[0]) for part in parts]
    if columns.groups is not None and None in groups:
        said = (
            *said,
            f"{parts[1].place} has no column {columns.groups!r}: it cannot be told whether groups "
            "of its rows are among the training rows",
        )
    if _holds_words(table, columns):
        raw = _of_words(parts, columns, choice, groups)
        return replace(raw, remarks=(*said, *raw.remarks))
    labels = read_labels(parts, columns.labels, choice)
    inputs = [_inputs(part, columns) for part in parts]
    return Raw(
        *_grouped(inputs, labels.parts, groups),
        class_names=labels.class_names,
        remarks=(*said, *labels.remarks),
        task=labels.task,
    )


def _grouped(inputs: Sequence[Inputs], labels: Sequence[Any], groups: Sequence[Any]) -> list[Part]:
    return [
        Part(rows, told, groups=own) for rows, told, own in zip(inputs, labels, groups, strict=True)
    ]


def group_column(table: Table, column: str | None, *, needed: bool) -> list[str] | None:
    """The group of each row by a column; None without one, which training rows need.

    Raises FeatalignError, naming the line, for a row without a group.
    """
    if column is None or (not needed and column not in table.columns):
        return None
    found = []
    for row, value in table.numbered(column):
        named = None if is_missing(value, classes_said=True) else group_name(value)
        if named is None:
            came = "nothing" if is_missing(value, classes_said=True) else repr(value)[:40]
            raise FeatalignError(
                f"{table.at(row)}: expected the group of the row as {column!r}, got {came}; fill "
                "it in, drop the row, or give it a group of its own"
            )
        found.append(named)
    return found


def _holds_words(table: Table, columns: Columns) -> bool:
    """Whether labels and inputs are both lists, with a label for each word."""
    first = [
        table.example(names[0]) for names in (columns.labels, columns.texts) if len(names) == 1
    ]
    return len(first) == 2 and all(isinstance(value, list | tuple | np.ndarray) for value in first)


def _of_words(
    parts: Sequence[Table],
    columns: Columns,
    choice: Choice,
    groups: Sequence[Sequence[str] | None],
) -> Raw:
    words, tags = columns.texts[0], columns.labels[0]
    found = [_word_labels(part, words, tags) for part in parts]

    def refuse(part: int, row: int, expected: str, came: str, remedy: str) -> FeatalignError:
        at = parts[part].at(found[part][row][0])
        return FeatalignError(f"{at}: expected {expected} as {tags!r}, got {came}; {remedy}")

    labels = [[label for _, label in part] for part in found]
    meaning = Meaning(task=choice.task, called=f"the column {tags!r}", are_names=True)
    read = read_values(labels, meaning, refuse)
    inputs = [token_inputs(part.values(words)) for part in parts]
    of_words = [
        None if own is None else groups_of_words(part.values(words), own)
        for part, own in zip(parts, groups, strict=True)
    ]
    return Raw(
        *_grouped(inputs, read.parts, of_words),
        class_names=parts[0].class_names.get(tags),
        remarks=read.remarks,
        task=read.task,
    )


def _word_labels(table: Table, words: str, tags: str) -> list[tuple[int, Any]]:
    """The labels of all words, one after the other, with the rows they stand in."""
    sentences = table.values(words)
    read = []
    for (row, told), listed in zip(table.numbered(tags), sentences, strict=True):
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
        read += [(row, label) for label in told]
    if not any(map(len, sentences)):
        raise FeatalignError(
            f"{table.place}: expected words in the column {words!r}, got {len(sentences)} "
            "empty lists"
        )
    return read


def _inputs(table: Table, columns: Columns) -> Inputs:
    if columns.image is not None:
        return _images(table, columns.image)
    texts = [_texts(table, column) for column in columns.texts]
    return TextInputs(tuple(map(PAIR_SEPARATOR.join, zip(*texts, strict=True))))


def _images(table: Table, column: str) -> Inputs:
    table.whole(column)
    if isinstance(table.example(column), Mapping | bytes):
        images = table.columns[column]
        return EncodedImages(images, np.asarray(table.rows), table.place, table.folder)
    return ImageFiles(tuple(table.folder / path for path in _texts(table, column)))


def _texts(table: Table, column: str) -> list[str]:
    first = table.example(column)
    if isinstance(first, str) and len(first) > SHORTEST and first.startswith(IN_BASE64):
        raise FeatalignError(
            f"{table.place}: expected texts or paths of images as {column!r}, got images in base64 "
            f"({first[:12]}...); save them as files and give their paths, or as bytes in a .parquet"
        )
    return [_text(table, row, column, value) for row, value in table.numbered(column)]


def _text(table: Table, row: int, column: str, value: object) -> str:
    if not isinstance(value, str):
        found = "none" if value is None else type(value).__name__
        remedy = "drop the row or fill it in"
        if isinstance(value, list | tuple | Mapping | bytes):
            remedy = "images are read as the bytes of a file, as {bytes, path} or as a path"
        raise FeatalignError(
            f"{table.at(row)}: expected a text as {column!r}, got {found}; {remedy}"
        )
    return value


def _by_column(table: Table, columns: Columns) -> Tables:
    """Rows for training and rows that could be held out, by the column of splits if any."""
    column = split_column(table)
    if column is None or column in columns.all:
        return Tables(table)
    rows: dict[str, list[int]] = {}
    flagged = flag_of(table, column)
    for row, value in enumerate(table.columns[column]):
        found = None if is_missing(value) else named(str(value))
        if flagged is not None:
            found = Named(_role(flagged, is_part=flag(value) is True))
        if found is None:
            raise FeatalignError(
                f"{table.at(row)}: expected train, val or test in the column {column!r}, got "
                f"{value!r}; mend it or rename the column"
            )
        rows.setdefault(found.role, []).append(row)
    if TRAIN not in rows:
        raise FeatalignError(
            f"{table.place}: expected rows with 'train' in the column {column!r}, got none; mend "
            "it or rename the column"
        )
    held_out = tuple((role, table.take(rows[role])) for role in HELD_OUT if role in rows)
    count = len(rows.get(UNLABELLED, []))
    left = (f"left out: {count} rows that the column {column!r} calls unlabelled",) if count else ()
    return Tables(table.take(rows[TRAIN]), held_out, left)


def _role(flagged: str, *, is_part: bool) -> str:
    """The part of a row by a flag for one part: the others are for training, or held out."""
    if is_part:
        return flagged
    return HELD_OUT[0] if flagged == TRAIN else TRAIN


def _parts(tables: Tables, columns: Columns) -> tuple[list[Table], tuple[str, ...]]:
    """The training rows, and the first held-out rows that have labels; what is left out."""
    said = list(tables.left_out)
    taken: str | None = None
    parts = [tables.train]
    for name, table in tables.held_out:
        if not len(table):
            continue
        if taken is not None:
            said.append(f"left out: {name} ({len(table)} rows), since {taken} is held out")
        elif is_unlabelled(table, tables.train, columns.labels):
            said.append(f"left out: {name} ({len(table)} rows), which has no labels")
        else:
            taken = name
            parts.append(table)
    return parts, tuple(said)
